//! The world as an executor. Each call may fail, come late, or do its work and lose the answer.

use std::sync::Arc;

use trunkline::engine::Stage;
use trunkline::executor::{
    AttemptState, BeginSpec, BuildSpec, BuiltImage, Executor, ExecutorError, Exit, Found,
    LogStream, PrepareSpec, Published, Pull, Signal, TarStream,
};
use trunkline::model::Clock;
use trunkline::model::{AttemptName, Milliseconds};

use crate::following::Following;
use crate::play::Play;
use crate::tape;
use crate::weather::broken;
use crate::world::{Begun, Container, Life, World};

/// What a machine says that may make nothing any more. No answer that says this may count.
pub(crate) const REPLACED: &str = "this machine was replaced";

/// One machine's hold on the world. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) world: Arc<World>,
    pub(crate) process: String,
    pub(crate) number: u32,
}

impl Machine {
    /// A lock on the machine keeps two processes from making containers at the same time. The simulation
    /// goes round that lock, so the world refuses instead.
    fn may_make(&self, call: &str) -> Result<(), ExecutorError> {
        let youngest = self.world.state().youngest_machines.get(&self.process).copied();
        let is_old = youngest.is_some_and(|it| self.number < it);
        let (operation, reason) = (call.to_owned(), REPLACED.to_owned());
        if is_old { Err(ExecutorError::Infra { operation, reason }) } else { Ok(()) }
    }

    /// Waits for the next thing to happen to a container.
    pub(crate) async fn next_change(&self, name: &AttemptName) {
        let (changed, moment) = {
            let state = self.world.state();
            let Some(container) = state.containers.get(name) else { return };
            (container.changed.clone(), container.next_moment(self.world.now()))
        };
        let changed = changed.notified();
        match moment {
            Some(moment) => tokio::select! {
                () = tokio::time::sleep_until(self.world.instant_of(moment)) => (),
                () = changed => (),
            },
            None => changed.await,
        }
    }

    /// What only the engine may know: an attempt under way must not be removed.
    async fn blame_early_removal(&self, name: &AttemptName) {
        let loaded = self.world.runs.load(&name.run).await.unwrap();
        let attempts = loaded.run.stage(name.stage).map(|it: &Stage| it.attempts.as_slice());
        let attempt = attempts.and_then(|it| it.get(name.attempt as usize - 1));
        if attempt.is_some_and(|it| it.finished_at.is_none()) {
            self.world.blame(format!("{name} was removed before its end was stored"));
        }
    }
}

impl Executor for Machine {
    async fn prepare(
        &self,
        spec: &PrepareSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        let mood = self.world.mood("prepare", &spec.name.slug());
        progress(format!("preparing {}", spec.name));
        tokio::time::sleep(mood.latency).await;
        mood.before("prepare")?;
        self.may_make("prepare")?;
        if spec.workspace.checkout.as_ref().is_none_or(|it| !it.join("README.md").exists()) {
            self.world.blame(format!("{} has no checkout", spec.name));
        }
        let mut state = self.world.state();
        let new = || Container::new(spec.label.clone());
        let container = state.containers.entry(spec.name.clone()).or_insert_with(new);
        container.settle(self.world.now());
        if matches!(container.life, Life::Lost) {
            state.ledger.violations.push(format!("{} was prepared after its loss", spec.name));
        }
        drop(state);
        mood.after("prepare", ())
    }

    async fn upload(
        &self,
        name: &AttemptName,
        _directory: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        let mood = self.world.mood("upload", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("upload")?;
        let files = tape::read(tar).await.map_err(|_| broken("upload"))?;
        let mut state = self.world.state();
        let container = state.containers.get_mut(name).ok_or_else(|| broken("upload"))?;
        container.files.extend(files);
        drop(state);
        mood.after("upload", ())
    }

    async fn begin(&self, name: &AttemptName, spec: &BeginSpec) -> Result<(), ExecutorError> {
        let mood = self.world.mood("begin", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("begin")?;
        self.may_make("begin")?;
        let now = self.world.now();
        let mut state = self.world.state();
        let mut dice = state.weather.dice(("vanish", name.slug()));
        let vanishes = dice.percent(state.weather.vanish_percent);
        let container = state.containers.get_mut(name).ok_or_else(|| broken("begin"))?;
        container.settle(now);
        match container.life {
            Life::Begun(..) => (),
            Life::Lost => return Err(ExecutorError::Gone(name.slug())),
            Life::Waiting => {
                let play = Play::new(name, spec, now);
                let span = play.end.since(now).0.min(3_000) + 300;
                let vanishes = vanishes.then(|| now.plus(Milliseconds(dice.between(0, span))));
                let arrived = container.files.clone();
                let own = format!("out-{}/made-by", container.label.stage);
                container.files.insert(own, name.slug().into_bytes());
                container.life = Life::Begun(play.clone(), vanishes);
                container.changed.notify_waiters();
                let begun = Begun { times: 0, play, arrived };
                state.ledger.begun.entry(name.clone()).or_insert(begun).times += 1;
            }
        }
        drop(state);
        mood.after("begin", ())
    }

    async fn follow(&self, name: &AttemptName) -> Result<LogStream, ExecutorError> {
        Ok(Following::stream(self.clone(), name.clone()))
    }

    async fn wait(&self, name: &AttemptName) -> Result<Exit, ExecutorError> {
        let mood = self.world.mood("wait", &name.slug());
        mood.before("wait")?;
        let exit = loop {
            match self.state_now(name) {
                AttemptState::Exited(exit) => break exit,
                AttemptState::Begun | AttemptState::Prepared => self.next_change(name).await,
                AttemptState::Absent | AttemptState::Lost => {
                    return Err(ExecutorError::Gone(name.slug()));
                }
            }
        };
        tokio::time::sleep(mood.latency).await;
        mood.after("wait", exit)
    }

    async fn signal(&self, name: &AttemptName, signal: Signal) -> Result<(), ExecutorError> {
        let mood = self.world.mood("signal", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("signal")?;
        let mut state = self.world.state();
        if let Some(container) = state.containers.get_mut(name)
            && let Life::Begun(play, _) = &mut container.life
        {
            play.interrupt(signal, self.world.now());
            container.changed.notify_waiters();
            let play = play.clone();
            state.ledger.begun.get_mut(name).unwrap().play = play;
        }
        drop(state);
        mood.after("signal", ())
    }

    async fn published(&self, name: &AttemptName) -> Result<Published, ExecutorError> {
        let mood = self.world.mood("published", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("published")?;
        let mut state = self.world.state();
        let found = state.containers.get_mut(name);
        let container = found.ok_or_else(|| ExecutorError::Gone(name.slug()))?;
        container.settle(self.world.now());
        let Life::Begun(play, _) = &container.life else {
            return Err(ExecutorError::Gone(name.slug()));
        };
        let metrics = play.metrics.clone().into_bytes();
        let outputs = play.outputs.clone().into_bytes();
        mood.after("published", Published { metrics, outputs })
    }

    async fn download(
        &self,
        name: &AttemptName,
        pattern: &str,
    ) -> Result<Option<TarStream>, ExecutorError> {
        let mood = self.world.mood("download", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("download")?;
        let mut state = self.world.state();
        let found = state.containers.get_mut(name);
        let container = found.ok_or_else(|| ExecutorError::Gone(name.slug()))?;
        container.settle(self.world.now());
        if matches!(container.life, Life::Lost) {
            return Err(ExecutorError::Gone(name.slug()));
        }
        let folder = format!("{pattern}/");
        let files = container.files.iter().filter(|(path, _)| path.starts_with(&folder));
        let files: Vec<_> = files.map(|(path, content)| (path.clone(), content.clone())).collect();
        let tar = (!files.is_empty()).then(|| tape::write(&files));
        mood.after("download", tar)
    }

    async fn remove(&self, name: &AttemptName) -> Result<(), ExecutorError> {
        self.blame_early_removal(name).await;
        let mood = self.world.mood("remove", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("remove")?;
        if let Some(container) = self.world.state().containers.remove(name) {
            container.changed.notify_waiters();
        }
        mood.after("remove", ())
    }

    async fn list(&self, instance: &str) -> Result<Vec<Found>, ExecutorError> {
        let mood = self.world.mood("list", instance);
        tokio::time::sleep(mood.latency).await;
        mood.before("list")?;
        let state = self.world.state();
        let ours = state.containers.iter().filter(|(_, it)| it.label.instance == instance);
        let found = ours.map(|(name, _)| Found { name: name.clone(), is_running: true }).collect();
        mood.after("list", found)
    }

    async fn build(
        &self,
        _spec: &BuildSpec,
        _progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<BuiltImage, ExecutorError> {
        Err(ExecutorError::Rejected("nothing is built here".to_owned()))
    }

    async fn image_user(
        &self,
        image: &str,
        _pull: Pull,
        _user: Option<&str>,
        _progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(u32, u32), ExecutorError> {
        let mood = self.world.mood("image_user", image);
        tokio::time::sleep(mood.latency).await;
        let refused = |_| ExecutorError::Image {
            image: image.to_owned(),
            reason: "rain".into(),
            is_definite: false,
        };
        mood.before("image_user").map_err(refused)?;
        mood.after("image_user", (1000, 1000))
    }

    async fn state(&self, name: &AttemptName) -> Result<AttemptState, ExecutorError> {
        let mood = self.world.mood("state", &name.slug());
        tokio::time::sleep(mood.latency).await;
        mood.before("state")?;
        mood.after("state", self.state_now(name))
    }

    async fn image_digest(&self, image: &str) -> Result<Option<String>, ExecutorError> {
        let mood = self.world.mood("image_digest", image);
        tokio::time::sleep(mood.latency).await;
        mood.before("image_digest")?;
        mood.after("image_digest", Some(format!("sha256:{image}")))
    }
}

impl Machine {
    fn state_now(&self, name: &AttemptName) -> AttemptState {
        let now = self.world.now();
        let mut state = self.world.state();
        let Some(container) = state.containers.get_mut(name) else { return AttemptState::Absent };
        container.settle(now);
        match &container.life {
            Life::Waiting => AttemptState::Prepared,
            Life::Begun(play, _) if play.end <= now => AttemptState::Exited(play.exit.clone()),
            Life::Begun(..) => AttemptState::Begun,
            Life::Lost => AttemptState::Lost,
        }
    }
}
