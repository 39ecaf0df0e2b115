//! Shows a run while it is driven: as a live tree, as plain lines, or as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::follower::{self, Follower};
use super::live::Live;
use super::sink::Sink;
use crate::cli::failure::Broken;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{View, format, json, line, summary, terminal, tree};
use crate::engine::Event;
use crate::model::{AttemptName, StageIndex, StageStatus};
use crate::runs::LoadedRun;
use crate::runs::view::Surroundings;
use crate::store::runs::StoredEvent;

/// The shortest time between two looks at the run, so that looking costs little.
const PACE: Duration = Duration::from_millis(50);
/// Lines of a failed stage's log in the summary.
const FAILURE_LINES: usize = 20;
/// Chunks of one log that are shown before the others have their turn.
const TURN: usize = 16;

/// How a run is shown.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ReportArgs {
    /// Show log lines as they come (they are by default, but not on a terminal and not with `--json`)
    #[arg(long, overrides_with = "no_logs")]
    pub logs: bool,
    /// Show no log lines
    #[arg(long, overrides_with = "logs")]
    pub no_logs: bool,
    /// Plain lines instead of the live tree, also on a terminal
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug)]
enum Mode {
    Live(Live),
    Plain { style: line::Style, logs: bool },
    Json { logs: bool },
}

/// A run on show.
#[derive(Debug)]
pub struct Report {
    session: Session,
    state: State,
    loaded: LoadedRun,
    mode: Mode,
    follower: Follower,
    followed: BTreeSet<AttemptName>,
    has_begun: bool,
    sink: Sink,
}

impl Report {
    /// A report that begins with what happens from now on.
    #[must_use]
    pub fn new(session: &Session, state: &State, loaded: LoadedRun, args: ReportArgs) -> Self {
        let output = session.output;
        let mode = if output.json {
            Mode::Json { logs: args.logs }
        } else if output.is_live && !args.plain && !args.logs {
            Mode::Live(Live::default())
        } else {
            let style = line::Style::of(&loaded.run, loaded.row.number, &output);
            Mode::Plain { style, logs: !args.no_logs }
        };
        Self {
            session: session.clone(),
            state: state.clone(),
            follower: Follower::new(state.logs.clone()),
            followed: BTreeSet::new(),
            has_begun: false,
            sink: Sink::start(),
            loaded,
            mode,
        }
    }

    /// Shows the run until `done`.
    pub async fn show(mut self, done: &CancellationToken) -> anyhow::Result<Self> {
        let mut changes = self.state.runs.subscribe();
        let runs = self.state.runs.clone();
        self.adopt_running();
        loop {
            let is_done = done.is_cancelled();
            let is_behind = self.update().await?;
            if is_done {
                break;
            }
            if !is_behind {
                tokio::select! {
                    () = done.cancelled() => continue,
                    () = tokio::time::sleep(PACE) => (),
                }
                tokio::select! {
                    () = done.cancelled() => (),
                    () = runs.changed(&mut changes, &self.loaded) => (),
                }
            }
        }
        Ok(self)
    }

    /// A run that is resumed has attempts under way already.
    fn adopt_running(&mut self) {
        let running = running_attempts(&self.loaded).collect::<Vec<_>>();
        self.followed.extend(running);
    }

    async fn begin(&mut self) {
        let row = &self.loaded.row;
        if let Mode::Plain { style, .. } = &self.mode {
            let stages = self.loaded.run.plan().stages.len() as u64;
            let stages = format::count(stages, "stage");
            let text = format!("{} #{} with {stages}", row.pipeline, row.number);
            self.write_line(&style.line(row.created_at, "run", &text)).await;
        }
    }

    /// Shows what is new; says whether there is more to show at once.
    async fn update(&mut self) -> anyhow::Result<bool> {
        let events = self.state.runs.refresh(&mut self.loaded).await?;
        if !events.is_empty() && !self.has_begun {
            self.has_begun = true;
            self.begin().await;
        }
        for stored in &events {
            self.show_event(stored).await?;
        }
        if matches!(self.mode, Mode::Live(_)) {
            self.draw().await?;
            return Ok(false);
        }
        if !self.shows_logs() {
            return Ok(false);
        }
        let mut is_behind = false;
        for name in self.followed.clone() {
            let end = self.next_heading(&name).await?;
            is_behind |= self.show_log(&name, (end, TURN)).await?;
        }
        Ok(is_behind)
    }

    /// What was printed before the step, so that its heading stands where it begins.
    async fn show_log_before(&mut self, name: &AttemptName, step: u32) -> anyhow::Result<()> {
        if !self.shows_logs() {
            return Ok(());
        }
        let end = self.follower.start_of(name, |it| it == step).await?;
        while end < u64::MAX && self.show_log(name, (end, TURN)).await? {}
        Ok(())
    }

    /// Where the first step begins that has not been announced: what it prints comes after its heading.
    async fn next_heading(&mut self, name: &AttemptName) -> anyhow::Result<u64> {
        let place = usize::try_from(name.attempt).unwrap_or(usize::MAX).saturating_sub(1);
        let attempt = self.loaded.run.stage(name.stage).and_then(|it| it.attempts.get(place));
        let is_new = |step| attempt.is_none_or(|it| !it.steps.contains_key(&step));
        Ok(self.follower.start_of(name, is_new).await?)
    }

    async fn show_event(&mut self, stored: &StoredEvent) -> anyhow::Result<()> {
        if let Event::AttemptFinished { stage, attempt, .. } = &stored.event {
            let name = self.attempt_name(*stage, *attempt);
            self.finish_log(&name).await?;
        }
        if let Event::StepStarted { stage, attempt, step } = &stored.event {
            let name = self.attempt_name(*stage, *attempt);
            self.show_log_before(&name, *step).await?;
        }
        let shown = match &self.mode {
            Mode::Live(_) => None,
            Mode::Plain { style, .. } => line::of_event(&self.loaded.run, stored, style),
            Mode::Json { .. } => Some(json::event(&self.loaded.run, stored).to_string()),
        };
        if let Some(shown) = shown {
            self.write_line(&shown).await;
        }
        if let Event::AttemptStarted { stage, attempt, .. } = &stored.event {
            let name = self.attempt_name(*stage, *attempt);
            self.followed.insert(name);
        }
        Ok(())
    }

    fn attempt_name(&self, stage: StageIndex, attempt: u32) -> AttemptName {
        AttemptName { run: self.loaded.row.id.clone(), stage, attempt }
    }

    /// Shows at most `turns` chunks of a log up to `end`; says whether there may be more.
    async fn show_log(
        &mut self,
        name: &AttemptName,
        (end, turns): (u64, usize),
    ) -> anyhow::Result<bool> {
        if !self.shows_logs() {
            return Ok(false);
        }
        for _ in 0..turns {
            let lines = self.follower.read(name, end).await?;
            if lines.is_empty() {
                return Ok(false);
            }
            self.write_log(name, &lines).await;
        }
        Ok(true)
    }

    async fn finish_log(&mut self, name: &AttemptName) -> anyhow::Result<()> {
        while self.show_log(name, (u64::MAX, TURN)).await? {}
        if let Some(rest) = self.follower.finish(name) {
            self.write_log(name, &[rest]).await;
        }
        self.followed.remove(name);
        Ok(())
    }

    fn shows_logs(&self) -> bool {
        let wanted =
            matches!(self.mode, Mode::Plain { logs: true, .. } | Mode::Json { logs: true });
        wanted && !self.sink.is_abandoned()
    }

    async fn write_log(&self, name: &AttemptName, lines: &[String]) {
        let run = &self.loaded.run;
        let key = run.plan().stages.get(name.stage.as_usize()).map_or("?", |it| it.key.as_str());
        let mut text = String::new();
        for it in lines {
            match &self.mode {
                Mode::Live(_) => (),
                Mode::Plain { style, .. } => {
                    let shown = format::overwritten(it);
                    text.push_str(&style.log_line(key, &terminal::safe(&shown, style.paint)));
                }
                Mode::Json { .. } => {
                    text.push_str(&json::log_line(run, name.stage, name.attempt, it).to_string());
                }
            }
            text.push('\n');
        }
        self.sink.write(text.into_bytes()).await;
    }

    async fn write_line(&self, text: &str) {
        let text = match &self.mode {
            Mode::Json { .. } => text.into(),
            Mode::Live(_) | Mode::Plain { .. } => terminal::safe(text, self.session.output.paint),
        };
        self.sink.write(format!("{text}\n").into_bytes()).await;
    }

    async fn draw(&mut self) -> anyhow::Result<()> {
        let tails = self.tails().await?;
        let (rows, columns) = console::Term::stdout().size();
        let view = self.view(&tails, usize::from(columns));
        let lines = tree::lines(view, usize::from(rows).saturating_sub(1));
        let paint = self.session.output.paint;
        let lines = lines.iter().map(|it| terminal::safe(it, paint).into_owned()).collect();
        if let Mode::Live(live) = &mut self.mode {
            // A terminal that is behind misses a picture, not the last one.
            let before = live.clone();
            let frame = live.frame(lines);
            if frame.is_some_and(|it| !self.sink.try_write(it.into_bytes())) {
                *live = before;
            }
        }
        Ok(())
    }

    fn view<'a>(&'a self, tails: &'a BTreeMap<StageIndex, String>, columns: usize) -> View<'a> {
        View {
            run: &self.loaded.run,
            number: self.loaded.row.number,
            created_at: self.loaded.row.created_at,
            now: self.session.now(),
            tails,
            paint: self.session.output.paint,
            keeps_containers: super::keeps_some(&self.state, &self.loaded.row.id),
            is_interrupted: false,
            columns,
        }
    }

    /// The last log line of every running stage.
    async fn tails(&self) -> anyhow::Result<BTreeMap<StageIndex, String>> {
        let mut tails = BTreeMap::new();
        for name in running_attempts(&self.loaded) {
            let last = follower::last_lines(&self.state.logs, &name, 1).await?;
            tails.extend(last.into_iter().next().map(|it| (name.stage, it)));
        }
        Ok(tails)
    }

    /// Takes a picture away that has no end, because the run could not be driven.
    pub async fn abandon(mut self) {
        if let Mode::Live(live) = &mut self.mode {
            let clear = live.clear();
            self.sink.write(clear.into_bytes()).await;
        }
        if let Err(error) = self.sink.close().await {
            tracing::warn!(%error, "the output could not be written");
        }
    }

    /// Shows what became of the run; fails when some of the output could not be written.
    pub async fn end(mut self) -> anyhow::Result<()> {
        for name in self.followed.clone() {
            self.finish_log(&name).await?;
        }
        let ends = failure_ends(&self.loaded, &self.state.logs).await?;
        let tails = BTreeMap::new();
        let clear = match &mut self.mode {
            Mode::Live(live) => Some(live.clear()),
            Mode::Plain { .. } | Mode::Json { .. } => None,
        };
        let (run, status) = (&self.loaded.row.id, self.loaded.run.status());
        let is_interrupted = super::is_interrupted(&self.state, run, status);
        let view = View { is_interrupted, ..self.view(&tails, usize::MAX) };
        let lines = match &self.mode {
            Mode::Json { .. } => {
                vec![json::run(view, Surroundings::of(&self.loaded.row)).to_string()]
            }
            Mode::Plain { .. } => summary::lines(view, &ends),
            Mode::Live(_) => [tree::lines(view, usize::MAX), summary::lines(view, &ends)].concat(),
        };
        self.sink.write(clear.unwrap_or_default().into_bytes()).await;
        self.write_line(&lines.join("\n")).await;
        let number = self.loaded.row.number;
        self.sink.close().await.map_err(|error| {
            let message = format!("the output cannot be written: {error}; run #{number} {status}");
            let help = format!("`trunkline show {number}` says what became of it");
            Broken { message, help }.into()
        })
    }
}

/// The ends of the logs of failed stages.
pub async fn failure_ends(
    loaded: &LoadedRun,
    logs: &crate::blobs::Logs,
) -> anyhow::Result<BTreeMap<StageIndex, Vec<String>>> {
    let mut ends = BTreeMap::new();
    for name in last_attempts(loaded, StageStatus::Failed) {
        let lines = follower::last_lines(logs, &name, FAILURE_LINES).await?;
        ends.insert(name.stage, lines);
    }
    Ok(ends)
}

fn running_attempts(loaded: &LoadedRun) -> impl Iterator<Item = AttemptName> + '_ {
    last_attempts(loaded, StageStatus::Running)
}

/// The newest attempt of each stage that stands so.
fn last_attempts(
    loaded: &LoadedRun,
    status: StageStatus,
) -> impl Iterator<Item = AttemptName> + '_ {
    let stages = 0..u32::try_from(loaded.run.plan().stages.len()).unwrap_or(u32::MAX);
    stages.map(StageIndex).filter_map(move |index| {
        let stage = loaded.run.stage(index).filter(|it| it.status == status)?;
        let attempt = u32::try_from(stage.attempts.len()).ok().filter(|it| *it > 0)?;
        Some(AttemptName { run: loaded.row.id.clone(), stage: index, attempt })
    })
}
