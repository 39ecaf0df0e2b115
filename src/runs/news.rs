//! News for this process and for others on the same Postgres. They wake, and are never needed: whoever
//! waits for them looks now and again all the same, so what is lost costs a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::{LoadedRun, Runs};
use crate::model::RunId;
use crate::store::StoreError;
use crate::store::fleet::notices::{Heard, Listener, NOTICES_MAX};

/// News that may wait to be sent to other processes; above it they are told to look at everything.
const OUTBOX_MAX: usize = 1024;
/// News that a slow reader of this process may be behind.
const CHANGES_MAX: usize = 1024;
/// How long a watcher sleeps when it cannot count on news.
const POLL_DEAF: Duration = Duration::from_millis(250);
/// How long it sleeps when it can.
const POLL_HEARING: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The part of a group's name that is told.
const NAME_MAX: usize = 200;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Something happened to a run; the number of its events.
    Run(RunId, i64),
    /// A run that was driven waits for a new driver.
    Takeable,
    /// A slot of this concurrency group (the beginning of its name) may be free.
    Freed(String),
    /// A delivery is to be processed.
    Delivery,
    /// A remote is to be looked at.
    Look,
    /// Somebody has said something to a worker.
    Workers,
    /// A project was changed: for those who look at it, or at its runs.
    Project,
    /// More is known of a project's remote, or of what came of a delivery: for those who look at trunks.
    Trunk,
    /// News were lost.
    Everything,
}

/// Says that something has changed.
#[derive(Debug, Clone)]
pub struct Change(pub(super) News);

impl Change {
    /// Whether there may be a run that nobody drives: a new one, or one that was left.
    #[must_use]
    pub fn is_takeable(&self) -> bool {
        matches!(self.0, News::Run(_, 0) | News::Takeable | News::Everything)
    }

    /// Whether the run may have changed since it had so many events.
    #[must_use]
    pub fn is_about(&self, run: &RunId, seq: i64) -> bool {
        match &self.0 {
            News::Run(changed, to) => changed == run && *to > seq,
            News::Everything => true,
            News::Takeable
            | News::Freed(_)
            | News::Delivery
            | News::Look
            | News::Workers
            | News::Project
            | News::Trunk => false,
        }
    }

    /// Whether a slot of this group may be free.
    #[must_use]
    pub fn frees(&self, group: &str) -> bool {
        match &self.0 {
            News::Freed(name) => name == beginning(group),
            News::Everything => true,
            News::Run(..)
            | News::Takeable
            | News::Delivery
            | News::Look
            | News::Workers
            | News::Project
            | News::Trunk => false,
        }
    }

    /// What has happened.
    #[must_use]
    pub fn news(&self) -> &News {
        &self.0
    }
}

/// The way of news out of and into this process.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    changes: broadcast::Sender<Change>,
    outbox: mpsc::Sender<News>,
    to_send: Arc<Mutex<mpsc::Receiver<News>>>,
    /// Names this process among those that hear its news.
    sender: Arc<str>,
    is_shared: Arc<AtomicBool>,
    is_hearing: Arc<AtomicBool>,
    has_lost: Arc<AtomicBool>,
}

impl Wire {
    pub(super) fn new() -> Self {
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let (outbox, to_send) = mpsc::channel(OUTBOX_MAX);
        Self {
            changes,
            outbox,
            to_send: Arc::new(Mutex::new(to_send)),
            sender: format!("{:016x}", fastrand::u64(..)).into(),
            is_shared: Arc::default(),
            is_hearing: Arc::default(),
            has_lost: Arc::default(),
        }
    }

    fn tell_here(&self, news: News) {
        let _nobody_listens = self.changes.send(Change(news));
    }

    fn tell_others(&self, news: News) {
        if self.is_shared.load(Ordering::Relaxed) && self.outbox.try_send(news).is_err() {
            self.has_lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Runs {
    /// News of this process, and of others while [`Self::share_news`] works.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.wire.changes.subscribe()
    }

    /// Tells everybody.
    pub fn announce(&self, news: News) {
        self.wire.tell_here(news.clone());
        self.wire.tell_others(news);
    }

    /// Tells everybody that a slot of a concurrency group may be free.
    pub fn announce_freed(&self, group: &str) {
        self.announce(News::Freed(beginning(group).to_owned()));
    }

    /// Tells other processes only.
    pub fn announce_elsewhere(&self, news: News) {
        self.wire.tell_others(news);
    }

    /// Tells others at once, without [`Self::share_news`]: for a command that ends right after.
    pub async fn tell_now(&self, news: &News) -> Result<(), StoreError> {
        let word = format!("{} {}", self.wire.sender, news.to_text());
        self.store.notify(&[word]).await
    }

    /// How long to sleep before a look when no news come.
    #[must_use]
    pub fn poll_pause(&self) -> Duration {
        if self.wire.is_hearing.load(Ordering::Relaxed) { POLL_HEARING } else { POLL_DEAF }
    }

    /// Waits until something may have happened to the run that is not known yet: news, or a while.
    pub async fn changed(&self, changes: &mut broadcast::Receiver<Change>, known: &LoadedRun) {
        let concerns = |it: &Change| it.is_about(&known.row.id, known.seq);
        let _elapsed = tokio::time::timeout(self.poll_pause(), heard(changes, concerns)).await;
    }

    /// Hears what other processes on the same Postgres say, and tells them what happens here, until
    /// `shutdown`. On SQLite there is nobody else.
    pub async fn share_news(&self, shutdown: &CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => (),
            () = self.hear() => (),
            () = self.speak() => (),
        }
        self.wire.is_shared.store(false, Ordering::Relaxed);
        self.wire.is_hearing.store(false, Ordering::Relaxed);
    }

    /// Ends only where nobody can be heard.
    async fn hear(&self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.store.listen().await {
                Ok(None) => return,
                Ok(Some(listener)) => {
                    pause = PAUSE_MIN;
                    self.wire.is_hearing.store(true, Ordering::Relaxed);
                    // What was said before is not heard any more.
                    self.wire.tell_here(News::Everything);
                    self.hear_all(listener).await;
                    self.wire.is_hearing.store(false, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(%error, "other processes are not heard"),
            }
            tokio::time::sleep(pause.mul_f64(fastrand::f64().mul_add(0.5, 0.75))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Passes on what a connection brings, until it breaks for good.
    async fn hear_all(&self, mut listener: Listener) {
        loop {
            match listener.hear().await {
                Ok(Heard::Gap) => self.wire.tell_here(News::Everything),
                Ok(Heard::Notice(notice)) => {
                    let news = notice.split_once(' ').filter(|(it, _)| **it != *self.wire.sender);
                    if let Some(news) = news.and_then(|(_, it)| News::parse(it)) {
                        self.wire.tell_here(news);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the connection that hears other processes broke");
                    return;
                }
            }
        }
    }

    /// Sends what is to be sent, much of it at once.
    async fn speak(&self) {
        let mut to_send = self.wire.to_send.lock().await;
        self.wire.is_shared.store(true, Ordering::Relaxed);
        let mut batch = Vec::new();
        while to_send.recv_many(&mut batch, NOTICES_MAX).await > 0 {
            let mut notices = newest(batch.drain(..));
            if self.wire.has_lost.swap(false, Ordering::Relaxed) {
                notices.push(News::Everything);
            }
            let words: Vec<_> =
                notices.iter().map(|it| format!("{} {}", self.wire.sender, it.to_text())).collect();
            if let Err(error) = self.store.notify(&words).await {
                tracing::debug!(%error, "other processes could not be told; they look by themselves");
                self.wire.has_lost.store(true, Ordering::Relaxed);
                tokio::time::sleep(PAUSE_MIN).await;
            }
        }
    }
}

/// Waits for news of a kind; lost ones count.
pub(crate) async fn heard(
    changes: &mut broadcast::Receiver<Change>,
    concerns: impl Fn(&Change) -> bool,
) {
    loop {
        match changes.recv().await {
            Ok(change) if !concerns(&change) => (),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The same news once, and of a run only the newest (but never instead of its creation).
fn newest(news: impl Iterator<Item = News>) -> Vec<News> {
    let mut runs: BTreeMap<(RunId, bool), i64> = BTreeMap::new();
    let mut others = std::collections::BTreeSet::new();
    for news in news {
        match news {
            News::Run(run, seq) => {
                let known = runs.entry((run, seq == 0)).or_insert(seq);
                *known = (*known).max(seq);
            }
            other @ (News::Takeable
            | News::Freed(_)
            | News::Delivery
            | News::Look
            | News::Workers
            | News::Project
            | News::Trunk
            | News::Everything) => _ = others.insert(other),
        }
    }
    let runs = runs.into_iter().map(|((run, _), seq)| News::Run(run, seq));
    runs.chain(others).collect()
}

fn beginning(name: &str) -> &str {
    name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default()
}

impl News {
    fn to_text(&self) -> String {
        match self {
            Self::Run(run, seq) => format!("run {run} {seq}"),
            Self::Takeable => "takeable".to_owned(),
            Self::Freed(group) => format!("freed {group}"),
            Self::Delivery => "delivery".to_owned(),
            Self::Look => "look".to_owned(),
            Self::Workers => "workers".to_owned(),
            Self::Project => "project".to_owned(),
            Self::Trunk => "trunk".to_owned(),
            Self::Everything => "everything".to_owned(),
        }
    }

    /// What a newer version says may not be known here.
    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "run" => {
                let (run, seq) = rest.split_once(' ')?;
                Some(Self::Run(RunId(run.to_owned()), seq.parse().ok()?))
            }
            "takeable" => Some(Self::Takeable),
            "freed" => Some(Self::Freed(rest.to_owned())),
            "delivery" => Some(Self::Delivery),
            "look" => Some(Self::Look),
            "workers" => Some(Self::Workers),
            "project" => Some(Self::Project),
            "trunk" => Some(Self::Trunk),
            "everything" => Some(Self::Everything),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, seq: i64) -> News {
        News::Run(RunId(id.to_owned()), seq)
    }

    #[test]
    fn news_are_read_as_they_were_written() {
        let all = [
            run("01k", 7),
            News::Takeable,
            News::Freed("stage:shop/web:deploy to ☂".to_owned()),
            News::Delivery,
            News::Look,
            News::Workers,
            News::Project,
            News::Trunk,
            News::Everything,
        ];
        for news in all {
            assert_eq!(News::parse(&news.to_text()), Some(news));
        }
        for text in ["", "run", "run 01k", "run 01k x", "rain"] {
            assert_eq!(News::parse(text), None, "{text}");
        }
    }

    #[test]
    fn of_a_run_its_creation_and_the_newest_are_told() {
        let news = [run("a", 0), run("a", 3), run("b", 5), run("a", 2), News::Look, News::Look];
        assert_eq!(newest(news.into_iter()), [run("a", 3), run("a", 0), run("b", 5), News::Look]);
    }

    #[test]
    fn a_long_name_is_known_by_its_beginning() {
        let name = "ü".repeat(300);
        let change = Change(News::Freed(beginning(&name).to_owned()));
        assert!(change.frees(&name) && !change.frees("deploy"));
    }
}
