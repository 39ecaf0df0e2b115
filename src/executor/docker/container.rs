//! The configuration of containers, and finding or creating them by name.

use std::collections::HashMap;
use std::path::Path;

use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
    HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig,
};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};

use crate::executor::control::AttemptFolder;
use crate::executor::docker::follow::read_time;
use crate::executor::docker::network::Way;
use crate::executor::docker::{DockerExecutor, fault, names};
use crate::executor::layout::Workspace;
use crate::executor::overlay::Layers;
use crate::executor::script;
use crate::executor::{ExecutorError, Exit, PrepareSpec};

/// Where a container sees its control folder.
pub(super) const CONTROL: &str = "/trunkline";
/// Where a container sees its workspace.
pub(super) const WORKSPACE: &str = "/workspace";

/// What builds need as root: package managers change owners and users, tests send signals and listen on
/// low ports. Not among them: raw sockets, devices, mounts, other processes' memory.
const CAPABILITIES: [&str; 9] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
];

/// What one container of an attempt is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) spec: &'a PrepareSpec,
    pub(super) folder: &'a AttemptFolder,
    pub(super) names: &'a names::Names,
    pub(super) workspace: Workspace,
    /// Layers of an overlay workspace.
    pub(super) layers: Option<&'a Layers>,
    pub(super) default_pids: u32,
    /// How it reaches the gateway.
    pub(super) way: Way,
}

impl Shape<'_> {
    /// The container of a row of steps: it waits for the go.
    pub(super) fn steps(
        &self,
        segment: u32,
        image: &str,
        user: Option<String>,
    ) -> ContainerCreateBody {
        let mut mounts = self.files();
        mounts.push(bind(&self.folder.control(segment), CONTROL, Access::Read));
        mounts.push(bind(&self.folder.metrics(), &format!("{CONTROL}/metrics"), Access::Write));
        mounts.push(bind(&self.folder.outputs(), &format!("{CONTROL}/outputs"), Access::Write));
        let entry = ["/bin/sh", "-c", &script::entry(CONTROL)].map(str::to_owned).to_vec();
        ContainerCreateBody { entrypoint: Some(entry), ..self.common(image, user, mounts) }
    }

    /// The container of a program; its words and environment are not known yet.
    pub(super) fn command(&self, image: &str) -> ContainerCreateBody {
        let mut mounts = self.files();
        mounts.push(bind(&self.folder.metrics(), &format!("{CONTROL}/metrics"), Access::Write));
        mounts.push(bind(&self.folder.outputs(), &format!("{CONTROL}/outputs"), Access::Write));
        self.common(image, self.spec.user.clone(), mounts)
    }

    /// A container that never starts and has the workspace.
    pub(super) fn holder(&self, image: &str) -> ContainerCreateBody {
        let entrypoint = Some(vec!["-".to_owned()]);
        ContainerCreateBody { entrypoint, ..self.common(image, None, self.files()) }
    }

    fn common(&self, image: &str, user: Option<String>, mounts: Vec<Mount>) -> ContainerCreateBody {
        let spec = self.spec;
        ContainerCreateBody {
            image: Some(image.to_owned()),
            user,
            env: Some(Vec::new()),
            working_dir: Some(WORKSPACE.to_owned()),
            labels: Some(self.labels()),
            healthcheck: Some(no_health_check()),
            tty: Some(false),
            host_config: Some(HostConfig {
                mounts: Some(mounts),
                network_mode: Some(super::network::mode(spec, self.names)),
                dns: super::network::names(spec),
                extra_hosts: super::network::hosts(self.way.engine),
                readonly_rootfs: Some(spec.read_only),
                tmpfs: spec.read_only.then(scratch),
                nano_cpus: spec.cpu_millis.map(|it| to_signed(it.saturating_mul(1_000_000))),
                memory: spec.memory_bytes.map(to_signed),
                memory_swap: spec.memory_bytes.map(to_signed),
                pids_limit: Some(spec.pids.unwrap_or(self.default_pids).into()),
                ..limits()
            }),
            ..ContainerCreateBody::default()
        }
    }

    fn labels(&self) -> HashMap<String, String> {
        names::labels(&self.spec.name, &self.spec.label, self.folder.state_folder())
    }

    fn files(&self) -> Vec<Mount> {
        let mut mounts = vec![self.workspace_mount()];
        for (from, to) in &self.spec.workspace.mounts {
            mounts.push(bind(from, to, Access::Read));
        }
        mounts
    }

    fn workspace_mount(&self) -> Mount {
        let overlay = self.layers.map(|layers| MountVolumeOptionsDriverConfig {
            name: Some("local".to_owned()),
            options: Some(HashMap::from([
                ("type".to_owned(), "overlay".to_owned()),
                ("device".to_owned(), "overlay".to_owned()),
                ("o".to_owned(), layers.options()),
            ])),
        });
        Mount {
            target: Some(WORKSPACE.to_owned()),
            source: Some(self.names.volume(self.folder.slug())),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions {
                no_copy: Some(true),
                labels: Some(self.labels()),
                driver_config: overlay,
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        }
    }
}

/// What every container of ours has, services too.
pub(super) fn limits() -> HostConfig {
    HostConfig {
        init: Some(true),
        log_config: Some(log_config()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        ..HostConfig::default()
    }
}

/// The `local` driver keeps every byte; `json-file` replaces what is not UTF-8. One file without a limit,
/// for a log that rotates away is a log that is lost.
fn log_config() -> HostConfigLogConfig {
    let options = [("max-size", "1000t"), ("max-file", "1"), ("compress", "false")];
    HostConfigLogConfig {
        typ: Some("local".to_owned()),
        config: Some(options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
    }
}

/// An image's own health check would only cost.
pub(super) fn no_health_check() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }
}

fn scratch() -> HashMap<String, String> {
    HashMap::from([("/tmp".to_owned(), "rw,exec,nosuid,nodev,mode=1777".to_owned())])
}

fn to_signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// A file that a program is given; its container has no control folder.
pub(super) fn see_given(file: &Path) -> Option<Mount> {
    let name = file.file_name()?.to_str()?;
    Some(bind(file, &format!("{CONTROL}/{name}"), Access::Read))
}

fn bind(from: &Path, to: &str, access: Access) -> Mount {
    Mount {
        target: Some(to.to_owned()),
        source: Some(from.to_string_lossy().into_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(access == Access::Read),
        ..Mount::default()
    }
}

/// Whether a container was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Created,
    Found,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Missing,
    Created,
    Running,
    Ended(Exit),
}

pub(super) fn condition(state: Option<&ContainerState>) -> Condition {
    use ContainerStateStatusEnum as Status;
    let Some(state) = state else {
        return Condition::Missing;
    };
    match state.status {
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING) => Condition::Running,
        // A start that failed leaves the container `created`, with an error and a code.
        Some(Status::CREATED) => Condition::Created,
        Some(Status::EXITED | Status::DEAD) => Condition::Ended(Exit {
            out_of_memory: state.oom_killed.unwrap_or(false),
            ended_at: state.finished_at.as_deref().and_then(read_time),
            ..Exit::of(state.exit_code.and_then(|it| i32::try_from(it).ok()).unwrap_or(-1))
        }),
        Some(Status::REMOVING | Status::STOPPING | Status::EMPTY) | None => Condition::Missing,
    }
}

impl DockerExecutor {
    pub(super) async fn inspect(
        &self,
        container: &str,
    ) -> Result<Option<ContainerInspectResponse>, ExecutorError> {
        match fault::retry(|| self.docker().inspect_container(container, None)).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if fault::is_not_found(&error) => Ok(None),
            Err(error) => Err(fault::infra(format!("inspecting container `{container}`"), &error)),
        }
    }

    pub(super) async fn condition(&self, container: &str) -> Result<Condition, ExecutorError> {
        let found = self.inspect(container).await?;
        Ok(found.map_or(Condition::Missing, |it| condition(it.state.as_ref())))
    }

    /// Creates a container, or finds the one that has this name already. The daemon gives a name away
    /// before there is a container of it, for instance to a process that was killed since, and takes it
    /// back only when a container is all gone: then neither is there, and soon one of them is.
    pub(super) async fn find_or_create(
        &self,
        name: &str,
        config: &ContainerCreateBody,
    ) -> Result<Origin, ExecutorError> {
        let create = || {
            let options =
                CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
            self.docker().create_container(Some(options), config.clone())
        };
        for _ in 0..REMOVAL_TRIES {
            match fault::retry(create).await {
                Ok(_) => return Ok(Origin::Created),
                Err(error) if fault::is_conflict(&error) => {
                    if self.condition(name).await? != Condition::Missing {
                        return Ok(Origin::Found);
                    }
                    tokio::time::sleep(REMOVAL_PAUSE).await;
                }
                Err(error) => return Err(creating_failed(name, config, &error)),
            }
        }
        Err(ExecutorError::Infra {
            operation: format!("creating container `{name}`"),
            reason: "the name is taken, and there is no container of this name".to_owned(),
        })
    }

    /// Creates a container and starts it, or finds it. One that has run is left alone.
    pub(super) async fn find_or_start(
        &self,
        name: &str,
        config: &ContainerCreateBody,
    ) -> Result<(), ExecutorError> {
        match self.find_or_create(name, config).await? {
            Origin::Created => self.start_created(name).await,
            Origin::Found => self.start(name).await,
        }
    }

    /// Starts a container that never was; one that has run is not run again.
    pub(super) async fn start(&self, name: &str) -> Result<(), ExecutorError> {
        if self.condition(name).await? == Condition::Created {
            return self.start_created(name).await;
        }
        Ok(())
    }

    /// A request to start is never simply repeated: the daemon would run an ended container once more.
    pub(super) async fn start_created(&self, name: &str) -> Result<(), ExecutorError> {
        for _ in 0..START_TRIES {
            match self.docker().start_container(name, None).await {
                Ok(()) => return Ok(()),
                Err(error) if fault::is_connection(&error) => {
                    tokio::time::sleep(REMOVAL_PAUSE).await;
                    if self.condition(name).await? != Condition::Created {
                        return Ok(());
                    }
                }
                Err(error) => return Err(starting_failed(name, &error)),
            }
        }
        Err(ExecutorError::Infra {
            operation: format!("starting container `{name}`"),
            reason: "the connection to Docker breaks each time".to_owned(),
        })
    }

    /// Removes a container, whatever it does; no error if it is gone.
    pub(super) async fn remove_container(&self, name: &str) -> Result<(), ExecutorError> {
        let remove = || {
            let options = RemoveContainerOptions { force: true, v: true, link: false };
            self.docker().remove_container(name, Some(options))
        };
        for _ in 0..REMOVAL_TRIES {
            match fault::retry(remove).await {
                Ok(()) => return Ok(()),
                Err(error) if fault::is_not_found(&error) => return Ok(()),
                // Somebody else is at it; it is over when the container is not found.
                Err(error) if fault::is_conflict(&error) => {
                    tokio::time::sleep(REMOVAL_PAUSE).await;
                }
                Err(error) => {
                    return Err(fault::infra(format!("removing container `{name}`"), &error));
                }
            }
        }
        Err(ExecutorError::Infra {
            operation: format!("removing container `{name}`"),
            reason: "another removal of it does not end".to_owned(),
        })
    }
}

const START_TRIES: u32 = 3;
const REMOVAL_TRIES: u32 = 200;
const REMOVAL_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

fn creating_failed(name: &str, config: &ContainerCreateBody, error: &Error) -> ExecutorError {
    let image = config.image.clone().unwrap_or_default();
    if fault::is_not_found(error) {
        let reason = format!("{}. It was removed a moment ago", fault::message(error));
        return ExecutorError::Image { image, reason, is_definite: false };
    }
    if fault::status(error) == Some(400) {
        return ExecutorError::Rejected(format!(
            "Docker refuses this container (image `{image}`): {}",
            fault::message(error)
        ));
    }
    fault::infra(format!("creating container `{name}`"), error)
}

/// A start fails for reasons of the user's file (program, user) and of the machine.
fn starting_failed(name: &str, error: &Error) -> ExecutorError {
    let message = fault::message(error);
    if message.contains("unable to find user") || message.contains("unable to find group") {
        return ExecutorError::Rejected(format!(
            "{message}. Use a number (`user: \"1000:1000\"`) or a name that the image has"
        ));
    }
    if message.contains("executable file not found")
        || message.contains("no such file or directory: unknown")
    {
        return ExecutorError::Rejected(format!("the program cannot be started: {message}"));
    }
    fault::infra(format!("starting container `{name}`"), error)
}
