//! Containers beside an attempt: started first, and asked until they are ready.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig};
use bollard::query_parameters::LogsOptions;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::executor::docker::container::{Condition, Shape, condition, limits, no_health_check};
use crate::executor::docker::network::relay;
use crate::executor::docker::{DockerExecutor, fault, network};
use crate::executor::{ExecutorError, ProbeSpec, Pull, ServiceSpec};
use crate::model::Milliseconds;

mod watch;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// One question may take this long.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Lines of a service's log that are shown when it never gets ready.
const SHOWN_LINES: &str = "50";
/// What a question's answer is read of.
const SAID_BYTES: usize = 1024;

impl DockerExecutor {
    /// Starts the services and waits until all are ready. They start side by side.
    pub(super) async fn start_services(
        &self,
        shape: &Shape<'_>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        let start = |service| self.start_service(shape, service, progress);
        futures_util::future::try_join_all(shape.spec.services.iter().map(start)).await?;
        Ok(())
    }

    async fn start_service(
        &self,
        shape: &Shape<'_>,
        service: &ServiceSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        let spec = shape.spec;
        let pull = if spec.pull == Pull::Always { Pull::IfMissing } else { spec.pull };
        self.image_facts(&service.image, pull, progress).await?;
        let container = self.names().service(&spec.name.slug(), &service.name);
        let config = self.service_config(shape, service);
        self.find_or_start(&container, &config).await?;
        let Some((probe, limit)) = &service.ready else {
            return Ok(());
        };
        progress(format!("waiting for service {}", service.name));
        let relay = shape.way.relay.map(|_| self.names().relay(&spec.name.slug()));
        let relay = relay.as_deref();
        let waiting = Waiting { service: &service.name, container: &container, probe, relay };
        self.wait_until_ready(&waiting, *limit).await
    }

    fn service_config(&self, shape: &Shape<'_>, service: &ServiceSpec) -> ContainerCreateBody {
        let spec = shape.spec;
        let network = self.names().network(&spec.name.slug());
        let extra_hosts = network::hosts(shape.way.engine);
        let env = service.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        ContainerCreateBody {
            image: Some(service.image.clone()),
            hostname: Some(service.name.clone()),
            env: Some(env),
            cmd: (!service.command.is_empty()).then(|| service.command.clone()),
            labels: Some(self.labels(spec)),
            healthcheck: Some(no_health_check()),
            networking_config: Some(network::alias(&network, &service.name)),
            host_config: Some(HostConfig {
                network_mode: Some(network),
                extra_hosts,
                dns: network::names(spec),
                pids_limit: Some(self.inner.settings.default_pids.into()),
                ..limits()
            }),
            ..ContainerCreateBody::default()
        }
    }

    async fn wait_until_ready(
        &self,
        waiting: &Waiting<'_>,
        limit: Milliseconds,
    ) -> Result<(), ExecutorError> {
        let end = Instant::now() + limit.into();
        let mut pause = FIRST_PAUSE;
        loop {
            let found = self.inspect(waiting.container).await?;
            let found = found.ok_or_else(|| ExecutorError::Gone(waiting.container.to_owned()))?;
            if let Condition::Ended(exit) = condition(found.state.as_ref()) {
                let reason = format!("it ended with exit code {}", exit.code);
                return Err(self.not_ready(waiting, reason).await);
            }
            let answer = timeout(PROBE_LIMIT, self.ask(waiting, &found)).await;
            let refusal = match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(refusal)) => refusal,
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() + pause > end {
                let seconds = Duration::from(limit).as_secs_f64();
                let reason = format!("{refusal}, for {seconds} s ({})", waiting.question());
                return Err(self.not_ready(waiting, reason).await);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(
        &self,
        waiting: &Waiting<'_>,
        found: &ContainerInspectResponse,
    ) -> Result<(), String> {
        let address = || address(found).ok_or_else(|| "it has no address yet".to_owned());
        if let Some(relay) = waiting.relay
            && !matches!(waiting.probe, ProbeSpec::Exec(_))
        {
            let address =
                address()?.parse().map_err(|_| "its address cannot be read".to_owned())?;
            let asked = relay::question(waiting.probe, (waiting.service, address));
            return self.ask_exec(relay, &asked.unwrap_or_default()).await;
        }
        match waiting.probe {
            ProbeSpec::Tcp(port) => connect(&address()?, *port).await.map(drop),
            ProbeSpec::Http { port, path } => {
                let stream = connect(&address()?, *port).await?;
                ask_http(stream, waiting.service, path).await
            }
            ProbeSpec::Exec(command) => self.ask_exec(waiting.container, command).await,
        }
    }

    async fn ask_exec(&self, container: &str, command: &[String]) -> Result<(), String> {
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let run = async {
            let exec = self.docker().create_exec(container, options).await?.id;
            let started = self.docker().start_exec(&exec, None).await?;
            let mut said = Vec::new();
            if let StartExecResults::Attached { mut output, .. } = started {
                while let Some(piece) = output.next().await {
                    let room = SAID_BYTES.saturating_sub(said.len());
                    let piece = piece.map(LogOutput::into_bytes).unwrap_or_default();
                    said.extend(piece.into_iter().take(room));
                }
            }
            Ok::<_, Error>((self.docker().inspect_exec(&exec).await?.exit_code, said))
        };
        let (code, said) = run.await.map_err(|error| fault::message(&error).to_owned())?;
        match code {
            Some(0) => Ok(()),
            // Our own program says why.
            Some(_) if command.first().is_some_and(|it| it == relay::PATH) => {
                Err(String::from_utf8_lossy(&said).trim().to_owned())
            }
            Some(code) => Err(format!("exit code {code}")),
            None => Err("no exit code".to_owned()),
        }
    }

    async fn not_ready(&self, waiting: &Waiting<'_>, reason: String) -> ExecutorError {
        let reason = format!("{reason}. {}", self.told_by(waiting.container).await);
        ExecutorError::Service { service: waiting.service.to_owned(), reason }
    }

    /// The end of a service's log, with a head line.
    async fn told_by(&self, container: &str) -> String {
        let log = self.last_lines(container).await;
        let log = if log.is_empty() { "it printed nothing".to_owned() } else { log };
        format!("Its last lines:\n{log}")
    }

    /// The last lines that a container printed.
    pub(super) async fn last_lines(&self, container: &str) -> String {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: SHOWN_LINES.to_owned(),
            ..LogsOptions::default()
        };
        let lines = self.docker().logs(container, Some(options));
        let lines: Vec<LogOutput> = lines.try_collect().await.unwrap_or_default();
        let text: Vec<u8> = lines.into_iter().flat_map(LogOutput::into_bytes).collect();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }
}

struct Waiting<'a> {
    service: &'a str,
    container: &'a str,
    probe: &'a ProbeSpec,
    /// The container that asks over the network, where this machine is not on it.
    relay: Option<&'a str>,
}

impl Waiting<'_> {
    fn question(&self) -> String {
        match self.probe {
            ProbeSpec::Tcp(port) => format!("asked TCP port {port}"),
            ProbeSpec::Http { port, path } => format!("asked for `{path}` at HTTP port {port}"),
            ProbeSpec::Exec(command) => format!("ran `{}`", command.join(" ")),
        }
    }
}

fn address(found: &ContainerInspectResponse) -> Option<String> {
    let networks = found.network_settings.as_ref()?.networks.as_ref()?;
    let addresses = networks.values().filter_map(|it| it.ip_address.clone());
    addresses.into_iter().find(|it| !it.is_empty())
}

async fn connect(address: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((address, port)).await.map_err(|error| format!("port {port}: {error}"))
}

/// HTTP/1.0 (RFC 1945), for one question and one answer.
async fn ask_http(mut stream: TcpStream, host: &str, path: &str) -> Result<(), String> {
    let mut exchange = async || {
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = [0_u8; 12];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head)
    };
    let head = exchange().await.map_err(|error| format!("`{path}`: {error}"))?;
    let status = head.get(9..12).and_then(|it| std::str::from_utf8(it).ok());
    match status.and_then(|it| it.parse::<u16>().ok()) {
        Some(status) if (100..400).contains(&status) => Ok(()),
        Some(status) => Err(format!("`{path}` answers {status}")),
        None => Err(format!("`{path}`: the answer is not HTTP")),
    }
}
