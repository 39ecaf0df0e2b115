//! Runs attempts: in Docker containers, as processes of the host, or in a test's imagination.
//! All three keep one contract (`tests/executor/`). An executor decides nothing about a run: it
//! creates what it is told to, says what became of it, and finds again what it made before.
//!
//! The life of an attempt: [`Executor::prepare`] (containers exist and wait), [`Executor::upload`],
//! [`Executor::begin`] (the go), [`Executor::follow`] and [`Executor::wait`], [`Executor::download`],
//! [`Executor::remove`]. Each is idempotent and works in a new process after a crash.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncRead;

use crate::model::{AttemptName, Timestamp};

pub mod error;
pub mod spec;
mod markers;
mod script;
mod layout;
mod control;
mod archive;
mod overlay;
mod folder;
pub mod docker;
pub mod host;
pub mod fake;

pub use archive::is_glob;
pub use docker::{DockerExecutor, DockerSettings};
pub use error::ExecutorError;
pub use fake::FakeExecutor;
pub use host::{HostExecutor, HostSettings};
pub use spec::{
    BeginSpec, BuildSpec, BuiltImage, CommandSpec, DOOR_NAME, Door, Found, GatewaySpec, GivenFile,
    Label, NetworkSpec, PrepareSpec, ProbeSpec, ProgramSpec, Pull, ServiceSpec, StepSpec,
    WorkspaceSpec,
};

/// A stream of what an attempt's containers print, from their first byte on.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogItem, ExecutorError>> + Send>>;

/// A tar archive, read from the container side.
pub type TarStream = Pin<Box<dyn AsyncRead + Send>>;

/// Runs attempts.
pub trait Executor: Clone + Send + Sync + 'static {
    /// Creates what the attempt needs, or finds it: images, network, services (until they are ready),
    /// workspace, and a started container that waits for [`Self::begin`]. `progress` gets lines for a
    /// person (image pull, service logs when one never gets ready).
    fn prepare(
        &self,
        spec: &PrepareSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> impl Future<Output = Result<(), ExecutorError>> + Send;

    /// Unpacks a tar archive (not compressed) into the workspace of a prepared attempt, owned by
    /// its user. `directory` is relative to the workspace, or absolute.
    fn upload(
        &self,
        name: &AttemptName,
        directory: &str,
        tar: TarStream,
    ) -> impl Future<Output = Result<(), ExecutorError>> + Send;

    /// Lets a prepared attempt go. Once it has gone, a second call changes nothing.
    fn begin(
        &self,
        name: &AttemptName,
        spec: &BeginSpec,
    ) -> impl Future<Output = Result<(), ExecutorError>> + Send;

    /// What the attempt prints, from its first byte on, until it ends. The same items each time it is
    /// called, however the bytes are cut.
    fn follow(
        &self,
        name: &AttemptName,
    ) -> impl Future<Output = Result<LogStream, ExecutorError>> + Send;

    /// Waits for the end of a begun attempt, and ends it when one of its services has ended too early
    /// ([`Exit::failed_service`]). An attempt of which no trace is left is [`ExecutorError::Gone`].
    fn wait(&self, name: &AttemptName) -> impl Future<Output = Result<Exit, ExecutorError>> + Send;

    /// Sends a signal to every process of the attempt. No error if it has ended.
    fn signal(
        &self,
        name: &AttemptName,
        signal: Signal,
    ) -> impl Future<Output = Result<(), ExecutorError>> + Send;

    /// The files published by the steps; at most 1 MiB of each is read.
    fn published(
        &self,
        name: &AttemptName,
    ) -> impl Future<Output = Result<Published, ExecutorError>> + Send;

    /// The files of the workspace that match a glob (or lie in a folder), as a tar archive with
    /// paths relative to the workspace (to `/` for an absolute pattern, so that it is uploaded to `/`).
    /// `None` when there are none. Symlinks stay symlinks; nothing outside the workspace is read
    /// through one.
    fn download(
        &self,
        name: &AttemptName,
        pattern: &str,
    ) -> impl Future<Output = Result<Option<TarStream>, ExecutorError>> + Send;

    /// Removes everything of the attempt. No error if there is nothing.
    fn remove(&self, name: &AttemptName) -> impl Future<Output = Result<(), ExecutorError>> + Send;

    /// Everything that carries this instance's label, running or not.
    fn list(
        &self,
        instance: &str,
    ) -> impl Future<Output = Result<Vec<Found>, ExecutorError>> + Send;

    /// Builds an image from a folder of the attempt's workspace, tags and pushes it. The attempt has
    /// been prepared with [`ProgramSpec::Nothing`]. Output lines go to `progress`.
    fn build(
        &self,
        spec: &BuildSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> impl Future<Output = Result<BuiltImage, ExecutorError>> + Send;

    /// Numeric user and group that a process of this image runs as: `user` (`uid[:gid]` or names), or
    /// the image's own. A checkout is owned by it before an attempt is prepared. Gets the image if
    /// `pull` says so.
    fn image_user(
        &self,
        image: &str,
        pull: Pull,
        user: Option<&str>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> impl Future<Output = Result<(u32, u32), ExecutorError>> + Send;

    /// What is left of an attempt, found out from the machine and not from memory. Used after a restart.
    fn state(
        &self,
        name: &AttemptName,
    ) -> impl Future<Output = Result<AttemptState, ExecutorError>> + Send;

    /// The digest that identifies an image's content, if it is here or can be asked for.
    fn image_digest(
        &self,
        image: &str,
    ) -> impl Future<Output = Result<Option<String>, ExecutorError>> + Send;

    /// Attempts of this instance whose built images are still here. They outlive their attempts: later
    /// stages run in them.
    fn list_images(
        &self,
        _instance: &str,
    ) -> impl Future<Output = Result<Vec<AttemptName>, ExecutorError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Removes the image that an attempt has built, unless something uses it; false if it stays or there
    /// is none.
    fn remove_image(
        &self,
        _name: &AttemptName,
    ) -> impl Future<Output = Result<bool, ExecutorError>> + Send {
        async { Ok(false) }
    }

    /// By what name or address an attempt reaches this machine.
    fn host_of_engine(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Removes what killed processes left behind that belongs to no attempt.
    fn tidy(&self) -> impl Future<Output = Result<(), ExecutorError>> + Send {
        async { Ok(()) }
    }
}

/// A piece of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// What the processes printed, standard output and error in the order they were written.
    Output {
        /// When it was printed.
        at: Timestamp,
        /// The bytes, not masked yet.
        bytes: Bytes,
    },
    /// A step began.
    StepStarted {
        /// When.
        at: Timestamp,
        /// Its place in the stage.
        step: u32,
    },
    /// A step ended.
    StepFinished {
        /// When.
        at: Timestamp,
        /// Its place in the stage.
        step: u32,
        /// Zero means success.
        exit_code: i32,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Exit code of its last process; 128 + n after signal n.
    pub code: i32,
    /// Whether the kernel ended a process for want of memory.
    pub out_of_memory: bool,
    /// When its last process ended, if that is known.
    pub ended_at: Option<Timestamp>,
    /// What a person should know of a service that ended before it and must not: then it has failed,
    /// whatever its code.
    pub failed_service: Option<String>,
}

impl Exit {
    /// A plain end with this code.
    #[must_use]
    pub fn of(code: i32) -> Self {
        Self { code, out_of_memory: false, ended_at: None, failed_service: None }
    }
}

/// What is left of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// Nothing that could run: never prepared, prepared half, or its waiting container is gone.
    /// Preparing it (again) is safe, for no step of it has run.
    Absent,
    /// Prepared, and waiting to begin.
    Prepared,
    /// Begun, and not ended. [`Executor::follow`] and [`Executor::wait`] take it up.
    Begun,
    /// Ended.
    Exited(Exit),
    /// Begun, and what it ran in has gone: nobody knows how it ended. It must not be prepared again.
    Lost,
}

/// A signal to the processes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What the steps wrote to `$TRUNKLINE_METRICS` and `$TRUNKLINE_OUTPUTS`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// JSON lines.
    pub metrics: Vec<u8>,
    /// `key=value` lines.
    pub outputs: Vec<u8>,
}
