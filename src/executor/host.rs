//! Runs attempts as processes of this machine: nothing is isolated but the files of the workspace. Images,
//! users, limits and networks of a stage are ignored; services and image builds need Docker.

use std::path::PathBuf;
use std::sync::Arc;

use crate::executor::control::{self, AttemptFolder, Scripts};
use crate::executor::layout::{self, Layout, Program, Segment};
use crate::executor::script::{Places, Steps};
use crate::executor::{
    AttemptState, BeginSpec, BuildSpec, BuiltImage, CommandSpec, Executor, ExecutorError, Exit,
    Found, LogStream, PrepareSpec, ProgramSpec, Published, Pull, Signal, TarStream, folder,
    overlay,
};
use crate::model::{AttemptName, Timestamp};

mod follow;
mod process;
mod started;

use process::{Process, Standing};
use started::{Role, Started};

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a host executor needs to know.
#[derive(Clone)]
pub struct HostSettings {
    /// Folder for what must outlive the process.
    pub state_folder: PathBuf,
    /// The environment that every process starts with; nothing is inherited from the engine, which holds
    /// secrets. Usually `PATH`, `HOME`, `LANG`, `USER`. Without a `PATH`, that of a plain system.
    pub env: Vec<(String, String)>,
    /// Lines of a log get the time at which they are read, for a file does not tell when they were written.
    pub now: Now,
}

/// Runs attempts as processes. Cheap to clone.
#[derive(Clone)]
pub struct HostExecutor {
    inner: Arc<Inner>,
}

struct Inner {
    settings: HostSettings,
    overlay_folder: Option<PathBuf>,
    boot: String,
    started: Arc<Started>,
}

impl HostExecutor {
    /// Makes the state folder if it is not there.
    pub fn new(settings: HostSettings) -> Result<Self, ExecutorError> {
        let state_folder = std::path::absolute(&settings.state_folder)
            .map_err(|error| control::failed("finding", &settings.state_folder, &error))?;
        let mut settings = HostSettings { state_folder, ..settings };
        if !settings.env.iter().any(|(name, _)| name == "PATH") {
            let plain = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            settings.env.push(("PATH".to_owned(), plain.to_owned()));
        }
        control::create_attempts_folder(&settings.state_folder)?;
        let overlay_folder = overlay::is_available(&settings.state_folder)
            .then(|| overlay::safe_alias(&settings.state_folder))
            .flatten();
        let (boot, started) = (layout::boot(), Arc::default());
        Ok(Self { inner: Arc::new(Inner { settings, overlay_folder, boot, started }) })
    }

    fn folder(&self, name: &AttemptName) -> AttemptFolder {
        AttemptFolder::new(&self.inner.settings.state_folder, name)
    }

    fn workspace(&self, folder: &AttemptFolder) -> folder::Workspace {
        folder::Workspace::of(folder, self.inner.overlay_folder.as_deref())
    }

    fn prepared(&self, name: &AttemptName) -> Result<(AttemptFolder, Layout), ExecutorError> {
        let folder = self.folder(name);
        let layout = folder.read_layout()?.ok_or_else(|| ExecutorError::Gone(name.slug()))?;
        Ok((folder, layout))
    }

    fn process(&self, folder: &AttemptFolder) -> Process {
        let workspace = self.workspace(folder).path().to_owned();
        let (env, started) = (self.inner.settings.env.clone(), Arc::clone(&self.inner.started));
        Process::of(folder, workspace, env, started)
    }

    fn describe(&self, spec: &PrepareSpec, former: Option<Layout>) -> Layout {
        let program = match &spec.program {
            ProgramSpec::Steps { images } => {
                let count = u32::try_from(images.len()).unwrap_or(u32::MAX);
                Program::Steps(vec![Segment { image: String::new(), first: 0, count }])
            }
            ProgramSpec::Command => Program::Command(String::new()),
            ProgramSpec::Nothing => Program::Nothing,
        };
        Layout {
            nonce: former.map_or_else(layout::new_nonce, |it| it.nonce),
            instance: spec.label.instance.clone(),
            stage: spec.label.stage.clone(),
            program,
            user: own_user(),
            workspace: layout::Workspace::Folder,
            services: Vec::new(),
            lasting: Vec::new(),
            has_network: false,
            boot: self.inner.boot.clone(),
        }
    }

    fn write_scripts(
        &self,
        (folder, layout): (&AttemptFolder, &Layout),
        spec: &BeginSpec,
    ) -> Result<(), ExecutorError> {
        let control = folder.control(0).to_string_lossy().into_owned();
        let workspace = self.workspace(folder).path().to_string_lossy().into_owned();
        let path = |it: PathBuf| it.to_string_lossy().into_owned();
        let env = control::whole_env(&spec.env, (path(folder.metrics()), path(folder.outputs())));
        let (steps, program) = match &spec.command {
            CommandSpec::Steps(steps) => (steps.as_slice(), None),
            CommandSpec::Program(words) => (&[][..], Some(words.as_slice())),
        };
        let scripts = Scripts {
            places: Places { control: &control, workspace: &workspace, writes_exit: true },
            nonce: &layout.nonce,
            steps: Steps { first: 0, steps },
            program,
            env: &env,
            reader: Some(layout.user),
        };
        folder.write_scripts(0, &scripts)
    }

    fn remove_folder(&self, name: &AttemptName) -> Result<(), ExecutorError> {
        let folder = self.folder(name);
        let process = self.process(&folder);
        if let Some(layout) = folder.read_layout()?
            && matches!(process.standing(&layout, &self.inner.boot)?, Standing::Running(_))
        {
            process.signal(Signal::Kill);
        }
        process.forget(Role::Shell);
        process.forget(Role::Writer);
        self.workspace(&folder).unmount()?;
        folder.remove()
    }

    async fn wait_for(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        let (folder, layout) = self.prepared(name)?;
        let process = self.process(&folder);
        loop {
            match process.standing(&layout, &self.inner.boot)? {
                Standing::Ended(code) => {
                    process.forget(Role::Shell);
                    return Ok(Exit::of(code));
                }
                Standing::Lost => return Err(ExecutorError::Gone(name.slug())),
                Standing::NotBegun => tokio::time::sleep(process::PAUSE).await,
                Standing::Unborn => {
                    process.spawn()?;
                    tokio::time::sleep(process::PAUSE).await;
                }
                Standing::Running(running) => running.end().await?,
            }
        }
    }
}

fn own_user() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

fn needs_docker(what: &str) -> ExecutorError {
    ExecutorError::Rejected(format!(
        "{what} cannot be had on the host executor. Run the pipeline with Docker"
    ))
}

impl Executor for HostExecutor {
    async fn prepare(
        &self,
        spec: &PrepareSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        if let Some(service) = spec.services.first() {
            return Err(needs_docker(&format!("service `{}`", service.name)));
        }
        if spec.network != crate::executor::NetworkSpec::Full {
            progress("the host executor does not limit the network".to_owned());
        }
        let folder = self.folder(&spec.name);
        folder.create_with_control()?;
        if folder.is_begun(0) {
            return Ok(());
        }
        self.workspace(&folder).prepare(&spec.workspace).await?;
        let layout = self.describe(spec, folder.read_layout()?);
        folder.write_layout(&layout)
    }

    async fn upload(
        &self,
        name: &AttemptName,
        directory: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        let (folder, _) = self.prepared(name)?;
        self.workspace(&folder).upload(directory, tar).await
    }

    async fn begin(&self, name: &AttemptName, spec: &BeginSpec) -> Result<(), ExecutorError> {
        let (folder, layout) = self.prepared(name)?;
        if layout.program == Program::Nothing {
            return Ok(());
        }
        self.workspace(&folder).ensure_mounted()?;
        if !folder.is_begun(0) {
            self.write_scripts((&folder, &layout), spec)?;
            folder.mark_begun(0)?;
        }
        let process = self.process(&folder);
        if matches!(process.standing(&layout, &self.inner.boot)?, Standing::Unborn) {
            process.spawn()?;
        }
        Ok(())
    }

    async fn follow(&self, name: &AttemptName) -> Result<LogStream, ExecutorError> {
        let (folder, layout) = self.prepared(name)?;
        let process = self.process(&folder);
        let now = Arc::clone(&self.inner.settings.now);
        Ok(follow::follow(process, layout, self.inner.boot.clone(), now))
    }

    async fn wait(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        self.wait_for(name).await
    }

    async fn signal(&self, name: &AttemptName, signal: Signal) -> Result<(), ExecutorError> {
        let folder = self.folder(name);
        let Some(layout) = folder.read_layout()? else {
            return Ok(());
        };
        folder.mark_stopped(layout.segment_count())?;
        self.process(&folder).signal(signal);
        Ok(())
    }

    async fn published(&self, name: &AttemptName) -> Result<Published, ExecutorError> {
        self.folder(name).published()
    }

    async fn download(
        &self,
        name: &AttemptName,
        pattern: &str,
    ) -> Result<Option<TarStream>, ExecutorError> {
        let (folder, _) = self.prepared(name)?;
        self.workspace(&folder).download(pattern).await
    }

    async fn remove(&self, name: &AttemptName) -> Result<(), ExecutorError> {
        let executor = self.clone();
        let slug = name.slug();
        let name = name.clone();
        // An unmount and many files: what drives the run does not wait for the kernel meanwhile.
        let work = tokio::task::spawn_blocking(move || executor.remove_folder(&name));
        work.await.map_err(|error| ExecutorError::Infra {
            operation: format!("removing the files of attempt {slug}"),
            reason: error.to_string(),
        })?
    }

    async fn list(&self, instance: &str) -> Result<Vec<Found>, ExecutorError> {
        let mut found = Vec::new();
        for slug in control::slugs(&self.inner.settings.state_folder) {
            let Some(name) = AttemptName::parse_slug(&slug) else {
                continue;
            };
            let folder = self.folder(&name);
            let layout = folder.read_layout()?;
            if layout.as_ref().is_some_and(|it| it.instance != instance) {
                continue;
            }
            let standing = layout
                .map(|it| self.process(&folder).standing(&it, &self.inner.boot))
                .transpose()?;
            let is_running = matches!(standing, Some(Standing::Running(_)));
            found.push(Found { name, is_running });
        }
        Ok(found)
    }

    async fn build(
        &self,
        _: &BuildSpec,
        _: &(dyn Fn(String) + Send + Sync),
    ) -> Result<BuiltImage, ExecutorError> {
        Err(needs_docker("an image build"))
    }

    async fn image_user(
        &self,
        _: &str,
        _: Pull,
        _: Option<&str>,
        _: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(u32, u32), ExecutorError> {
        Ok(own_user())
    }

    async fn state(&self, name: &AttemptName) -> Result<AttemptState, ExecutorError> {
        let folder = self.folder(name);
        let Some(layout) = folder.read_layout()? else {
            return Ok(AttemptState::Absent);
        };
        Ok(match self.process(&folder).standing(&layout, &self.inner.boot)? {
            Standing::NotBegun => AttemptState::Prepared,
            Standing::Unborn | Standing::Running(_) => AttemptState::Begun,
            Standing::Ended(code) => AttemptState::Exited(Exit::of(code)),
            Standing::Lost => AttemptState::Lost,
        })
    }

    async fn image_digest(&self, _: &str) -> Result<Option<String>, ExecutorError> {
        Ok(None)
    }
    async fn tidy(&self) -> Result<(), ExecutorError> {
        overlay::remove_old_probes(&self.inner.settings.state_folder);
        Ok(())
    }
}
