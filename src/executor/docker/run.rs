//! The go, the end, and what lies between: from one container of an attempt to the next.

use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{KillContainerOptions, WaitContainerOptions};
use futures_util::StreamExt as _;

use crate::executor::control::{self, AttemptFolder, Scripts};
use crate::executor::docker::container::{CONTROL, Condition, WORKSPACE, see_given};
use crate::executor::docker::names::Names;
use crate::executor::docker::{DockerExecutor, fault};
use crate::executor::layout::{Layout, Program, Segment};
use crate::executor::markers::MARK;
use crate::executor::script::{Places, Steps};
use crate::executor::{
    AttemptState, BeginSpec, CommandSpec, ExecutorError, Exit, Signal, StepSpec,
};
use crate::model::AttemptName;

/// Exit code of a process that SIGKILL ended.
const KILLED: i32 = 137;
/// Exit code that the daemon gives to containers which ended while it was down.
const LOST_BY_DAEMON: i32 = 255;
/// Without them, waiting for a container is taken up again this often before it counts as a failure.
const WAIT_TRIES: u32 = 20;

/// A container of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    names: &'a Names,
    pub(super) folder: &'a AttemptFolder,
    pub(super) segment: u32,
}

impl Place<'_> {
    pub(super) fn container(&self) -> String {
        self.names.container(self.folder.slug(), self.segment)
    }
}

impl DockerExecutor {
    pub(super) fn place<'a>(&'a self, folder: &'a AttemptFolder, segment: u32) -> Place<'a> {
        Place { names: self.names(), folder, segment }
    }

    pub(super) async fn begin_attempt(
        &self,
        name: &AttemptName,
        spec: &BeginSpec,
    ) -> Result<(), ExecutorError> {
        let (folder, layout) = self.prepared(name)?;
        let place = self.place(&folder, 0);
        match &layout.program {
            Program::Nothing => Ok(()),
            Program::Steps(segments) => {
                if !folder.is_begun(0) {
                    let steps = control::steps_of(spec)?;
                    write_segments((&folder, &layout), segments, (steps, spec))?;
                    folder.mark_begun(0)?;
                }
                self.let_go(place)
            }
            Program::Command(config) => {
                if !folder.is_begun(0) {
                    self.create_command(place, (&layout, config), spec).await?;
                    folder.mark_begun(0)?;
                }
                self.start(&place.container()).await
            }
        }
    }

    /// A program's container is created with its environment, as nothing in it could read a file. Anybody
    /// who may use Docker on this machine can see it there.
    async fn create_command(
        &self,
        place: Place<'_>,
        (layout, config): (&Layout, &str),
        spec: &BeginSpec,
    ) -> Result<(), ExecutorError> {
        let unusable = |reason: String| ExecutorError::Infra {
            operation: format!("beginning attempt {}", place.folder.slug()),
            reason,
        };
        let CommandSpec::Program(words) = &spec.command else {
            return Err(unusable(
                "it was prepared for a program and is begun with steps".to_owned(),
            ));
        };
        let mut config: ContainerCreateBody =
            serde_json::from_str(config).map_err(|error| unusable(error.to_string()))?;
        let published = (format!("{CONTROL}/metrics"), format!("{CONTROL}/outputs"));
        let env = control::whole_env(spec, CONTROL, published);
        let mut env: Vec<String> =
            env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        // The signal is for all that the program has started, not for it alone.
        env.push("TINI_KILL_PROCESS_GROUP=1".to_owned());
        config.entrypoint = Some(words.clone());
        config.env = Some(env);
        place.folder.write_given(0, &spec.files, reader_of(layout))?;
        if let Some(host) = &mut config.host_config {
            let given = (0..spec.files.len()).map(|it| place.folder.given(0, it));
            host.mounts.get_or_insert_default().extend(given.filter_map(|it| see_given(&it)));
        }
        let container = place.container();
        if self.condition(&container).await? == Condition::Created {
            // Left by a begin that did not get to its marker: its environment may be another.
            self.remove_container(&container).await?;
        }
        self.find_or_create(&container, &config).await.map(drop)
    }

    /// Sees to it that a begun container runs: starts it if it never was, and tells it to go.
    pub(super) fn let_go(&self, place: Place<'_>) -> Result<(), ExecutorError> {
        if place.folder.is_begun(place.segment) {
            self.inner.pokes.poke(place.folder, place.segment)?;
        }
        Ok(())
    }

    pub(super) async fn wait_attempt(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        let (folder, layout) = self.prepared(name)?;
        let exit = if layout.services.is_empty() {
            self.wait_segments(&folder, &layout).await?
        } else {
            self.wait_beside_services(name, (&folder, &layout)).await?
        };
        self.inner.pokes.forget(&folder);
        Ok(exit)
    }

    /// Waits for the end of all containers, one after the other.
    pub(super) async fn wait_segments(
        &self,
        folder: &AttemptFolder,
        layout: &Layout,
    ) -> Result<Exit, ExecutorError> {
        let mut exit = Exit::of(0);
        for segment in 0..layout.segment_count() {
            let place = self.place(folder, segment);
            let ended = self.wait_segment(place).await?;
            let code = ended.code;
            exit = Exit { out_of_memory: exit.out_of_memory || ended.out_of_memory, ..ended };
            self.go_on_after(place, layout, code)?;
        }
        Ok(exit)
    }

    /// After the end of one container: lets the next one go. Whoever sees the end does it; twice is once.
    pub(super) fn go_on_after(
        &self,
        place: Place<'_>,
        layout: &Layout,
        code: i32,
    ) -> Result<(), ExecutorError> {
        let next = place.segment + 1;
        if next >= layout.segment_count() {
            return Ok(());
        }
        if !place.folder.is_begun(next) {
            if code != 0 {
                place.folder.mark_failed(next, code)?;
            }
            place.folder.mark_begun(next)?;
        }
        self.inner.pokes.poke(place.folder, next)
    }

    /// Waits for the end of one container, across breaks of the connection.
    pub(super) async fn wait_segment(&self, place: Place<'_>) -> Result<Exit, ExecutorError> {
        let container = place.container();
        let mut last = None;
        for _ in 0..WAIT_TRIES {
            match self.condition(&container).await? {
                Condition::Missing => {
                    return Err(ExecutorError::Gone(place.folder.slug().to_owned()));
                }
                Condition::Ended(exit) => return self.judge(place, exit).await,
                // Its start was lost with an engine; a container starts but once before it ends.
                Condition::Created => self.start(&container).await?,
                Condition::Running => {}
            }
            self.let_go(place)?;
            last = self.wait_once(&container).await;
            if last.is_some() {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
        let operation = format!("waiting for container `{container}`");
        Err(last.map_or_else(
            || ExecutorError::Infra {
                operation: operation.clone(),
                reason: "the daemon says that it has ended and that it has not".to_owned(),
            },
            |error| fault::infra(operation.clone(), &error),
        ))
    }

    /// One request that is answered when the container has ended.
    pub(super) async fn wait_once(&self, container: &str) -> Option<Error> {
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        let mut ends = self.docker().wait_container(container, Some(options));
        match ends.next().await {
            None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => None,
            Some(Err(error)) if fault::is_not_found(&error) => None,
            Some(Err(error)) => Some(error),
        }
    }

    /// Whether the code is the attempt's own. A waiting container that ended before its go tells nothing,
    /// and neither does one that was killed by somebody else.
    async fn judge(&self, place: Place<'_>, exit: Exit) -> Result<Exit, ExecutorError> {
        if place.folder.is_stopped() {
            return Ok(exit);
        }
        if !place.folder.is_begun(place.segment) {
            return Err(ExecutorError::Gone(place.folder.slug().to_owned()));
        }
        if self.is_killed_from_outside(place, &exit).await? {
            return Err(ExecutorError::Infra {
                operation: format!("running container `{}`", place.container()),
                reason: "it was killed from outside: by hand, or by a restart of Docker".to_owned(),
            });
        }
        Ok(exit)
    }

    /// Codes of a container that was killed, or of a step that was: then the log tells the step's end.
    async fn is_killed_from_outside(
        &self,
        place: Place<'_>,
        exit: &Exit,
    ) -> Result<bool, ExecutorError> {
        let layout = place.folder.read_layout()?;
        let Some(layout) = layout.filter(|it| matches!(it.program, Program::Steps(_))) else {
            return Ok(false);
        };
        if exit.out_of_memory || !matches!(exit.code, KILLED | LOST_BY_DAEMON) {
            return Ok(false);
        }
        let lines = self.last_lines(&place.container()).await;
        let marker = format!("{}{} end ", char::from(MARK), layout.nonce);
        let last = lines.rsplit_once(&marker).map(|(_, rest)| rest);
        Ok(last.is_none_or(|it| it.contains('\n') || it.split(' ').count() != 2))
    }

    pub(super) async fn attempt_state(
        &self,
        name: &AttemptName,
    ) -> Result<AttemptState, ExecutorError> {
        let folder = self.folder(name);
        let Some(layout) = folder.read_layout()? else {
            return Ok(AttemptState::Absent);
        };
        let count = layout.segment_count();
        if count == 0 {
            return Ok(AttemptState::Prepared);
        }
        let mut out_of_memory_before = false;
        for segment in 0..count {
            let place = self.place(&folder, segment);
            let condition = self.condition(&place.container()).await?;
            if !folder.is_begun(segment) {
                return Ok(not_begun(segment, &layout, &condition, &self.inner.boot));
            }
            match condition {
                Condition::Missing => return Ok(AttemptState::Lost),
                Condition::Created | Condition::Running => return Ok(AttemptState::Begun),
                Condition::Ended(exit) => {
                    out_of_memory_before |= exit.out_of_memory;
                    if !folder.is_stopped() && self.is_killed_from_outside(place, &exit).await? {
                        return Ok(AttemptState::Lost);
                    }
                    if segment + 1 == count {
                        let exit = Exit { out_of_memory: out_of_memory_before, ..exit };
                        return Ok(AttemptState::Exited(exit));
                    }
                }
            }
        }
        Ok(AttemptState::Begun)
    }

    pub(super) async fn signal_attempt(
        &self,
        name: &AttemptName,
        signal: Signal,
    ) -> Result<(), ExecutorError> {
        let folder = self.folder(name);
        let Some(layout) = folder.read_layout()? else {
            return Ok(());
        };
        let count = layout.segment_count();
        folder.mark_stopped(count)?;
        for segment in 0..count {
            let container = self.place(&folder, segment).container();
            match signal {
                Signal::Kill => self.kill(&container, "KILL").await?,
                Signal::Terminate => self.terminate(&container, &layout).await?,
            }
        }
        Ok(())
    }

    /// A shell in the container reaches every process in it. Without one, or when it cannot start (the
    /// limit of processes is reached), the first process gets the signal and hands it on.
    async fn terminate(&self, container: &str, layout: &Layout) -> Result<(), ExecutorError> {
        if matches!(layout.program, Program::Steps(_)) {
            let options = CreateExecOptions {
                cmd: Some(["/bin/sh", "-c", "kill -TERM -1"].map(str::to_owned).to_vec()),
                attach_stdout: Some(true),
                ..CreateExecOptions::default()
            };
            let run = async {
                let exec = self.docker().create_exec(container, options).await?.id;
                let started = self.docker().start_exec(&exec, None).await?;
                if let StartExecResults::Attached { output, .. } = started {
                    output.for_each(|_| std::future::ready(())).await;
                }
                self.docker().inspect_exec(&exec).await
            };
            if let Ok(done) = run.await
                && done.exit_code == Some(0)
            {
                return Ok(());
            }
        }
        self.kill(container, "TERM").await
    }

    async fn kill(&self, container: &str, signal: &str) -> Result<(), ExecutorError> {
        let kill = || {
            let options = KillContainerOptions { signal: signal.to_owned() };
            self.docker().kill_container(container, Some(options))
        };
        match fault::retry(kill).await {
            Ok(()) => Ok(()),
            // Gone, or not running.
            Err(error) if fault::is_not_found(&error) || fault::is_conflict(&error) => Ok(()),
            Err(error) => Err(fault::infra(format!("stopping container `{container}`"), &error)),
        }
    }
}

fn write_segments(
    (folder, layout): (&AttemptFolder, &Layout),
    segments: &[Segment],
    (steps, spec): (&[StepSpec], &BeginSpec),
) -> Result<(), ExecutorError> {
    let reader = reader_of(layout);
    let published = (format!("{CONTROL}/metrics"), format!("{CONTROL}/outputs"));
    let env = control::whole_env(spec, CONTROL, published);
    for (index, segment) in (0_u32..).zip(segments) {
        let steps = steps.iter().skip(segment.first as usize).take(segment.count as usize);
        let steps: Vec<StepSpec> = steps.cloned().collect();
        let scripts = Scripts {
            places: Places { control: CONTROL, workspace: WORKSPACE, writes_exit: false },
            nonce: &layout.nonce,
            steps: Steps { first: segment.first, steps: &steps },
            program: None,
            env: &env,
            given: &spec.files,
            reader,
        };
        folder.write_scripts(index, &scripts)?;
    }
    Ok(())
}

fn reader_of(layout: &Layout) -> control::Reader {
    rustix::process::geteuid().is_root().then_some(layout.user)
}

fn not_begun(segment: u32, layout: &Layout, condition: &Condition, boot: &str) -> AttemptState {
    if segment > 0 {
        return AttemptState::Begun;
    }
    let is_command = matches!(layout.program, Program::Command(_));
    match condition {
        Condition::Created | Condition::Running => AttemptState::Prepared,
        Condition::Missing if is_command => AttemptState::Prepared,
        // The marker may have been lost when the machine went down, the run of the steps not.
        _ if layout.boot != boot => AttemptState::Lost,
        Condition::Missing | Condition::Ended(_) => AttemptState::Absent,
    }
}
