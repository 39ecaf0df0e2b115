//! A repository, a state folder and the built binary: runs pipelines as a user does, and looks at what
//! became of them through the library.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use trunkline::blobs::Logs;
use trunkline::model::{AttemptName, StageIndex};
use trunkline::runs::{LoadedRun, Runs};
use trunkline::store::Store;
use trunkline::store::runs::RunFilter;

/// A place to run pipelines in; gone with this value.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Drop for Bench {
    /// What the state folder's runs have left on purpose, such as images they built, goes with it.
    fn drop(&mut self) {
        let Ok(instance) = std::fs::read_to_string(self.state().join("instance")) else { return };
        remove_things_of(instance.trim());
    }
}

/// Removes what a state folder's runs have left in Docker.
pub(crate) fn remove_things_of(instance: &str) {
    let image = format!("label=trunkline.image.instance={instance}");
    let other = format!("label=trunkline.instance={instance}");
    remove_listed(&["ps", "-aq", "--filter", &other], &["rm", "-fv"]);
    remove_listed(&["volume", "ls", "-q", "--filter", &other], &["volume", "rm", "-f"]);
    remove_listed(&["network", "ls", "-q", "--filter", &other], &["network", "rm"]);
    remove_listed(&["images", "-q", "--filter", &image], &["rmi", "-f"]);
}

fn remove_listed(list: &[&str], remove: &[&str]) {
    let Ok(listed) = Command::new("docker").args(list).output() else { return };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> = listed.lines().collect();
    if !names.is_empty() {
        let _left_to_a_person = Command::new("docker").args(remove).args(names).output();
    }
}

/// What the binary said.
pub(crate) struct Finished {
    /// Its exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Bench {
    /// An empty repository with a first commit.
    pub(crate) fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(bench.repository()).unwrap();
        bench.git(&["init", "-q", "-b", "main"]);
        bench.git(&["config", "user.name", "Ada"]);
        bench.git(&["config", "user.email", "ada@example.com"]);
        bench.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        bench
    }

    /// Writes a file of the repository.
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes the pipeline: the stages, behind a head that every test shares.
    pub(crate) fn stages(self, stages: &str) -> Self {
        let head = "version: 1\nname: test\non: { push: {} }\ndefaults: { image: \"busybox:stable\", network: none }\nstages:\n";
        self.file(".trunkline.yml", &format!("{head}{stages}"))
    }

    /// Writes a file of the repository.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.repository().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The repository's folder.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, arguments: &[&str]) {
        let git =
            Command::new("git").args(arguments).current_dir(self.repository()).output().unwrap();
        assert!(
            git.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&git.stderr)
        );
    }

    /// The binary with these arguments, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.arg("--state").arg(self.state()).args(arguments).current_dir(self.repository());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn trunkline(&self, arguments: &[&str]) -> Finished {
        Finished::from(self.command(arguments).output().unwrap())
    }

    /// `trunkline run` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        self.trunkline(&[&["run"], arguments].concat())
    }

    /// The newest run, if there is one.
    pub(crate) fn last_run(&self) -> Option<LoadedRun> {
        block_on(async {
            let url = format!("sqlite:{}", self.state().join("state.db").display());
            let runs = Runs::new(Store::open(&url).await.unwrap());
            let filter = RunFilter { limit: 1, ..RunFilter::default() };
            let rows = runs.store().list_runs(&filter).await.unwrap();
            Some(runs.load(&rows.first()?.id).await.unwrap())
        })
    }

    /// `<stage>: <status>`, and for the last attempt that failed `, <class>: <message>`; one line a stage.
    pub(crate) fn story(&self) -> String {
        let loaded = self.last_run().unwrap();
        let mut lines = Vec::new();
        for (index, planned) in loaded.run.plan().stages.iter().enumerate() {
            let stage = loaded.run.stage(place(index)).unwrap();
            let mut line = format!("{}: {}", planned.key, stage.status);
            if let Some(outcome) = stage.outcome()
                && let Some(class) = outcome.class
            {
                line += &format!(", {class}: {}", outcome.message);
            } else if let Some(failure) = &stage.failure {
                line += &format!(", {}: {}", failure.class, failure.message);
            }
            lines.push(line);
        }
        lines.join("\n")
    }

    /// The log of the last attempt of a stage of the newest run.
    pub(crate) fn log(&self, stage: &str) -> String {
        let loaded = self.last_run().unwrap();
        let index = loaded.run.plan().stages.iter().position(|it| it.key == stage).unwrap();
        let attempts = loaded.run.stage(place(index)).unwrap().attempts.len();
        let attempt = u32::try_from(attempts).unwrap();
        self.log_of(&AttemptName { run: loaded.row.id.clone(), stage: place(index), attempt })
    }

    /// The log of an attempt.
    pub(crate) fn log_of(&self, name: &AttemptName) -> String {
        block_on(async {
            let reader =
                Logs::open(&self.state().join("logs")).unwrap().reader(name).await.unwrap();
            let mut text = Vec::new();
            loop {
                let piece = reader.read_at(text.len() as u64, 1 << 20).await.unwrap();
                if piece.is_empty() {
                    return String::from_utf8_lossy(&text).into_owned();
                }
                text.extend(piece);
            }
        })
    }

    /// The label of everything made for this state folder.
    pub(crate) fn instance(&self) -> String {
        std::fs::read_to_string(self.state().join("instance")).unwrap().trim().to_owned()
    }

    /// What the attempts left in the state folder.
    pub(crate) fn attempt_folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.state().join("attempts"));
        entries.into_iter().flatten().map(|it| it.unwrap().path()).collect()
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// Fails the test, with everything that was said, when the exit code is another.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

/// The stage at this place.
pub(crate) fn place(index: usize) -> StageIndex {
    StageIndex(u32::try_from(index).unwrap())
}

/// A number from the environment: how much a trial does.
#[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
pub(crate) fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a future here and now.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
