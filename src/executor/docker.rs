//! Runs attempts in Docker containers. What exists is asked of the daemon and of the attempt's folder,
//! never remembered: a new process goes on where an old one stopped.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::Docker;

use crate::executor::control::{self, AttemptFolder, Pokes};
use crate::executor::layout::{self, Layout};
use crate::executor::{
    AttemptState, BeginSpec, BuildSpec, BuiltImage, DOOR_NAME, Executor, ExecutorError, Exit,
    Found, LogStream, PrepareSpec, Published, Pull, Signal, TarStream, overlay,
};
use crate::model::AttemptName;

mod fault;
mod names;
mod image;
mod container;
mod network;
mod service;
mod prepare;
mod run;
mod follow;
mod files;
mod sweep;
mod remains;

/// How long one request may take until its first answer; a container start on a busy machine is slow.
const REQUEST_TIMEOUT_SECONDS: u64 = 120;
/// What this is written against; a younger daemon speaks it too, an older one is asked for its own.
const API: &bollard::ClientVersion = bollard::API_DEFAULT_VERSION;

/// What a Docker executor needs to know.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Folder for what must outlive the process. On the same machine as the daemon.
    pub state_folder: PathBuf,
    /// Names the state folder among all that use the daemon: the names of its containers go by it, so it
    /// must be the same as long as the folder is.
    pub instance: String,
    /// Path of the daemon's socket instead of `/var/run/docker.sock`.
    pub socket: Option<String>,
    /// Processes and threads of an attempt that sets no limit itself.
    pub default_pids: u32,
    /// Docker's own configuration file with the credentials of registries, usually
    /// `~/.docker/config.json`.
    pub registry_config: Option<PathBuf>,
    /// Whether overlays may be used where they can be; off only to test the way without.
    pub overlays: bool,
}

impl DockerSettings {
    /// The usual settings.
    #[must_use]
    pub fn new(state_folder: PathBuf, instance: String) -> Self {
        Self {
            state_folder,
            instance,
            socket: None,
            default_pids: 4096,
            registry_config: None,
            overlays: true,
        }
    }
}

/// Runs attempts in containers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DockerExecutor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    docker: Docker,
    settings: DockerSettings,
    names: names::Names,
    /// The state folder by a path that can stand in mount options, if overlays are possible.
    overlay_folder: Option<PathBuf>,
    pokes: Pokes,
    images: image::ImageCache,
    boot: String,
}

impl DockerExecutor {
    /// Connects to the daemon and agrees on a version with it.
    pub async fn connect(settings: DockerSettings) -> Result<Self, ExecutorError> {
        let socket = settings.socket.as_deref().unwrap_or("/var/run/docker.sock");
        let docker = Docker::connect_with_unix(socket, REQUEST_TIMEOUT_SECONDS, API)
            .map_err(|error| fault::unreachable(socket, &error))?;
        let docker =
            docker.negotiate_version().await.map_err(|error| fault::unreachable(socket, &error))?;
        // A socket reaches the daemon from any folder, a bind mount only by its whole path.
        let state_folder = std::path::absolute(&settings.state_folder)
            .map_err(|error| control::failed("finding", &settings.state_folder, &error))?;
        let settings = DockerSettings { state_folder, ..settings };
        control::create_attempts_folder(&settings.state_folder)?;
        let has_overlays = settings.overlays && overlay::is_available(&settings.state_folder);
        let overlay_folder =
            has_overlays.then(|| overlay::safe_alias(&settings.state_folder)).flatten();
        let inner = Inner {
            docker,
            names: names::Names::of(&settings.instance),
            settings,
            overlay_folder,
            pokes: Pokes::default(),
            images: image::ImageCache::default(),
            boot: layout::boot(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the daemon answers.
    pub async fn ping(&self) -> Result<(), ExecutorError> {
        let socket = self.inner.settings.socket.as_deref().unwrap_or("/var/run/docker.sock");
        let answer = self.docker().ping().await;
        answer.map(drop).map_err(|error| fault::unreachable(socket, &error))
    }

    fn docker(&self) -> &Docker {
        &self.inner.docker
    }

    fn names(&self) -> &names::Names {
        &self.inner.names
    }

    fn folder(&self, name: &AttemptName) -> AttemptFolder {
        AttemptFolder::new(&self.inner.settings.state_folder, name)
    }

    fn labels(&self, spec: &PrepareSpec) -> HashMap<String, String> {
        names::labels(&spec.name, &spec.label, &self.inner.settings.state_folder)
    }

    /// The layout of an attempt that must have been prepared.
    fn prepared(&self, name: &AttemptName) -> Result<(AttemptFolder, Layout), ExecutorError> {
        let folder = self.folder(name);
        let layout = folder.read_layout()?.ok_or_else(|| ExecutorError::Gone(name.slug()))?;
        Ok((folder, layout))
    }
}

impl Executor for DockerExecutor {
    async fn prepare(
        &self,
        spec: &PrepareSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        self.prepare_attempt(spec, progress).await
    }

    async fn upload(
        &self,
        name: &AttemptName,
        directory: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        self.upload_files(name, directory, tar).await
    }

    async fn begin(&self, name: &AttemptName, spec: &BeginSpec) -> Result<(), ExecutorError> {
        self.begin_attempt(name, spec).await
    }

    async fn follow(&self, name: &AttemptName) -> Result<LogStream, ExecutorError> {
        self.follow_attempt(name)
    }

    async fn wait(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        self.wait_attempt(name).await
    }

    async fn signal(&self, name: &AttemptName, signal: Signal) -> Result<(), ExecutorError> {
        self.signal_attempt(name, signal).await
    }

    async fn published(&self, name: &AttemptName) -> Result<Published, ExecutorError> {
        self.folder(name).published()
    }

    async fn download(
        &self,
        name: &AttemptName,
        pattern: &str,
    ) -> Result<Option<TarStream>, ExecutorError> {
        self.download_files(name, pattern).await
    }

    async fn remove(&self, name: &AttemptName) -> Result<(), ExecutorError> {
        self.remove_attempt(name).await
    }

    async fn list(&self, instance: &str) -> Result<Vec<Found>, ExecutorError> {
        self.list_attempts(instance).await
    }

    async fn build(
        &self,
        spec: &BuildSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<BuiltImage, ExecutorError> {
        self.build_image(spec, progress).await
    }

    async fn image_user(
        &self,
        image: &str,
        pull: Pull,
        user: Option<&str>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(u32, u32), ExecutorError> {
        let facts = self.image_facts(image, pull, progress).await?;
        facts.user(image, user)
    }

    async fn state(&self, name: &AttemptName) -> Result<AttemptState, ExecutorError> {
        self.attempt_state(name).await
    }

    async fn image_digest(&self, image: &str) -> Result<Option<String>, ExecutorError> {
        self.local_image_id(image).await
    }
    async fn list_images(&self, instance: &str) -> Result<Vec<AttemptName>, ExecutorError> {
        self.images_of(instance).await
    }

    async fn remove_image(&self, name: &AttemptName) -> Result<bool, ExecutorError> {
        self.remove_built(name).await
    }

    fn host_of_engine(&self) -> &'static str {
        DOOR_NAME
    }

    async fn tidy(&self) -> Result<(), ExecutorError> {
        overlay::remove_old_probes(&self.inner.settings.state_folder);
        self.remove_probes().await
    }
}
