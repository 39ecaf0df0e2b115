//! An executor in memory for tests: it obeys tokio's (paused) time, is deterministic, and does wrong what it
//! is told to do wrong. Its world outlives a clone, so a clone is what a new process would find.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::executor::{
    AttemptState, BeginSpec, BuildSpec, BuiltImage, CommandSpec, Executor, ExecutorError, Exit,
    Found, LogStream, PrepareSpec, Published, Pull, Signal, StepSpec, TarStream,
};
use crate::model::{AttemptName, Digest, Timestamp};

mod attempt;
mod files;
mod program;

use attempt::Attempt;

/// A method of [`Executor`], as a fault may be meant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as the methods")]
pub enum Operation {
    Prepare,
    Upload,
    Begin,
    Follow,
    Wait,
    Signal,
    Published,
    Download,
    Remove,
    List,
    Build,
    ImageUser,
    State,
    ImageDigest,
}

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It does nothing and fails.
    Fail(ExecutorError),
    /// It does what it was asked to, and says that it failed.
    LoseAnswer(ExecutorError),
    /// It does what it was asked to only after this time.
    Delay(Duration),
    /// It does what it was asked to, and answers only after this time.
    LateAnswer(Duration),
    /// All of the attempt disappears before the call.
    Vanish,
}

/// Decides about each call, in the order they are made.
pub type Faults = Arc<dyn Fn(Operation, Option<&AttemptName>) -> Fault + Send + Sync>;

/// Runs attempts in a test's imagination.
///
/// Steps are texts of these commands, one a line: `echo TEXT` (also `print`), with `> FILE`, `>> FILE`,
/// `>> "$TRUNKLINE_METRICS"` or `>> "$TRUNKLINE_OUTPUTS"`; `cat FILE`; `sleep SECONDS`; `exit CODE`; `true`;
/// `false`; `trap '' TERM`; `metric NAME VALUE`; `output KEY VALUE`; `oom`; `vanish`.
/// An image whose name has `missing` in it cannot be pulled.
#[derive(Clone)]
pub struct FakeExecutor {
    world: Arc<Mutex<World>>,
    changes: watch::Sender<u64>,
    faults: Faults,
}

struct World {
    attempts: BTreeMap<AttemptName, Attempt>,
    scripts: BTreeMap<String, String>,
    begun: Vec<AttemptName>,
    start: Instant,
    start_at: Timestamp,
}

impl fmt::Debug for FakeExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeExecutor").finish_non_exhaustive()
    }
}

impl FakeExecutor {
    /// A world that begins now, at `start_at`.
    #[must_use]
    pub fn new(start_at: Timestamp) -> Self {
        let world = World {
            attempts: BTreeMap::new(),
            scripts: BTreeMap::new(),
            begun: Vec::new(),
            start: Instant::now(),
            start_at,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            changes: watch::Sender::new(0),
            faults: Arc::new(|_, _| Fault::None),
        }
    }

    /// The same world, seen through these faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// What a stage does instead of its steps' texts, one step of this text.
    pub fn script(&self, stage: &str, text: &str) {
        self.lock().scripts.insert(stage.to_owned(), text.to_owned());
    }

    /// Every attempt that began to run, in order; twice in it is run twice.
    #[must_use]
    pub fn begun(&self) -> Vec<AttemptName> {
        self.lock().begun.clone()
    }

    /// Makes all of an attempt disappear, as a person with `docker rm` would.
    pub fn vanish(&self, name: &AttemptName) {
        if let Some(attempt) = self.lock().attempts.get_mut(name) {
            attempt.vanish();
        }
        self.announce();
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changes.send_modify(|it| *it += 1);
    }

    async fn call<T>(
        &self,
        operation: Operation,
        name: Option<&AttemptName>,
        act: impl Future<Output = Result<T, ExecutorError>> + Send,
    ) -> Result<T, ExecutorError> {
        match (self.faults)(operation, name) {
            Fault::None => act.await,
            Fault::Fail(error) => Err(error),
            Fault::LoseAnswer(error) => {
                drop(act.await);
                Err(error)
            }
            Fault::Delay(span) => {
                tokio::time::sleep(span).await;
                act.await
            }
            Fault::LateAnswer(span) => {
                let answer = act.await;
                tokio::time::sleep(span).await;
                answer
            }
            Fault::Vanish => {
                if let Some(name) = name {
                    self.vanish(name);
                }
                act.await
            }
        }
    }

    fn with_attempt<T>(
        &self,
        name: &AttemptName,
        act: impl FnOnce(&mut Attempt) -> Result<T, ExecutorError>,
    ) -> Result<T, ExecutorError> {
        match self.lock().attempts.get_mut(name) {
            Some(attempt) if !attempt.is_gone() => act(attempt),
            _ => Err(ExecutorError::Gone(name.slug())),
        }
    }

    fn prepare_now(&self, spec: &PrepareSpec) -> Result<(), ExecutorError> {
        refuse_missing(&spec.image)?;
        let mut world = self.lock();
        let is_here = world.attempts.get(&spec.name).is_some_and(|it| !it.is_gone());
        if !is_here {
            let attempt = Attempt::new(spec.label.clone(), spec.workspace.checkout.as_deref())?;
            world.attempts.insert(spec.name.clone(), attempt);
        }
        Ok(())
    }

    fn begin_now(&self, name: &AttemptName, spec: &BeginSpec) -> Result<(), ExecutorError> {
        let mut world = self.lock();
        let world = &mut *world;
        let attempt = world.attempts.get_mut(name).filter(|it| !it.is_gone());
        let attempt = attempt.ok_or_else(|| ExecutorError::Gone(name.slug()))?;
        if attempt.is_begun() {
            return Ok(());
        }
        let steps = match (world.scripts.get(attempt.stage()), &spec.command) {
            (Some(text), _) => vec![only_step(text.clone())],
            (None, CommandSpec::Steps(steps)) => steps.clone(),
            (None, CommandSpec::Program(words)) => vec![only_step(words.join(" "))],
        };
        let has_markers = matches!(spec.command, CommandSpec::Steps(_));
        let since = world.start.elapsed();
        let begun_at = Timestamp(world.start_at.0 + millis(since));
        attempt.begin(&steps, has_markers, begun_at);
        world.begun.push(name.clone());
        self.announce();
        Ok(())
    }

    /// The next thing at `index` of an attempt's log, as soon as it is there.
    async fn next_item(&self, name: &AttemptName, index: usize) -> Option<attempt::Next> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let next = self.with_attempt(name, |attempt| Ok(attempt.next_item(index)));
            match next {
                Err(error) => return Some(attempt::Next::Failed(error)),
                Ok(attempt::Next::Later(moment)) => wait_until(moment, &mut changes).await,
                Ok(attempt::Next::Ended) => return None,
                Ok(next) => return Some(next),
            }
        }
    }

    async fn end(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            match self.with_attempt(name, |attempt| Ok(attempt.end()))? {
                Ok(exit) => return Ok(exit),
                Err(moment) => wait_until(moment, &mut changes).await,
            }
        }
    }
}

/// Waits for a moment, or for a change of the world, whichever is first.
async fn wait_until(moment: Option<Instant>, changes: &mut watch::Receiver<u64>) {
    let pause = async {
        match moment {
            Some(moment) => tokio::time::sleep_until(moment).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = pause => {}
        // Fails only when the world is gone, and then nobody waits.
        seen = changes.changed() => drop(seen),
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn only_step(run: String) -> StepSpec {
    StepSpec { run, env: Vec::new(), when_passing: true, when_failed: false }
}

fn refuse_missing(image: &str) -> Result<(), ExecutorError> {
    if image.contains("missing") {
        let reason = "the registry does not know it".to_owned();
        return Err(ExecutorError::Image { image: image.to_owned(), reason, is_definite: false });
    }
    Ok(())
}

impl Executor for FakeExecutor {
    async fn prepare(
        &self,
        spec: &PrepareSpec,
        _: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        self.call(Operation::Prepare, Some(&spec.name), async { self.prepare_now(spec) }).await
    }

    async fn upload(
        &self,
        name: &AttemptName,
        directory: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        let act = async {
            let found = files::read_archive(tar, Path::new(directory)).await?;
            self.with_attempt(name, |attempt| {
                attempt.files.extend(found);
                Ok(())
            })
        };
        self.call(Operation::Upload, Some(name), act).await
    }

    async fn begin(&self, name: &AttemptName, spec: &BeginSpec) -> Result<(), ExecutorError> {
        self.call(Operation::Begin, Some(name), async { self.begin_now(name, spec) }).await
    }

    async fn follow(&self, name: &AttemptName) -> Result<LogStream, ExecutorError> {
        let act = async {
            self.with_attempt(name, |_| Ok(()))?;
            let (executor, name) = (self.clone(), name.clone());
            let items = stream::unfold(Some(0), move |index| {
                let (executor, name) = (executor.clone(), name.clone());
                async move {
                    let index = index?;
                    match executor.next_item(&name, index).await? {
                        attempt::Next::Item(item) => Some((Ok(item), Some(index + 1))),
                        attempt::Next::Failed(error) => Some((Err(error), None)),
                        attempt::Next::Later(_) | attempt::Next::Ended => None,
                    }
                }
            });
            Ok(items.boxed())
        };
        self.call(Operation::Follow, Some(name), act).await
    }

    async fn wait(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        self.call(Operation::Wait, Some(name), self.end(name)).await
    }

    async fn signal(&self, name: &AttemptName, signal: Signal) -> Result<(), ExecutorError> {
        let act = async {
            if let Some(attempt) = self.lock().attempts.get_mut(name) {
                attempt.signal(signal);
            }
            self.announce();
            Ok(())
        };
        self.call(Operation::Signal, Some(name), act).await
    }

    async fn published(&self, name: &AttemptName) -> Result<Published, ExecutorError> {
        let act = async { self.with_attempt(name, |attempt| Ok(attempt.published())) };
        self.call(Operation::Published, Some(name), act).await
    }

    async fn download(
        &self,
        name: &AttemptName,
        pattern: &str,
    ) -> Result<Option<TarStream>, ExecutorError> {
        let act = async {
            let files = self.with_attempt(name, |attempt| Ok(attempt.files_now()))?;
            files::pack(&files, pattern)
        };
        self.call(Operation::Download, Some(name), act).await
    }

    async fn remove(&self, name: &AttemptName) -> Result<(), ExecutorError> {
        let act = async {
            self.lock().attempts.remove(name);
            self.announce();
            Ok(())
        };
        self.call(Operation::Remove, Some(name), act).await
    }

    async fn list(&self, instance: &str) -> Result<Vec<Found>, ExecutorError> {
        let act = async {
            let world = self.lock();
            let ours = world.attempts.iter().filter(|(_, it)| it.is_of(instance));
            let found = |(name, attempt): (&AttemptName, &Attempt)| Found {
                name: name.clone(),
                is_running: attempt.is_running(),
            };
            Ok(ours.map(found).collect())
        };
        self.call(Operation::List, None, act).await
    }

    async fn build(
        &self,
        spec: &BuildSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<BuiltImage, ExecutorError> {
        let act = async {
            progress("imagined".to_owned());
            let slug = spec.name.slug();
            let digest = Digest::of(slug.as_bytes()).to_string();
            Ok(BuiltImage { digest, reference: format!("trunkline.invalid/built:{slug}") })
        };
        self.call(Operation::Build, Some(&spec.name), act).await
    }

    async fn image_user(
        &self,
        image: &str,
        _: Pull,
        _: Option<&str>,
        _: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(u32, u32), ExecutorError> {
        let act = async { refuse_missing(image).map(|()| (0, 0)) };
        self.call(Operation::ImageUser, None, act).await
    }

    async fn state(&self, name: &AttemptName) -> Result<AttemptState, ExecutorError> {
        let act = async {
            let world = self.lock();
            Ok(world.attempts.get(name).map_or(AttemptState::Absent, Attempt::state))
        };
        self.call(Operation::State, Some(name), act).await
    }

    async fn image_digest(&self, image: &str) -> Result<Option<String>, ExecutorError> {
        let act = async { Ok(Some(Digest::of(image.as_bytes()).to_string())) };
        self.call(Operation::ImageDigest, None, act).await
    }
}

/// Files of a workspace: content, or target of a symlink, and permissions.
type Files = BTreeMap<PathBuf, files::FakeFile>;
