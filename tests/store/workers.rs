//! Two workers on one Postgres, each with a state folder of its own, as on two machines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trunkline::blobs::{Blobs, Logs};
use trunkline::engine::{self, Event};
use trunkline::executor::{HostExecutor, HostSettings};
use trunkline::model::{
    Clock as _, FailureClass, Milliseconds, ProjectId, RunId, RunStatus, StageIndex,
};
use trunkline::pipeline::{self, Context, Selection, SourceFile};
use trunkline::runs::{CreateRun, LoadedRun, Runs};
use trunkline::secrets::{Given, SecretSource};
use trunkline::store::Store;
use trunkline::store::fleet::LeaseClaim;
use trunkline::worker::{SystemClock, Worker, WorkerParts, WorkerPlace, WorkerSettings};

use crate::databases::Database;

const PATIENCE: Duration = Duration::from_mins(1);
const LEASE: Milliseconds = Milliseconds(2000);

/// A repository, a database, and where stages write what they did.
struct Scene {
    folder: tempfile::TempDir,
    database: Database,
    store: Store,
    runs: Runs,
    created: std::cell::Cell<u32>,
}

impl Scene {
    async fn start(test: &str) -> Option<Self> {
        let database = Database::postgres(test).await?;
        let folder = tempfile::tempdir().unwrap();
        let store = database.open().await;
        let runs = Runs::new(store.clone());
        let scene = Self { folder, database, store, runs, created: std::cell::Cell::new(0) };
        std::fs::create_dir_all(scene.repository()).unwrap();
        scene.git(&["init", "-q", "-b", "main"]);
        let who = ["-c", "user.name=Ada", "-c", "user.email=a@example.com"];
        scene.git(&[&who[..], &["commit", "-q", "--allow-empty", "-m", "first"]].concat());
        Some(scene)
    }

    async fn end(self, mut processes: Vec<Process>) {
        for process in &mut processes {
            process.shutdown.cancel();
            while process.tasks.join_next().await.is_some() {}
            process.store.close().await;
        }
        self.store.close().await;
        self.database.remove().await;
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let git = Command::new("git").arg("-C").arg(self.repository()).args(arguments).output();
        let git = git.unwrap();
        assert!(git.status.success(), "git {arguments:?}: {git:?}");
        String::from_utf8(git.stdout).unwrap().trim().to_owned()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// A new run of a pipeline, in which `SAID` stands for the file that stages write to.
    async fn run(&self, stages: &str) -> RunId {
        let said = self.folder.path().join("said").display().to_string();
        let text = format!("version: 1\nname: ci\n{}", stages.replace("SAID", &said));
        let file = SourceFile { name: "ci.yml".to_owned(), text };
        let checked = pipeline::check(file, &|it| Err(format!("no file `{}`", it.file)));
        let pipeline = checked.pipeline.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
        let mut context = Context { event: "push".to_owned(), ..Context::default() };
        context.git.sha = self.git(&["rev-parse", "HEAD"]);
        "refs/heads/main".clone_into(&mut context.git.r#ref);
        let plan = pipeline.plan(&context, &Selection::All).unwrap();
        let number = self.created.get() + 1;
        self.created.set(number);
        let id = RunId(format!("01k{number:023}"));
        let create = CreateRun {
            id: id.clone(),
            repository: self.repository().display().to_string(),
            tree: self.git(&["rev-parse", "HEAD^{tree}"]),
            project: ProjectId(String::new()),
            cause: String::new(),
            height: 0,
            plan,
            context,
            created_at: SystemClock.now(),
        };
        self.runs.create(&create).await.unwrap();
        id
    }

    async fn process(&self, name: &str, labels: &[(&str, &str)]) -> Process {
        Process::start(self, name, labels).await
    }

    async fn wait(&self, run: &RunId, what: &str, is_so: impl Fn(&LoadedRun) -> bool) -> LoadedRun {
        let started = Instant::now();
        loop {
            let loaded = self.runs.load(run).await.unwrap();
            if is_so(&loaded) {
                return loaded;
            }
            assert!(started.elapsed() < PATIENCE, "{what}: {:?}", loaded.run);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wait_for_words(&self, words: &str) {
        let started = Instant::now();
        while !self.said().contains(words) {
            assert!(started.elapsed() < PATIENCE, "`{words}` was not said: {}", self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wait_for_end(&self, run: &RunId) -> LoadedRun {
        self.wait(run, "no end", |it| it.run.status().is_finished()).await
    }

    async fn drivers(&self, run: &RunId) -> Vec<String> {
        let events = self.store.list_events(run, 0).await.unwrap();
        let owner =
            |event| if let Event::LeaseTaken { owner, .. } = event { Some(owner) } else { None };
        events.into_iter().filter_map(|it| owner(it.event)).collect()
    }
}

/// One worker on a machine of its own.
struct Process {
    store: Store,
    worker: Worker<HostExecutor>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Process {
    async fn start(scene: &Scene, name: &str, labels: &[(&str, &str)]) -> Self {
        let folder = scene.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = scene.database.open().await;
        let runs = Runs::new(store.clone());
        let worker = worker(&runs, &folder, (name, labels));
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (served, news) = ((worker.clone(), shutdown.clone()), (runs, shutdown.clone()));
        tasks.spawn(async move { served.0.serve(&served.1).await.unwrap() });
        tasks.spawn(async move { news.0.share_news(&news.1).await });
        Self { store, worker, shutdown, tasks }
    }

    /// Nothing is released, and what runs goes on.
    async fn die(&mut self) {
        self.tasks.shutdown().await;
    }
}

fn worker(
    runs: &Runs,
    folder: &Path,
    (name, labels): (&str, &[(&str, &str)]),
) -> Worker<HostExecutor> {
    let settings = HostSettings {
        state_folder: folder.to_owned(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        now: Arc::new(|| SystemClock.now()),
    };
    let parts = WorkerParts {
        runs: runs.clone(),
        blobs: Blobs::open(&folder.join("blobs")).unwrap(),
        logs: Logs::open(&folder.join("logs")).unwrap(),
        executor: HostExecutor::new(settings).unwrap(),
        clock: Arc::new(SystemClock),
        projects: None,
        secrets: SecretSource::Given(Given::default()),
    };
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let labels: BTreeMap<String, String> = labels.iter().map(own).collect();
    let settings = WorkerSettings {
        instance: format!("folder of {name}"),
        owner: name.to_owned(),
        state_folder: folder.to_owned(),
        slots: 1,
        look_ahead: 0,
        log_limit_bytes: 1 << 20,
        keep_failed: false,
        reuse: false,
        is_shared: true,
        lease: LEASE,
        place: Some(WorkerPlace { kind: "worker".to_owned(), labels, leaves_when_drained: true }),
    };
    Worker::new(parts, settings)
}

fn classes(loaded: &LoadedRun, stage: u32) -> Vec<Option<FailureClass>> {
    let stage = loaded.run.stage(StageIndex(stage)).unwrap();
    stage.attempts.iter().map(|it| it.outcome.as_ref().unwrap().class).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_of_a_dead_worker_goes_on_elsewhere_and_its_attempt_is_lost() {
    let Some(scene) = Scene::start("the_run_of_a_dead_worker").await else { return };
    let mut one = scene.process("one", &[]).await;
    let stages = "stages:\n  a:\n    image: none\n    run: \
        echo attempt $TRUNKLINE_ATTEMPT >>SAID; if [ $TRUNKLINE_ATTEMPT = 1 ]; then sleep 8; fi\n";
    let run = scene.run(stages).await;
    scene.wait_for_words("attempt 1").await;
    let before = scene.runs.load(&run).await.unwrap();
    one.die().await;
    let two = scene.process("two", &[]).await;
    let loaded = scene.wait_for_end(&run).await;
    assert_eq!(loaded.run.status(), RunStatus::Passed);
    assert_eq!(classes(&loaded, 0), [Some(FailureClass::LostWorker), None]);
    assert_eq!(scene.said(), "attempt 1\nattempt 2\n");
    assert_eq!(scene.drivers(&run).await, ["one", "two"]);
    // What the dead one says after all changes nothing.
    let mut late = before;
    let (attempt, _) = late.run.stage(StageIndex(0)).unwrap().open_attempt().unwrap();
    let attempt = trunkline::model::AttemptName { run: run.clone(), stage: StageIndex(0), attempt };
    let outcome = engine::AttemptOutcome::default();
    let command = engine::Command::FinishAttempt { attempt, outcome, epoch: 1 };
    assert!(scene.runs.execute(&mut late, &command, SystemClock.now()).await.is_err());
    scene.end(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_the_same_folder_adopts_what_a_dead_one_has_left_at_once() {
    let Some(scene) = Scene::start("a_process_of_the_same_folder").await else { return };
    let mut one = scene.process("one", &[]).await;
    let stages = "stages:\n  a:\n    image: none\n    run: echo once >>SAID; sleep 2\n";
    let run = scene.run(stages).await;
    scene.wait_for_words("once").await;
    one.die().await;
    let again = scene.process("one", &[]).await;
    let loaded = scene.wait_for_end(&run).await;
    assert_eq!(classes(&loaded, 0), [None]);
    assert_eq!(scene.said(), "once\n");
    assert_eq!(scene.drivers(&run).await, ["one", "one"]);
    scene.end(vec![one, again]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_has_lost_its_lease_ends_what_it_runs() {
    let Some(scene) = Scene::start("a_worker_that_has_lost_its_lease").await else { return };
    let one = scene.process("one", &[]).await;
    let stages = "stages:\n  a:\n    image: none\n    run: echo pid $$ >>SAID; sleep 100\n";
    let run = scene.run(stages).await;
    scene.wait_for_words("pid").await;
    let pid = scene.said().trim().trim_start_matches("pid ").to_owned();
    let process = PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists());
    // As after a pause of `one` that was longer than its lease.
    let now = SystemClock.now();
    let claim = LeaseClaim {
        run: &run,
        owner: "two",
        instance: "folder of two",
        now,
        until: now.plus(Milliseconds::from_seconds(60)),
        steal: true,
    };
    let epoch = scene.store.claim_lease(&claim).await.unwrap().unwrap();
    let mut loaded = scene.runs.load(&run).await.unwrap();
    let (owner, instance) = ("two".to_owned(), "folder of two".to_owned());
    let epoch = u64::try_from(epoch).unwrap();
    let take = engine::Command::TakeLease { epoch, owner, instance };
    scene.runs.execute(&mut loaded, &take, now).await.unwrap();
    assert_eq!(classes(&loaded, 0), [Some(FailureClass::LostWorker)]);
    let started = Instant::now();
    while process.exists() {
        assert!(started.elapsed() < PATIENCE, "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    scene.end(vec![one]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_ends_what_it_runs_and_hands_the_rest_over() {
    let Some(scene) = Scene::start("a_drained_worker").await else { return };
    let mut one = scene.process("one", &[]).await;
    let stages = "stages:\n  a: { image: none, run: 'echo a >>SAID; sleep 1' }\n  \
        b: { image: none, needs: [a], run: 'echo b >>SAID' }\n";
    let run = scene.run(stages).await;
    scene.wait_for_words("a").await;
    one.worker.drain();
    let two = scene.process("two", &[]).await;
    let loaded = scene.wait_for_end(&run).await;
    assert_eq!(loaded.run.status(), RunStatus::Passed);
    assert_eq!((classes(&loaded, 0), classes(&loaded, 1)), (vec![None], vec![None]));
    assert_eq!(scene.drivers(&run).await, ["one", "two"]);
    // It has left by itself.
    assert!(one.tasks.join_next().await.unwrap().is_ok());
    let names: Vec<_> =
        scene.store.list_workers().await.unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["two"]);
    scene.end(vec![one, two]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_runs_where_its_labels_are() {
    let Some(scene) = Scene::start("a_stage_runs_where_its_labels_are").await else { return };
    let plain = scene.process("plain", &[]).await;
    let stages = "stages:\n  a: { image: none, run: 'echo a >>SAID; sleep 1' }\n  \
        b: { image: none, needs: [a], labels: { gpu: true }, run: 'echo b >>SAID' }\n";
    let run = scene.run(stages).await;
    scene.wait_for_words("a").await;
    let only_gpu =
        scene.run("stages: { c: { image: none, labels: { gpu: true }, run: 'true' } }").await;
    let waiting = scene.runs.queue(SystemClock.now()).await.unwrap();
    let of_gpu = waiting.iter().find(|it| it.row.id == only_gpu).unwrap();
    assert_eq!(of_gpu.position, Some(1));
    assert!(format!("{:?}", of_gpu.reasons).contains("Labels"), "{:?}", of_gpu.reasons);
    scene
        .wait(&run, "a does not end", |it| {
            it.run.stage(StageIndex(0)).unwrap().status.is_finished()
        })
        .await;
    let gpu = scene.process("gpu", &[("gpu", "true")]).await;
    for run in [&run, &only_gpu] {
        assert_eq!(scene.wait_for_end(run).await.run.status(), RunStatus::Passed);
        assert_eq!(scene.drivers(run).await.last().map(String::as_str), Some("gpu"));
    }
    assert!(scene.runs.queue(SystemClock.now()).await.unwrap().is_empty());
    scene.end(vec![plain, gpu]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_run_elsewhere_cancels_an_older_one_unless_it_must_not_be_interrupted() {
    let Some(scene) = Scene::start("a_newer_run_elsewhere").await else { return };
    let both = vec![scene.process("one", &[]).await, scene.process("two", &[]).await];
    let stages = |seconds: u32, interruptible: bool| {
        format!(
            "concurrency: {{ group: ci, on_new: cancel_running }}\nstages:\n  \
             a: {{ image: none, interruptible: {interruptible}, run: 'echo began >>SAID; sleep {seconds}' }}\n"
        )
    };
    let old = scene.run(&stages(100, true)).await;
    scene.wait_for_words("began").await;
    let new = scene.run(&stages(3, false)).await;
    assert_eq!(scene.wait_for_end(&old).await.run.status(), RunStatus::Cancelled);
    scene.wait_for_words("began\nbegan").await;
    let newest = scene.run(&stages(0, true)).await;
    assert_eq!(scene.wait_for_end(&new).await.run.status(), RunStatus::Passed);
    assert_eq!(scene.wait_for_end(&newest).await.run.status(), RunStatus::Passed);
    scene.end(both).await;
}
