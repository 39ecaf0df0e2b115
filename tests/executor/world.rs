//! Where a test runs: an executor with a place of its own, that leaves nothing behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use trunkline::executor::{
    DockerExecutor, DockerSettings, Executor, FakeExecutor, HostExecutor, HostSettings, Label,
};
use trunkline::model::{AttemptName, RunId, StageIndex, Timestamp};

/// A machine to run attempts on.
pub(crate) trait World: Sized {
    type Executor: Executor;

    /// `None` if it is not here and the test is skipped.
    async fn find() -> Option<Self>;

    /// An executor as a new process would make it.
    async fn executor(&self) -> Self::Executor;

    fn place(&self) -> &Place;

    fn image(&self) -> &str;
}

/// What all worlds have: a folder and names that no other test uses.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) instance: String,
    names: AtomicU32,
}

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("test-{}-{count}", std::process::id());
        Self { folder: tempfile::tempdir().unwrap(), instance, names: AtomicU32::new(0) }
    }

    /// Paths that cannot stand in mount options get a symlink in `/run`, which is of no use afterwards.
    fn forget_alias(&self) {
        for entry in std::fs::read_dir("/run").into_iter().flatten().flatten() {
            if std::fs::read_link(entry.path()).is_ok_and(|it| it == self.state_folder()) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state_folder(&self) -> PathBuf {
        self.folder.path().join("state folder, ü:1")
    }

    pub(crate) fn name(&self) -> AttemptName {
        let stage = StageIndex(self.names.fetch_add(1, Ordering::Relaxed));
        AttemptName { run: RunId(self.instance.clone()), stage, attempt: 1 }
    }

    pub(crate) fn label(&self) -> Label {
        Label { instance: self.instance.clone(), stage: "stage".to_owned() }
    }
}

/// Runs a test in its world, and cleans up whatever becomes of it.
pub(crate) async fn run<W: World>(test: impl AsyncFnOnce(&W)) {
    let Some(world) = W::find().await else {
        return;
    };
    let outcome = std::panic::AssertUnwindSafe(test(&world)).catch_unwind().await;
    let executor = world.executor().await;
    for found in executor.list(&world.place().instance).await.unwrap() {
        executor.remove(&found.name).await.unwrap();
    }
    for name in executor.list_images(&world.place().instance).await.unwrap() {
        executor.remove_image(&name).await.unwrap();
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(executor.list(&world.place().instance).await.unwrap(), []);
}

/// What is not there is skipped aloud on a laptop, and fails where all must be there.
pub(crate) fn skip(what: &str) {
    let is_ci = std::env::vars_os().any(|(name, _)| name == "CI");
    assert!(!is_ci, "{what} is not here, and in CI it must be");
    eprintln!("SKIPPED: {what} is not here");
}

/// Real Docker.
pub(crate) struct DockerWorld {
    place: Place,
    overlays: bool,
}

impl DockerWorld {
    fn settings(&self) -> DockerSettings {
        let (folder, instance) = (self.place.state_folder(), self.place.instance.clone());
        DockerSettings { overlays: self.overlays, ..DockerSettings::new(folder, instance) }
    }

    async fn with_overlays(overlays: bool) -> Option<Self> {
        let world = Self { place: Place::new(), overlays };
        match DockerExecutor::connect(world.settings()).await {
            Ok(_) => Some(world),
            Err(error) => {
                skip(&format!("Docker ({error})"));
                None
            }
        }
    }
}

impl World for DockerWorld {
    type Executor = DockerExecutor;

    async fn find() -> Option<Self> {
        Self::with_overlays(true).await
    }

    async fn executor(&self) -> DockerExecutor {
        DockerExecutor::connect(self.settings()).await.unwrap()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn image(&self) -> &'static str {
        "busybox:stable"
    }
}

/// Real Docker where no overlay can be mounted, as for a user who is not root.
pub(crate) struct PlainDockerWorld(DockerWorld);

impl World for PlainDockerWorld {
    type Executor = DockerExecutor;

    async fn find() -> Option<Self> {
        DockerWorld::with_overlays(false).await.map(Self)
    }

    async fn executor(&self) -> DockerExecutor {
        self.0.executor().await
    }

    fn place(&self) -> &Place {
        &self.0.place
    }

    fn image(&self) -> &str {
        self.0.image()
    }
}

/// Processes of this machine.
pub(crate) struct HostWorld {
    place: Place,
}

impl World for HostWorld {
    type Executor = HostExecutor;

    async fn find() -> Option<Self> {
        Some(Self { place: Place::new() })
    }

    async fn executor(&self) -> HostExecutor {
        let settings = HostSettings {
            state_folder: self.place.state_folder(),
            env: Vec::new(),
            now: std::sync::Arc::new(now),
        };
        HostExecutor::new(settings).unwrap()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn image(&self) -> &'static str {
        "none"
    }
}

/// A test's imagination, in paused time.
pub(crate) struct FakeWorld {
    place: Place,
    executor: FakeExecutor,
}

impl World for FakeWorld {
    type Executor = FakeExecutor;

    async fn find() -> Option<Self> {
        tokio::time::pause();
        Some(Self { place: Place::new(), executor: FakeExecutor::new(Timestamp(0)) })
    }

    async fn executor(&self) -> FakeExecutor {
        self.executor.clone()
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn image(&self) -> &'static str {
        "imagined"
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of these tests")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

impl Drop for Place {
    fn drop(&mut self) {
        self.forget_alias();
    }
}

/// What the `docker` command says.
pub(crate) fn docker(words: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The name of an attempt's container, by what it ends with.
pub(crate) fn container_of(name: &AttemptName, end: &str) -> String {
    let label = format!("label=trunkline.attempt={}", name.slug());
    let names = docker(&["ps", "-a", "--filter", &label, "--format", "{{.Names}}"]);
    let end = format!("-{}-{end}", name.slug());
    let found = names.lines().find(|it| it.ends_with(&end));
    found.unwrap_or_else(|| panic!("no container `…{end}` among {names}")).to_owned()
}
