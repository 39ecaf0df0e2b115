//! Pages that stay true: their parts are made again when a run changes, and sent where they differ.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use axum::response::Response;
use axum::response::sse::Event;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::http::{App, Problem, Visitor, event, event_stream};
use crate::model::RunId;
use crate::runs::{Change, News};

/// The shortest time between two looks: what changes in between is shown once.
const PACE: Duration = Duration::from_millis(300);
/// A page over many runs looks less often.
const PACE_OF_ALL: Duration = Duration::from_secs(1);
/// Between two looks when no news come: they may have been lost.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What a page watches.
#[derive(Debug, Clone)]
pub(in crate::ui) enum Watch {
    /// One run.
    Run(RunId),
    /// Every run.
    Runs,
}

/// A part of a page: the element with this id becomes this.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(in crate::ui) struct Part {
    /// Id of the element.
    pub(in crate::ui) id: &'static str,
    /// What is in it.
    pub(in crate::ui) html: String,
}

/// Makes the parts anew.
pub(in crate::ui) type Render =
    Box<dyn Fn() -> BoxFuture<'static, Result<Vec<Part>, Problem>> + Send>;

/// The stream that keeps a page true. It begins with every part, so that who comes back sees what is.
pub(in crate::ui) fn stream(
    app: &App,
    visitor: &Visitor,
    watch: Watch,
    render: Render,
) -> Result<Response, Problem> {
    let place = app.streams.open(&visitor.0.person, app.now())?;
    let watcher = Watcher {
        changes: app.runs.subscribe(),
        app: app.clone(),
        watch,
        render,
        shown: HashMap::new(),
        queue: VecDeque::new(),
        looked_at: None,
    };
    let events = stream::unfold(watcher, |mut it| async { Some((it.next().await, it)) });
    Ok(event_stream(app, place, events))
}

struct Watcher {
    app: App,
    changes: broadcast::Receiver<Change>,
    watch: Watch,
    render: Render,
    /// Digests of what the browser shows.
    shown: HashMap<&'static str, u64>,
    queue: VecDeque<Part>,
    looked_at: Option<Instant>,
}

impl Watcher {
    async fn next(&mut self) -> Result<Event, Problem> {
        loop {
            if let Some(part) = self.queue.pop_front() {
                return event("part", None, &part);
            }
            if let Some(looked_at) = self.looked_at {
                let _elapsed = tokio::time::timeout(LOOK_AGAIN, self.changed()).await;
                tokio::time::sleep_until(looked_at + self.pace()).await;
            }
            self.look().await?;
        }
    }

    fn pace(&self) -> Duration {
        match self.watch {
            Watch::Run(_) => PACE,
            Watch::Runs => PACE_OF_ALL,
        }
    }

    async fn changed(&mut self) {
        loop {
            match self.changes.recv().await {
                Ok(change) if !self.concerns(&change) => (),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn concerns(&self, change: &Change) -> bool {
        match (&self.watch, change.news()) {
            (_, News::Everything) | (Watch::Runs, News::Run(..)) => true,
            (Watch::Run(run), News::Run(changed, _)) => run == changed,
            _ => false,
        }
    }

    async fn look(&mut self) -> Result<(), Problem> {
        self.looked_at = Some(Instant::now());
        // All that was announced until now is in what is read next.
        self.changes = self.app.runs.subscribe();
        for part in (self.render)().await? {
            let digest = digest(&part.html);
            if self.shown.insert(part.id, digest) != Some(digest) {
                self.queue.push_back(part);
            }
        }
        Ok(())
    }
}

/// Tells two texts apart; nobody gains from making them equal.
fn digest(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
