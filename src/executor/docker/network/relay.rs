//! The relay of an attempt that may reach the LLM gateway, or services beside it, and nothing else. On such a
//! network this machine has no address, so that what listens here on every address cannot be reached; the relay is
//! on that network and on Docker's default one, and passes connections on to the gateway alone. Its program
//! (`relay/main.rs`) needs no image: it runs beside the files of the attempt's own.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, Mount, MountType, NetworkConnectRequest,
};

use super::{DEFAULT, alias};
use crate::executor::docker::container::{limits, no_health_check};
use crate::executor::docker::{DockerExecutor, fault};
use crate::executor::{DOOR_NAME, ExecutorError, PrepareSpec, ProbeSpec, control};
use crate::model::Digest;

/// Empty where it could not be built.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relay"));
/// Where its container sees it.
pub(in crate::executor::docker) const PATH: &str = "/trunkline/relay";
/// Nobody; it writes nothing.
const USER: &str = "65534:65534";
/// Two threads for a connection.
const PIDS: i64 = 640;
const MEMORY_BYTES: i64 = 64 << 20;
/// Digits of the program's digest in its name.
const DIGITS: usize = 12;
/// What Docker says when a container is on a network already.
const IS_THERE: u16 = 403;

/// What a relay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::executor::docker) enum Duty {
    /// It asks services whether they are ready, when it is told to.
    Hold,
    /// It passes connections on to the gateway, too: the same port, at this address of this machine.
    Pass(SocketAddr),
}

/// Whether there is a program.
pub(super) fn is_here() -> bool {
    !PROGRAM.is_empty()
}

/// Whether a service is asked over the network.
pub(super) fn has_probes(spec: &PrepareSpec) -> bool {
    let is_asked = |probe: &ProbeSpec| !matches!(probe, ProbeSpec::Exec(_));
    spec.services.iter().any(|it| it.ready.as_ref().is_some_and(|(probe, _)| is_asked(probe)))
}

/// The words by which it asks a service.
pub(in crate::executor::docker) fn question(
    probe: &ProbeSpec,
    (service, address): (&str, IpAddr),
) -> Option<Vec<String>> {
    let words = match probe {
        ProbeSpec::Tcp(port) => vec!["tcp".to_owned(), SocketAddr::new(address, *port).to_string()],
        ProbeSpec::Http { port, path } => {
            let at = SocketAddr::new(address, *port).to_string();
            vec!["http".to_owned(), at, service.to_owned(), path.clone()]
        }
        ProbeSpec::Exec(_) => return None,
    };
    Some([vec![PATH.to_owned()], words].concat())
}

impl DockerExecutor {
    /// Starts the relay on the attempt's network, or finds it.
    pub(in crate::executor::docker) async fn start_relay(
        &self,
        spec: &PrepareSpec,
        duty: Duty,
    ) -> Result<(), ExecutorError> {
        let slug = spec.name.slug();
        let name = self.names().relay(&slug);
        let program = self.relay_program(&slug)?;
        self.find_or_create(&name, &self.relay_config(spec, duty, &program)).await?;
        if let Duty::Pass(_) = duty {
            self.lead_out(&name).await?;
        }
        self.start(&name).await
    }

    fn relay_config(&self, spec: &PrepareSpec, duty: Duty, program: &Path) -> ContainerCreateBody {
        let network = self.names().network(&spec.name.slug());
        let words = match duty {
            Duty::Hold => vec!["hold".to_owned()],
            Duty::Pass(to) => vec!["pass".to_owned(), to.port().to_string(), to.to_string()],
        };
        let mount = Mount {
            target: Some(PATH.to_owned()),
            source: Some(program.to_string_lossy().into_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Mount::default()
        };
        ContainerCreateBody {
            image: Some(spec.image.clone()),
            user: Some(USER.to_owned()),
            working_dir: Some("/".to_owned()),
            entrypoint: Some(vec![PATH.to_owned()]),
            cmd: Some(words),
            labels: Some(self.labels(spec)),
            healthcheck: Some(no_health_check()),
            networking_config: Some(alias(&network, DOOR_NAME)),
            host_config: Some(HostConfig {
                network_mode: Some(network),
                mounts: Some(vec![mount]),
                readonly_rootfs: Some(true),
                cap_add: None,
                memory: Some(MEMORY_BYTES),
                memory_swap: Some(MEMORY_BYTES),
                pids_limit: Some(PIDS),
                ..limits()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// Puts it on the network by which containers reach this machine.
    async fn lead_out(&self, relay: &str) -> Result<(), ExecutorError> {
        let connect = || {
            let request = NetworkConnectRequest {
                container: relay.to_owned(),
                endpoint_config: Some(EndpointSettings::default()),
            };
            self.docker().connect_network(DEFAULT, request)
        };
        match fault::retry(connect).await {
            Ok(()) => Ok(()),
            Err(error) if fault::status(&error) == Some(IS_THERE) => Ok(()),
            Err(error) => {
                Err(fault::infra(format!("putting `{relay}` on network `{DEFAULT}`"), &error))
            }
        }
    }

    /// The program as a file of the state folder, where the daemon finds it.
    fn relay_program(&self, slug: &str) -> Result<PathBuf, ExecutorError> {
        let digest: String = Digest::of(PROGRAM).hex().chars().take(DIGITS).collect();
        let file = self.inner.settings.state_folder.join(format!("relay-{digest}"));
        let is_whole = fs::metadata(&file).is_ok_and(|it| it.len() == PROGRAM.len() as u64);
        if is_whole {
            return Ok(file);
        }
        let draft = file.with_extension(slug);
        write_program(&draft)
            .and_then(|()| fs::rename(&draft, &file))
            .map_err(|error| control::failed("writing", &file, &error))?;
        Ok(file)
    }
}

fn write_program(to: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).write(true).truncate(true).mode(0o755).open(to)?;
    io::Write::write_all(&mut file, PROGRAM)
}
