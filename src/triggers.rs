//! What starts runs on a server: deliveries, changes of a remote, schedules. And what goes back: statuses.
//! Everything is written down first and done after, so that a crash loses nothing and nothing is done twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::model::{Clock, ProjectId, Timestamp};
use crate::notifications::Notifications;
use crate::projects::{ProjectError, Projects};
use crate::runs::news::heard;
use crate::runs::{Change, News, Runs, RunsError};
use crate::source::SourceError;
use crate::store::{Store, StoreError};

mod intake;
mod matching;
mod pipelines;
mod start;
mod manual;
mod forks;
mod comments;
mod refs;
mod requests;
mod schedules;
mod statuses;
mod outbox;

#[cfg(test)]
mod tests;

pub use intake::Received;
pub use manual::{ManualError, ManualOrder, Startable};

/// Between two looks at what is due, when nobody has woken us.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What starts runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Triggers {
    runs: Runs,
    projects: Projects,
    settings: Arc<TriggerSettings>,
    clock: Arc<dyn Clock>,
    /// Something is to be processed.
    new_delivery: Arc<Notify>,
    /// A remote is to be looked at.
    new_look: Arc<Notify>,
    notifications: Option<Notifications>,
}

/// How an installation answers the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerSettings {
    /// Where people reach the server, without a slash at the end; statuses link to it.
    pub public_url: Option<String>,
    /// How often the remote of a project with a forge is compared with what deliveries have told.
    pub reread_seconds: i64,
}

impl Default for TriggerSettings {
    fn default() -> Self {
        Self { public_url: None, reread_seconds: 15 * 60 }
    }
}

/// Why something could not be done now. Trying again may help, except where it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// The repository or the forge.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A run could not be made or changed.
    #[error(transparent)]
    Runs(#[from] RunsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of ours broke.
    #[error("reading a revision broke: {0}")]
    Broken(String),
}

impl From<SourceError> for TriggerError {
    fn from(error: SourceError) -> Self {
        Self::Project(error.into())
    }
}

impl Triggers {
    /// What starts these runs.
    #[must_use]
    pub fn new(
        runs: Runs,
        projects: Projects,
        settings: TriggerSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            runs,
            projects,
            settings: Arc::new(settings),
            clock,
            new_delivery: Arc::default(),
            new_look: Arc::default(),
            notifications: None,
        }
    }

    /// The same, which also tells people and programs what becomes of runs.
    #[must_use]
    pub fn with_notifications(self, notifications: Notifications) -> Self {
        Self { notifications: Some(notifications), ..self }
    }

    /// What tells people and programs, if anything does.
    #[must_use]
    pub fn notifications(&self) -> Option<&Notifications> {
        self.notifications.as_ref()
    }

    /// The repositories and forges of the projects.
    #[must_use]
    pub fn projects(&self) -> &Projects {
        &self.projects
    }

    /// Works until `shutdown`; what is under way then is finished, or done again by the next process.
    pub async fn serve(&self, shutdown: &CancellationToken) {
        tokio::join!(
            self.process_deliveries(shutdown),
            self.watch_remotes(shutdown),
            Box::pin(self.repeat(shutdown, || self.start_due_schedules())),
            Box::pin(self.repeat(shutdown, || self.derive_statuses())),
            Box::pin(self.repeat(shutdown, || self.post_statuses())),
            self.send_notifications(shutdown),
            self.hear_others(shutdown),
        );
    }

    async fn send_notifications(&self, shutdown: &CancellationToken) {
        if let Some(notifications) = &self.notifications {
            notifications.serve(shutdown).await;
        }
    }

    /// What other processes have stored wakes the loops of this one: the first that is free takes it.
    async fn hear_others(&self, shutdown: &CancellationToken) {
        let mut changes = self.runs.subscribe();
        let concerns = |it: &Change| {
            if matches!(it.news(), News::Delivery | News::Everything) {
                self.new_delivery.notify_one();
            }
            if matches!(it.news(), News::Look | News::Everything) {
                self.new_look.notify_one();
            }
            false
        };
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => (),
                // Ends only when some were lost.
                () = heard(&mut changes, concerns) => {
                    self.new_delivery.notify_one();
                    self.new_look.notify_one();
                }
            }
        }
    }

    /// Does something again and again; what goes wrong is told, and tried again at the next look.
    async fn repeat<F: Future<Output = Result<bool, TriggerError>>>(
        &self,
        shutdown: &CancellationToken,
        work: impl Fn() -> F,
    ) {
        while !shutdown.is_cancelled() {
            match work().await {
                Ok(true) => continue,
                Ok(false) => (),
                Err(error) => tracing::warn!(%error, "what is due could not be done"),
            }
            tokio::select! {
                () = shutdown.cancelled() => (),
                () = tokio::time::sleep(LOOK_EVERY) => (),
            }
        }
    }

    fn store(&self) -> &Store {
        self.runs.store()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Work on projects, at most so much at once, and one piece at a time for each project.
struct Lanes {
    tasks: JoinSet<ProjectId>,
    busy: BTreeSet<ProjectId>,
    limit: usize,
}

impl Lanes {
    fn new(limit: usize) -> Self {
        Self { tasks: JoinSet::new(), busy: BTreeSet::new(), limit }
    }

    fn is_free(&self, project: &ProjectId) -> bool {
        self.busy.len() < self.limit && !self.busy.contains(project)
    }

    fn start(&mut self, project: ProjectId, work: impl Future<Output = ()> + Send + 'static) {
        self.busy.insert(project.clone());
        self.tasks.spawn(async move {
            work.await;
            project
        });
    }

    /// Waits for a piece of work to end.
    async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(project)) => {
                self.busy.remove(&project);
            }
            Some(Err(error)) => {
                // Which project it was is not known: all that still runs keeps its claim in the store.
                tracing::error!(%error, "work on a project broke");
                self.busy.clear();
            }
            None => std::future::pending().await,
        }
    }
}
