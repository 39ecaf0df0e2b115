//! What an executor is told. Made by the worker from a plan; everything is resolved.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use crate::model::{AttemptName, Milliseconds};

/// Whose things these are; becomes labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The state folder or server that made it, so that two on one machine leave each other alone.
    pub instance: String,
    /// Key of the stage, for a person who looks at `docker ps`.
    pub stage: String,
}

/// What can be known before the attempt's needs are done.
#[derive(Debug, Clone)]
pub struct PrepareSpec {
    /// Which attempt.
    pub name: AttemptName,
    /// Whose.
    pub label: Label,
    /// What runs, as far as it decides about containers.
    pub program: ProgramSpec,
    /// Image of the stage.
    pub image: String,
    /// When to pull.
    pub pull: Pull,
    /// `uid[:gid]` or a name, instead of the image's user.
    pub user: Option<String>,
    /// Read-only root file system; workspace and `/tmp` stay writable.
    pub read_only: bool,
    /// What it may reach.
    pub network: NetworkSpec,
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Bytes, swap included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Containers beside it.
    pub services: Vec<ServiceSpec>,
    /// Its files.
    pub workspace: WorkspaceSpec,
    /// How it reaches the engine's gateway.
    pub gateway: GatewaySpec,
}

/// How containers reach the engine's gateway, where they may.
#[derive(Debug, Clone, Default)]
pub enum GatewaySpec {
    /// There is none: nothing leads out of a network that leads to it alone.
    #[default]
    Missing,
    /// It is opened to them.
    Opened(Arc<dyn Door>),
    /// By a name that somebody has set, which is this machine's or another's; nothing is opened.
    Named,
}

/// What opens the engine's gateway to the containers of a network.
pub trait Door: fmt::Debug + Send + Sync {
    /// Listens on the address that this machine has on their network. They know it as [`DOOR_NAME`].
    fn open(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>>;

    /// The port that is listened on, the same at each address.
    fn port(&self) -> u16;
}

/// By what name containers know this machine.
pub const DOOR_NAME: &str = "gateway.trunkline.internal";

/// When to pull an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// When it is not here.
    IfMissing,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a container may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkSpec {
    /// Everything.
    Full,
    /// Its services and the engine's gateway.
    Gateway,
    /// Nothing (its services, if it has any).
    None,
}

/// What runs, as far as it must be known to create containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramSpec {
    /// Steps in a shell. `images` has one entry for each step: its own image, or `None` for the stage's.
    Steps {
        /// Image of each step.
        images: Vec<Option<String>>,
    },
    /// One program without a shell; its container is created by `begin`.
    Command,
    /// No container, only a workspace.
    Nothing,
}

/// What is known when the attempt starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginSpec {
    /// What to run.
    pub command: CommandSpec,
    /// Environment, secrets included. Never becomes part of a container's configuration for steps.
    pub env: Vec<(String, String)>,
    /// Files beside the workspace that only the attempt can read.
    pub files: Vec<GivenFile>,
}

/// A file that an attempt is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenFile {
    /// Environment variable that says where it is.
    pub variable: String,
    /// What is in it.
    pub content: String,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandSpec {
    /// Steps in a shell.
    Steps(Vec<StepSpec>),
    /// One program.
    Program(Vec<String>),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpec {
    /// Shell text.
    pub run: String,
    /// Environment on top of the attempt's.
    pub env: Vec<(String, String)>,
    /// Whether it runs while all steps before it have passed.
    pub when_passing: bool,
    /// Whether it runs after a step has failed.
    pub when_failed: bool,
}

/// A container beside the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its host name.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// Arguments instead of the image's.
    pub command: Vec<String>,
    /// How it is asked whether it is ready, and for how long.
    pub ready: Option<(ProbeSpec, Milliseconds)>,
}

/// How a service is asked whether it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeSpec {
    /// A TCP port accepts a connection.
    Tcp(u16),
    /// An HTTP GET answers below 400.
    Http {
        /// Port.
        port: u16,
        /// Path, with its slash.
        path: String,
    },
    /// A command in its container exits with 0.
    Exec(Vec<String>),
}

/// The files an attempt starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSpec {
    /// A folder on the engine's machine with the checked-out revision; never written to. The
    /// workspace is a private copy-on-write view of it. `None` is an empty workspace.
    pub checkout: Option<PathBuf>,
    /// Folders mounted read-only beside it (git objects): path on the machine, path in the container.
    pub mounts: Vec<(PathBuf, String)>,
}

/// An image to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    /// Whose workspace has the context.
    pub name: AttemptName,
    /// Folder of the workspace.
    pub context: String,
    /// Path of the Dockerfile inside the context.
    pub dockerfile: String,
    /// Names to tag it with.
    pub tags: Vec<String>,
    /// Build arguments.
    pub args: Vec<(String, String)>,
    /// Stage of a multi-stage Dockerfile.
    pub target: Option<String>,
    /// Whether to push the tags.
    pub push: bool,
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// `sha256:…`: the registry's digest after a push, the image id otherwise.
    pub digest: String,
    /// A reference that a later stage can use as `image:`.
    pub reference: String,
}

/// Something that carries our label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which attempt it belongs to.
    pub name: AttemptName,
    /// Whether something of it runs.
    pub is_running: bool,
}
