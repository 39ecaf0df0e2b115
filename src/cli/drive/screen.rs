//! A run on the screen: as a live tree, as plain lines, or as JSON; the same for a run that is driven here
//! and for one that a server drives.

pub mod live;
pub mod sink;

use std::collections::BTreeMap;

use crate::cli::failure::Broken;
use crate::cli::output::Output;
use crate::cli::view::{self, View, format, line, summary, terminal, tree};
use crate::model::{StageIndex, Timestamp};
use crate::runs::view::{EventView, LogLineView, RunView};

use live::Live;
use sink::Sink;

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

/// Standard output while a run goes on.
#[derive(Debug)]
pub struct Screen {
    output: Output,
    mode: Mode,
    sink: Sink,
}

impl Screen {
    /// A screen for this run. `server` is what commands for a person have to name, or empty.
    #[must_use]
    pub fn new(output: Output, args: ReportArgs, (run, server): (&RunView, &str)) -> Self {
        let mode = if output.json {
            Mode::Json { logs: args.logs }
        } else if output.is_live && !args.plain && !args.logs {
            Mode::Live(Live::default())
        } else {
            let style = line::Style::of(run, server, &output);
            Mode::Plain { style, logs: !args.no_logs }
        };
        Self { output, mode, sink: Sink::start() }
    }

    /// Whether it is a tree that is drawn again and again.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Live(_))
    }

    /// Whether log lines are shown, and somebody reads them.
    #[must_use]
    pub fn shows_logs(&self) -> bool {
        let wanted =
            matches!(self.mode, Mode::Plain { logs: true, .. } | Mode::Json { logs: true });
        wanted && !self.sink.is_abandoned()
    }

    /// Says which run it is, in plain lines.
    pub async fn begin(&self, run: &RunView) {
        if let Mode::Plain { style, .. } = &self.mode {
            let stages = format::count(run.stages.len() as u64, "stage");
            let text = format!("{} #{} with {stages}", run.pipeline, run.number);
            self.write_line(&style.line(run.created_at, "run", &text)).await;
        }
    }

    /// Says, in plain lines, what keeps the run back.
    pub async fn waits(&self, now: Timestamp, what: &str) {
        if let Mode::Plain { style, .. } = &self.mode {
            let help =
                "`trunkline runs --all` shows them; `resume` or `cancel` one that was interrupted";
            let text = format!("waits for {what} ({help})");
            self.write_line(&style.line(now, "run", &text)).await;
        }
    }

    /// Shows an event; `run` has it applied.
    pub async fn event(&self, run: &RunView, event: &EventView) -> serde_json::Result<()> {
        let shown = match &self.mode {
            Mode::Live(_) => None,
            Mode::Plain { style, .. } => {
                event.event().and_then(|it| line::of_event(run, (&it, event.at), style))
            }
            Mode::Json { .. } => Some(serde_json::to_string(event)?),
        };
        if let Some(shown) = shown {
            self.write_line(&shown).await;
        }
        Ok(())
    }

    /// Shows lines that an attempt of a stage has printed.
    pub async fn log(
        &self,
        run: &RunView,
        (stage, attempt): (StageIndex, u32),
        lines: &[String],
    ) -> serde_json::Result<()> {
        let mut text = String::new();
        for it in lines {
            match &self.mode {
                Mode::Live(_) => continue,
                Mode::Plain { style, .. } => {
                    let shown = format::overwritten(it);
                    let shown = terminal::safe(&shown, style.paint);
                    text.push_str(&style.log_line(run.key_of(stage), &shown));
                }
                Mode::Json { .. } => {
                    let line = LogLineView::new(run, (stage, attempt), (it, None));
                    text.push_str(&serde_json::to_string(&line)?);
                }
            }
            text.push('\n');
        }
        self.sink.write(text.into_bytes()).await;
        Ok(())
    }

    /// Draws the tree anew, where it is one. A terminal that is behind misses a picture, not the last one.
    pub fn draw(&mut self, view: View<'_>) {
        let Mode::Live(live) = &mut self.mode else { return };
        let (rows, columns) = console::Term::stdout().size();
        let view = View { columns: usize::from(columns), ..view };
        let lines = tree::lines(view, usize::from(rows).saturating_sub(1));
        let lines = lines.iter().map(|it| terminal::safe(it, view.paint).into_owned()).collect();
        let before = live.clone();
        let frame = live.frame(lines);
        if frame.is_some_and(|it| !self.sink.try_write(it.into_bytes())) {
            *live = before;
        }
    }

    /// Takes a picture away that has no end.
    pub async fn abandon(mut self) {
        self.clear().await;
        if let Err(error) = self.sink.close().await {
            tracing::warn!(%error, "the output could not be written");
        }
    }

    /// Shows what became of the run, with the ends of the logs of failed stages; fails when some of the
    /// output could not be written.
    pub async fn end(mut self, view: View<'_>, ends: &summary::Ends) -> anyhow::Result<()> {
        let view = View { columns: usize::MAX, ..view };
        let lines = match &self.mode {
            Mode::Json { .. } => vec![serde_json::to_string(&summary::Told::new(view.run, ends))?],
            Mode::Plain { .. } => summary::lines(view, ends),
            Mode::Live(_) => [tree::lines(view, usize::MAX), summary::lines(view, ends)].concat(),
        };
        self.clear().await;
        self.write_line(&lines.join("\n")).await;
        let (number, status) = (view.run.number, view.run.status);
        let show = view::command(&format!("show {number}"), view.server);
        self.sink.close().await.map_err(|error| {
            let message = format!("the output cannot be written: {error}; run #{number} {status}");
            Broken { message, help: format!("`{show}` says what became of it") }.into()
        })
    }

    async fn clear(&mut self) {
        if let Mode::Live(live) = &mut self.mode {
            let clear = live.clear();
            self.sink.write(clear.into_bytes()).await;
        }
    }

    async fn write_line(&self, text: &str) {
        let text = match &self.mode {
            Mode::Json { .. } => text.into(),
            Mode::Live(_) | Mode::Plain { .. } => terminal::safe(text, self.output.paint),
        };
        self.sink.write(format!("{text}\n").into_bytes()).await;
    }
}

/// What is drawn of a run, before a screen gives it its size.
#[must_use]
pub fn picture<'a>(
    run: &'a RunView,
    (now, output): (Timestamp, Output),
    (tails, server): (&'a BTreeMap<StageIndex, String>, &'a str),
) -> View<'a> {
    View {
        run,
        now,
        tails,
        paint: output.paint,
        keeps_containers: false,
        server,
        given: "",
        columns: usize::MAX,
    }
}
