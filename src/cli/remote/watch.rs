//! A run of a server while it goes on: its events, its state, and what its stages print. Each stream is read by
//! a task of its own, so that none waits for another; all they bring comes through one bounded queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::follow::Follow;
use super::logs::RemoteLine;
use super::{Call, Remote, RemoteError};
use crate::cli::drive::screen::{self, ReportArgs, Screen};
use crate::cli::drive::signals::{Asked, Signals};
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::engine::Event;
use crate::model::{RunStatus, StageIndex, StageStatus};
use crate::runs::view::{EventView, RunView, StageView};

/// News that may wait to be shown.
const QUEUE: usize = 64;
/// Logs that are followed at once; a server gives one person only so many streams.
const LOGS_MAX: usize = 16;
/// Between two pictures of a live tree.
const FRAME: Duration = Duration::from_millis(100);

/// Something new of a run.
#[derive(Debug)]
pub enum News {
    /// Something happened.
    Event(EventView),
    /// An attempt has printed something.
    Lines {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
        /// What.
        lines: Vec<RemoteLine>,
    },
    /// An attempt will print nothing more.
    LogEnded {
        /// Which stage.
        stage: StageIndex,
        /// Which attempt.
        attempt: u32,
    },
    /// The run has ended.
    Ended,
    /// A stream cannot be followed any more.
    Failed(RemoteError),
}

/// Lines as a stream brings them.
#[derive(Debug, Deserialize)]
struct LinesBody {
    lines: Vec<RemoteLine>,
}

/// Which logs are followed.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of these stages; of all when `None`.
    pub stages: Option<Vec<StageIndex>>,
    /// Only of this attempt.
    pub attempt: Option<u32>,
}

impl Wanted {
    fn has(&self, stage: StageIndex, attempt: u32) -> bool {
        self.stages.as_ref().is_none_or(|it| it.contains(&stage))
            && self.attempt.is_none_or(|it| it == attempt)
    }

    /// Whether a stage prints nothing more of what is wanted.
    pub fn is_over(&self, stage: &StageView) -> bool {
        let number = self.attempt.and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
        let attempt = number.checked_sub(1).and_then(|it| stage.attempts.get(it));
        stage.status.is_finished() || attempt.is_some_and(|it| it.finished_at.is_some())
    }
}

/// A run that is watched.
#[derive(Debug)]
pub struct Watch<'a> {
    remote: &'a Remote,
    run: RunView,
    wanted: Wanted,
    news: mpsc::Receiver<News>,
    queue: mpsc::Sender<News>,
    tasks: JoinSet<()>,
    places: Arc<Semaphore>,
    /// Logs that are followed, or will be, and have not ended.
    open: BTreeSet<(StageIndex, u32)>,
    /// Sequence number of the last event that was seen.
    seen: i64,
    has_ended: bool,
}

impl<'a> Watch<'a> {
    /// Watches a run from now on, with what its attempts that are under way have printed already; of `wanted`
    /// stages that have ended, the last attempt.
    #[must_use]
    pub fn start(remote: &'a Remote, run: RunView, wanted: Wanted) -> Self {
        let (queue, news) = mpsc::channel(QUEUE);
        let (tasks, places) = (JoinSet::new(), Arc::new(Semaphore::new(LOGS_MAX)));
        let (open, seen) = (BTreeSet::new(), run.events - 1);
        let mut watch =
            Self { remote, run, wanted, news, queue, tasks, places, open, seen, has_ended: false };
        let is_running = |it: &&StageView| it.status == StageStatus::Running;
        let shows_old = watch.wanted.stages.is_some();
        let shown = watch.run.stages.iter().filter(|it| shows_old || is_running(it));
        let last = |it: &StageView| u32::try_from(it.attempts.len()).unwrap_or(u32::MAX);
        let last: Vec<_> = shown.map(|it| (it.stage, last(it))).collect();
        for (stage, last) in last.into_iter().filter(|(_, last)| *last > 0) {
            watch.follow_log(stage, watch.wanted.attempt.map_or(last, |it| it.min(last)));
        }
        watch.follow_events();
        watch
    }

    /// The run, as it was when it was last looked at.
    #[must_use]
    pub fn run(&self) -> &RunView {
        &self.run
    }

    /// Whether there is nothing more to come of these stages.
    #[must_use]
    pub fn is_over(&self, stages: &[StageIndex]) -> bool {
        let is_finished =
            |it: &StageIndex| self.run.stage(*it).is_none_or(|stage| self.wanted.is_over(stage));
        let is_over = self.has_ended || stages.iter().all(is_finished);
        is_over && self.open.is_empty() && self.news.is_empty()
    }

    /// Whether the run has ended and everything of it was seen.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.has_ended && self.open.is_empty()
    }

    /// What comes next. May be dropped while it waits, and nothing is lost.
    pub async fn next(&mut self) -> Result<News, RemoteError> {
        // The queue has a sender of ours, so it does not end.
        let news = self.news.recv().await.unwrap_or(News::Ended);
        match &news {
            News::Event(event) => self.take_event(event),
            News::LogEnded { stage, attempt } => {
                self.open.remove(&(*stage, *attempt));
            }
            News::Ended => self.has_ended = true,
            News::Failed(error) => return Err(error.clone()),
            News::Lines { .. } => (),
        }
        Ok(news)
    }

    /// Looks at the run again, unless it is as new as the news.
    pub async fn refresh(&mut self) -> Result<(), RemoteError> {
        if self.run.events <= self.seen || (self.has_ended && !self.run.status.is_finished()) {
            self.run = self.remote.load_run(&self.run.id.0).await?;
        }
        Ok(())
    }

    fn take_event(&mut self, event: &EventView) {
        self.seen = self.seen.max(event.seq);
        if let Some(Event::AttemptStarted { stage, attempt, .. }) = event.event() {
            self.follow_log(stage, attempt);
        }
    }

    fn follow_events(&mut self) {
        let call = Call::get(&["runs", &self.run.id.0, "events", "stream"]);
        let call = call.query("after", self.seen);
        let follow = Follow::new(self.remote.client.clone(), call);
        self.tasks.spawn(send_events(follow, self.queue.clone()));
    }

    fn follow_log(&mut self, stage: StageIndex, attempt: u32) {
        if !self.wanted.has(stage, attempt) || !self.open.insert((stage, attempt)) {
            return;
        }
        let follow = self.remote.follow_log(&self.run, (stage, attempt));
        let (queue, places) = (self.queue.clone(), Arc::clone(&self.places));
        self.tasks.spawn(async move {
            let _place = places.acquire().await;
            send_lines(follow, (stage, attempt), queue).await;
        });
    }
}

/// Whoever does not take them any more has gone.
async fn send_events(mut follow: Follow, queue: mpsc::Sender<News>) {
    loop {
        let news = match follow.next_as::<EventView>().await {
            Ok(Some(event)) => News::Event(event),
            Ok(None) => News::Ended,
            Err(error) => News::Failed(error),
        };
        let is_last = !matches!(news, News::Event(_));
        if queue.send(news).await.is_err() || is_last {
            return;
        }
    }
}

async fn send_lines(
    mut follow: Follow,
    (stage, attempt): (StageIndex, u32),
    queue: mpsc::Sender<News>,
) {
    loop {
        let news = match follow.next_as::<LinesBody>().await {
            Ok(Some(body)) => News::Lines { stage, attempt, lines: body.lines },
            Ok(None) => News::LogEnded { stage, attempt },
            // Logs are not kept for ever.
            Err(error) if error.is_not_found() => News::LogEnded { stage, attempt },
            Err(error) => News::Failed(error),
        };
        let is_last = !matches!(news, News::Lines { .. });
        if queue.send(news).await.is_err() || is_last {
            return;
        }
    }
}

/// Shows a run of a server until it has ended, as one of this machine is shown; gives the exit code. Ctrl-C
/// ends the looking on, and not the run.
pub async fn show(
    session: &Session,
    (remote, run): (&Remote, RunView),
    args: ReportArgs,
) -> anyhow::Result<Exit> {
    let screen = Screen::new(session.output, args, (&run, &remote.hint));
    screen.begin(&run).await;
    let show = Show {
        session,
        screen,
        watch: Watch::start(remote, run, Wanted::default()),
        held: VecDeque::new(),
        unshown: BTreeMap::new(),
        begun: BTreeMap::new(),
        tails: BTreeMap::new(),
    };
    show.until_the_end().await
}

/// Shows a run that was started until it has ended; with `is_detached` only says which it is.
pub async fn follow(
    session: &Session,
    (remote, run): (&Remote, RunView),
    (is_detached, args): (bool, ReportArgs),
) -> anyhow::Result<Exit> {
    if !is_detached {
        return Box::pin(show(session, (remote, run), args)).await;
    }
    if session.output.json {
        session.output.json(&run)?;
    } else {
        let (number, status) = (run.number, run.status);
        let follow = remote.command(&format!("logs -f {number}"));
        session.output.line(&format!("run #{number} is {status}; `{follow}` follows it"))?;
    }
    Ok(Exit::Passed)
}

/// A run on a screen.
struct Show<'a> {
    session: &'a Session,
    screen: Screen,
    watch: Watch<'a>,
    /// Events that are shown once the log before them was.
    held: VecDeque<EventView>,
    /// Lines of steps that have not been announced yet.
    unshown: BTreeMap<(StageIndex, u32), Vec<RemoteLine>>,
    /// The last step of each attempt that was announced.
    begun: BTreeMap<(StageIndex, u32), u32>,
    /// The last line of each stage that runs.
    tails: BTreeMap<StageIndex, String>,
}

impl Show<'_> {
    async fn until_the_end(mut self) -> anyhow::Result<Exit> {
        let mut signals = Signals::listen()?;
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.watch.is_ended() || !self.held.is_empty() {
            tokio::select! {
                news = self.watch.next() => match news {
                    Ok(news) => self.take(news).await?,
                    Err(error) => return self.abandon(Err(error.into())).await,
                },
                asked = signals.next() => return self.leave(asked).await,
                _ = frames.tick(), if self.screen.is_live() => self.draw(),
            }
        }
        self.end().await
    }

    async fn take(&mut self, news: News) -> anyhow::Result<()> {
        match news {
            News::Event(event) => self.held.push_back(event),
            News::Lines { stage, attempt, lines } => {
                let last = lines.iter().rev().find(|it| !it.text.trim().is_empty());
                self.tails.extend(last.map(|it| (stage, it.text.clone())));
                if self.screen.shows_logs() {
                    self.unshown.entry((stage, attempt)).or_default().extend(lines);
                    self.show_lines((stage, attempt)).await?;
                }
            }
            News::LogEnded { .. } | News::Ended | News::Failed(_) => (),
        }
        if !self.watch.news.is_empty() {
            return Ok(());
        }
        self.watch.refresh().await?;
        self.show_held().await
    }

    /// Shows what a stage has printed, up to the first step that has not been announced.
    async fn show_lines(&mut self, name: (StageIndex, u32)) -> anyhow::Result<()> {
        let Some(lines) = self.unshown.get_mut(&name) else { return Ok(()) };
        let run = self.watch.run();
        let has_headings = run.stage(name.0).is_some_and(|it| it.step_names.len() > 1);
        let begun = self.begun.get(&name).copied();
        let is_early = |it: &RemoteLine| has_headings && it.step > begun;
        let shown = lines.iter().position(is_early).unwrap_or(lines.len());
        let shown: Vec<_> = lines.drain(..shown).map(|it| it.text).collect();
        if !shown.is_empty() {
            self.screen.log(run, name, &shown).await?;
        }
        Ok(())
    }

    /// Shows events in their order, up to the end of an attempt whose log is still read.
    async fn show_held(&mut self) -> anyhow::Result<()> {
        while let Some(event) = self.held.front() {
            let ended = match event.event() {
                Some(Event::AttemptFinished { stage, attempt, .. }) => Some((stage, attempt)),
                _ => None,
            };
            if ended.is_some_and(|it| self.screen.shows_logs() && self.watch.open.contains(&it)) {
                return Ok(());
            }
            let started = match event.event() {
                Some(Event::StepStarted { stage, attempt, step }) => Some(((stage, attempt), step)),
                _ => None,
            };
            if let Some(event) = self.held.pop_front() {
                self.screen.event(self.watch.run(), &event).await?;
            }
            if let Some((name, step)) = started {
                self.begun.insert(name, step);
                self.show_lines(name).await?;
            }
        }
        Ok(())
    }

    fn draw(&mut self) {
        let moment = (self.session.now(), self.session.output);
        let (run, server) = (self.watch.run(), self.watch.remote.hint.as_str());
        let is_running = |it: &StageIndex| {
            run.stage(*it).is_some_and(|stage| stage.status == StageStatus::Running)
        };
        self.tails.retain(|stage, _| is_running(stage));
        self.screen.draw(screen::picture(run, moment, (&self.tails, server)));
    }

    async fn end(mut self) -> anyhow::Result<Exit> {
        self.watch.refresh().await?;
        self.show_held().await?;
        let (run, remote) = (self.watch.run(), self.watch.remote);
        let ends = remote.failure_ends(run).await?;
        let tails = BTreeMap::new();
        let moment = (self.session.now(), self.session.output);
        let view = screen::picture(run, moment, (&tails, &remote.hint));
        self.screen.end(view, &ends).await?;
        Ok(if run.status == RunStatus::Passed { Exit::Passed } else { Exit::RunFailed })
    }

    async fn abandon(self, result: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        self.screen.abandon().await;
        result
    }

    /// The run goes on; a person is told how to look again, or to stop it.
    async fn leave(self, asked: Asked) -> anyhow::Result<Exit> {
        let (number, remote) = (self.watch.run().number, self.watch.remote);
        let cancel = remote.command(&format!("cancel {number}"));
        let follow = remote.command(&format!("logs -f {number}"));
        let code = match asked {
            Asked::Cancel => Exit::Program(130),
            Asked::Leave => Exit::Terminated,
        };
        let exit = self.abandon(Ok(code)).await;
        let text = format!("run #{number} goes on: `{follow}` follows it, `{cancel}` stops it");
        crate::cli::output::note(&text);
        exit
    }
}
