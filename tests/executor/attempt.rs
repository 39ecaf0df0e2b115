//! Attempts as tests see them: what to run in short words, and what came of it as text.

use std::path::Path;

use futures_util::StreamExt as _;
use tokio::io::AsyncReadExt as _;
use trunkline::executor::{
    BeginSpec, CommandSpec, Executor, ExecutorError, Exit, GatewaySpec, LogItem, NetworkSpec,
    PrepareSpec, ProgramSpec, Pull, StepSpec, TarStream, WorkspaceSpec,
};
use trunkline::model::AttemptName;

use crate::world::World;

/// An attempt of these steps.
pub(crate) struct Attempt {
    pub(crate) prepare: PrepareSpec,
    pub(crate) begin: BeginSpec,
}

impl Attempt {
    pub(crate) fn new(world: &impl World, steps: &[&str]) -> Self {
        let place = world.place();
        let prepare = PrepareSpec {
            name: place.name(),
            label: place.label(),
            program: ProgramSpec::Steps { images: vec![None; steps.len()] },
            image: world.image().to_owned(),
            pull: Pull::IfMissing,
            user: None,
            read_only: false,
            network: NetworkSpec::None,
            cpu_millis: None,
            memory_bytes: None,
            pids: None,
            services: Vec::new(),
            workspace: WorkspaceSpec { checkout: None, mounts: Vec::new() },
            gateway: GatewaySpec::Missing,
        };
        let steps = steps.iter().map(|run| step(run)).collect();
        let begin =
            BeginSpec { command: CommandSpec::Steps(steps), env: Vec::new(), files: Vec::new() };
        Self { prepare, begin }
    }

    pub(crate) fn program(world: &impl World, words: &[&str]) -> Self {
        let mut attempt = Self::new(world, &[]);
        attempt.prepare.program = ProgramSpec::Command;
        let words = words.iter().map(|it| (*it).to_owned()).collect();
        attempt.begin.command = CommandSpec::Program(words);
        attempt
    }

    pub(crate) fn with_checkout(mut self, folder: &Path) -> Self {
        self.prepare.workspace.checkout = Some(folder.to_owned());
        self
    }

    pub(crate) fn with_env(mut self, env: &[(&str, &str)]) -> Self {
        self.begin.env =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self
    }

    pub(crate) fn name(&self) -> &AttemptName {
        &self.prepare.name
    }

    pub(crate) fn steps(&mut self) -> &mut Vec<StepSpec> {
        match &mut self.begin.command {
            CommandSpec::Steps(steps) => steps,
            CommandSpec::Program(_) => panic!("not steps"),
        }
    }

    pub(crate) async fn prepare(&self, executor: &impl Executor) -> Result<(), ExecutorError> {
        executor.prepare(&self.prepare, &|_| ()).await
    }

    pub(crate) async fn start(&self, executor: &impl Executor) {
        self.prepare(executor).await.unwrap();
        executor.begin(self.name(), &self.begin).await.unwrap();
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, executor: &impl Executor) -> Outcome {
        self.start(executor).await;
        self.finish(executor).await
    }

    pub(crate) async fn finish(&self, executor: &impl Executor) -> Outcome {
        let log = log(executor, self.name()).await;
        let exit = executor.wait(self.name()).await.unwrap();
        Outcome { exit, log }
    }
}

pub(crate) fn step(run: &str) -> StepSpec {
    StepSpec { run: run.to_owned(), env: Vec::new(), when_passing: true, when_failed: false }
}

/// How an attempt ended and what it printed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) log: Vec<LogItem>,
}

impl Outcome {
    /// All output.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&bytes(&self.log)).into_owned()
    }

    /// The log with its steps, and the code.
    pub(crate) fn story(&self) -> String {
        format!("{}exit {}", story(&self.log), self.exit.code)
    }
}

pub(crate) fn bytes(log: &[LogItem]) -> Vec<u8> {
    let output = |item: &LogItem| match item {
        LogItem::Output { bytes, .. } => bytes.to_vec(),
        LogItem::StepStarted { .. } | LogItem::StepFinished { .. } => Vec::new(),
    };
    log.iter().flat_map(output).collect()
}

pub(crate) fn story(log: &[LogItem]) -> String {
    let tell = |item: &LogItem| match item {
        LogItem::Output { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
        LogItem::StepStarted { step, .. } => format!("[start {step}]\n"),
        LogItem::StepFinished { step, exit_code, .. } => format!("[end {step}: {exit_code}]\n"),
    };
    log.iter().map(tell).collect()
}

/// The whole log, to its end.
pub(crate) async fn log(executor: &impl Executor, name: &AttemptName) -> Vec<LogItem> {
    let items = executor.follow(name).await.unwrap();
    items.map(Result::unwrap).collect().await
}

/// Follows until the output contains `text`.
pub(crate) async fn until(executor: &impl Executor, name: &AttemptName, text: &str) {
    let mut items = executor.follow(name).await.unwrap();
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        seen.push(item.unwrap());
        if story(&seen).contains(text) {
            return;
        }
    }
    panic!("the log ended without `{text}`: {}", story(&seen));
}

/// An archive of these files; a text that begins with `->` is a symlink.
pub(crate) fn archive(files: &[(&str, u32, &str)]) -> TarStream {
    let mut out = tar::Builder::new(Vec::new());
    for (path, mode, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_mtime(1_000_000_000);
        if let Some(target) = text.strip_prefix("->") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            out.append_link(&mut header, path, target).unwrap();
        } else {
            header.set_size(text.len() as u64);
            out.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
    }
    Box::pin(std::io::Cursor::new(out.into_inner().unwrap()))
}

/// What matches, one line for each file: path, mode and content.
pub(crate) async fn downloaded(
    executor: &impl Executor,
    name: &AttemptName,
    pattern: &str,
) -> Vec<String> {
    let Some(mut tar) = executor.download(name, pattern).await.unwrap() else {
        return vec!["nothing".to_owned()];
    };
    let mut bytes = Vec::new();
    tar.read_to_end(&mut bytes).await.unwrap();
    let mut lines = Vec::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mode = entry.header().mode().unwrap() & 0o777;
        let link = entry.link_name().unwrap().map(|it| it.display().to_string());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        lines.push(match link {
            Some(target) => format!("{path} -> {target}"),
            None => format!("{path} {mode:o} {text}").trim_end().to_owned(),
        });
    }
    lines.sort();
    lines
}
