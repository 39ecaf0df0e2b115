//! `trunkline logs`: what stages printed, now or as it comes.

use std::collections::BTreeMap;

use crate::blobs::{LogReader, LogSection};
use crate::cli::drive::follower::Follower;
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::{format, json, line, terminal};
use crate::model::{AttemptName, StageIndex, StageStatus, Timestamp};
use crate::runs::LoadedRun;
use crate::worker::OUTPUT_SECTION;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// A line longer than this is shown in pieces.
const LINE_LIMIT_BYTES: usize = 1024 * 1024;

/// Arguments of `trunkline logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline logs                         what failed in the newest run here, or all of it
  trunkline logs 12 unit
  trunkline logs last -f                 follow a run of another terminal
  trunkline logs 12 unit --attempt 1 --step 2 --timestamps
  trunkline logs 12 unit --raw > unit.log    every byte as it was printed")]
pub struct LogsArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    #[arg(default_value = "last")]
    pub run: String,
    /// The stage [default: the one that failed, or the only one; else all, each line with its stage]
    pub stage: Option<String>,
    /// Go on until the stage (or the run) has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Which attempt, counted from 1 [default: the last]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,
    /// Only this step, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub step: Option<u32>,
    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Write the log of one stage byte for byte, control sequences included
    #[arg(long, conflicts_with_all = ["follow", "timestamps"])]
    pub raw: bool,
}

/// Shows the logs.
pub async fn execute(session: &Session, args: &LogsArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    let stages = match &args.stage {
        Some(wanted) => super::find_stages(&loaded, wanted)?,
        None => default_stages(&loaded, args.follow),
    };
    let show = Show { session, state: &state, args };
    if args.follow {
        return show.follow(loaded, &stages).await;
    }
    let names: Vec<_> =
        stages.iter().filter_map(|it| attempt(&loaded, *it, args.attempt)).collect();
    if names.is_empty() {
        return Err(nothing_printed(&loaded, args).into());
    }
    if args.raw {
        check_raw(session, &names)?;
    }
    for name in &names {
        show.whole(&loaded, name, names.len() > 1).await?;
    }
    Ok(Exit::Passed)
}

/// Bytes as they are cannot say which stage they are of.
fn check_raw(session: &Session, names: &[AttemptName]) -> Result<(), Usage> {
    if session.output.json {
        return Err(Usage::new("`--raw` and `--json` exclude each other", "leave one of them out"));
    }
    if names.len() > 1 {
        let message = format!("`--raw` writes one log, and these are {}", names.len());
        return Err(Usage::new(message, "name the stage"));
    }
    Ok(())
}

/// What failed; else everything that has run.
fn default_stages(loaded: &LoadedRun, follow: bool) -> Vec<StageIndex> {
    let all: Vec<_> = (0u32..).map(StageIndex).take(loaded.run.plan().stages.len()).collect();
    let stands = |it: &StageIndex, status| {
        loaded
            .run
            .stage(*it)
            .is_some_and(|stage| stage.status == status && !stage.attempts.is_empty())
    };
    let failed: Vec<_> = all.iter().filter(|it| stands(it, StageStatus::Failed)).copied().collect();
    if failed.is_empty() || follow { all } else { failed }
}

fn attempt(loaded: &LoadedRun, stage: StageIndex, wanted: Option<u32>) -> Option<AttemptName> {
    let last = u32::try_from(loaded.run.stage(stage)?.attempts.len()).ok()?;
    let attempt = wanted.unwrap_or(last);
    (1..=last).contains(&attempt).then(|| AttemptName {
        run: loaded.row.id.clone(),
        stage,
        attempt,
    })
}

fn nothing_printed(loaded: &LoadedRun, args: &LogsArgs) -> Usage {
    let what = args.stage.as_ref().map_or_else(
        || format!("no stage of run #{}", loaded.row.number),
        |stage| format!("`{stage}` of run #{}", loaded.row.number),
    );
    let which = args.attempt.map_or(String::new(), |it| format!(" an attempt {it}"));
    let help = "`trunkline show` tells where its stages stand; `--follow` waits for one to start";
    if which.is_empty() {
        Usage::new(format!("{what} has started yet"), help)
    } else {
        Usage::new(format!("{what} has no{}", which.replace(" an", "")), help)
    }
}

struct Show<'a> {
    session: &'a Session,
    state: &'a State,
    args: &'a LogsArgs,
}

impl Show<'_> {
    /// One log, or the part of it that one step printed.
    async fn whole(
        &self,
        loaded: &LoadedRun,
        name: &AttemptName,
        with_key: bool,
    ) -> anyhow::Result<()> {
        let reader = match self.state.logs.reader(name).await {
            Err(crate::blobs::BlobError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        let (from, to) = self.part(&reader).await?;
        if self.args.raw {
            return self.raw(&reader, from, to).await;
        }
        let printer = Printer::new(self, loaded, name, with_key);
        let mut lines = Lines { offset: from, partial: Vec::new() };
        while lines.end() < to {
            let wanted = usize::try_from(to - lines.end()).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let bytes = reader.read_at(lines.end(), wanted).await?;
            if bytes.is_empty() {
                break;
            }
            printer.print(&reader, &lines.push(&bytes)).await?;
        }
        printer.print(&reader, &lines.take_rest()).await
    }

    async fn raw(&self, reader: &LogReader, from: u64, to: u64) -> anyhow::Result<()> {
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let bytes = reader.read_at(at, wanted).await?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            self.session.output.bytes(&bytes)?;
        }
        Ok(())
    }

    /// Where the wanted part begins and ends.
    async fn part(&self, reader: &LogReader) -> anyhow::Result<(u64, u64)> {
        let size = reader.extent().await?.size_bytes;
        let Some(step) = self.args.step else { return Ok((0, size)) };
        let sections = reader.sections().await?;
        let found = part_of_step(&sections, step - 1, size);
        found.ok_or_else(|| {
            let steps = sections.iter().filter(|it| it.step != OUTPUT_SECTION).count() as u64;
            let message = format!("step {step} has printed nothing");
            Usage::new(message, format!("the log has {}", format::count(steps, "step"))).into()
        })
    }

    async fn follow(&self, mut loaded: LoadedRun, stages: &[StageIndex]) -> anyhow::Result<Exit> {
        let with_key = stages.len() > 1;
        let mut follower = Follower::new(self.state.logs.clone());
        let mut changes = self.state.runs.subscribe();
        let mut seen: BTreeMap<StageIndex, usize> = BTreeMap::new();
        loop {
            // Looked at before the logs are read, so that what is printed last is shown too.
            self.state.runs.refresh(&mut loaded).await?;
            let is_over = loaded.run.status().is_finished()
                || stages
                    .iter()
                    .all(|it| loaded.run.stage(*it).is_none_or(|stage| stage.status.is_finished()));
            let mut is_quiet = true;
            for stage in stages {
                let attempts = loaded.run.stage(*stage).map_or(0, |it| it.attempts.len());
                let first = *seen.entry(*stage).or_insert_with(|| attempts.max(1));
                for number in first..=attempts {
                    let attempt = u32::try_from(number).unwrap_or(u32::MAX);
                    let name = AttemptName { run: loaded.row.id.clone(), stage: *stage, attempt };
                    is_quiet &= !self.new_lines(&loaded, &mut follower, (&name, with_key)).await?;
                }
                seen.insert(*stage, attempts.max(1));
            }
            if is_over && is_quiet {
                self.unfinished_lines(&loaded, &mut follower, with_key)?;
                return Ok(Exit::Passed);
            }
            if is_quiet {
                self.state.runs.changed(&mut changes, &loaded).await;
            }
        }
    }

    /// Shows last lines that have no line feed.
    fn unfinished_lines(
        &self,
        loaded: &LoadedRun,
        follower: &mut Follower,
        with_key: bool,
    ) -> anyhow::Result<()> {
        for (name, rest) in follower.finish_all() {
            let line = Printer::new(self, loaded, &name, with_key).line(None, &rest)?;
            self.session.output.bytes(line.as_bytes())?;
        }
        Ok(())
    }

    /// Shows what is new in a log; says whether there was something.
    async fn new_lines(
        &self,
        loaded: &LoadedRun,
        follower: &mut Follower,
        (name, with_key): (&AttemptName, bool),
    ) -> anyhow::Result<bool> {
        let lines = follower.read(name, u64::MAX).await?;
        let printer = Printer::new(self, loaded, name, with_key);
        let shown = lines.iter().map(|it| printer.line(None, it)).collect::<Result<String, _>>()?;
        self.session.output.bytes(shown.as_bytes())?;
        Ok(!lines.is_empty())
    }
}

/// From the step's section to the next one.
fn part_of_step(sections: &[LogSection], step: u32, size: u64) -> Option<(u64, u64)> {
    let mut steps = sections.iter().filter(|it| it.step != OUTPUT_SECTION);
    let from = steps.find(|it| it.step == step)?.offset;
    Some((from, steps.next().map_or(size, |it| it.offset)))
}

/// Cuts bytes into lines and knows where each begins.
struct Lines {
    /// Where `partial` begins.
    offset: u64,
    partial: Vec<u8>,
}

impl Lines {
    fn end(&self) -> u64 {
        self.offset + self.partial.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<(u64, String)> {
        self.partial.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let whole = self.partial.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
        let rest = self.partial.split_off(whole);
        for line in self.partial.split_inclusive(|it| *it == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            lines.push((self.offset, String::from_utf8_lossy(text).into_owned()));
            self.offset += line.len() as u64;
        }
        self.partial = rest;
        if self.partial.len() > LINE_LIMIT_BYTES {
            lines.extend(self.take_rest());
        }
        lines
    }

    /// A last line without its end, or what there is of one that is too long.
    fn take_rest(&mut self) -> Vec<(u64, String)> {
        let rest = std::mem::take(&mut self.partial);
        let offset = self.offset;
        self.offset += rest.len() as u64;
        let text = String::from_utf8_lossy(&rest).into_owned();
        if rest.is_empty() { Vec::new() } else { vec![(offset, text)] }
    }
}

struct Printer<'a> {
    session: &'a Session,
    loaded: &'a LoadedRun,
    name: &'a AttemptName,
    style: Option<line::Style>,
    timestamps: bool,
}

impl<'a> Printer<'a> {
    fn new(show: &Show<'a>, loaded: &'a LoadedRun, name: &'a AttemptName, with_key: bool) -> Self {
        let output = show.session.output;
        let style = with_key.then(|| line::Style::of(&loaded.run, loaded.row.number, &output));
        Self { session: show.session, loaded, name, style, timestamps: show.args.timestamps }
    }

    /// Writes lines at once; each with its place in the log.
    async fn print(&self, reader: &LogReader, lines: &[(u64, String)]) -> anyhow::Result<()> {
        let mut shown = String::new();
        for (offset, text) in lines {
            let at = if self.timestamps || self.session.output.json {
                reader.time_at(*offset).await?
            } else {
                None
            };
            shown.push_str(&self.line(at, text)?);
        }
        Ok(self.session.output.bytes(shown.as_bytes())?)
    }

    fn line(&self, at: Option<Timestamp>, text: &str) -> serde_json::Result<String> {
        let output = self.session.output;
        if output.json {
            let mut value =
                json::log_line(&self.loaded.run, self.name.stage, self.name.attempt, text);
            if let (Some(object), Some(at)) = (value.as_object_mut(), at) {
                object.insert("at".to_owned(), serde_json::json!(at));
            }
            return Ok(serde_json::to_string(&value)? + "\n");
        }
        let time = at.map(|it| output.paint.dim(&output.date_time(it)) + " ").unwrap_or_default();
        let key = self.loaded.run.plan().stages.get(self.name.stage.as_usize());
        let text = format::overwritten(text);
        let text = terminal::safe(&text, output.paint);
        let text = match (&self.style, key) {
            (Some(style), Some(stage)) => style.log_line(&stage.key, &text),
            _ => text.into_owned(),
        };
        Ok(time + &text + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_where_the_next_begins() {
        let section = |step, offset| LogSection { step, offset, started_at: Timestamp(0) };
        let sections = [section(0, 10), section(OUTPUT_SECTION, 10), section(1, 30)];
        assert_eq!(part_of_step(&sections, 0, 50), Some((10, 30)));
        assert_eq!(part_of_step(&sections, 1, 50), Some((30, 50)));
        assert_eq!(part_of_step(&sections, 2, 50), None);
    }

    #[test]
    fn lines_know_where_they_begin() {
        let mut lines = Lines { offset: 100, partial: Vec::new() };
        assert_eq!(lines.push(b"ab\nc"), [(100, "ab".to_owned())]);
        assert_eq!(lines.push(b"d\n\n"), [(103, "cd".to_owned()), (106, String::new())]);
        assert_eq!(lines.end(), 107);
        assert_eq!(lines.push(b"rest"), []);
        assert_eq!(lines.take_rest(), [(107, "rest".to_owned())]);
        assert_eq!((lines.end(), lines.take_rest()), (111, Vec::new()));
    }
}
