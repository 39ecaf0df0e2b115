//! What `trunkline logs` is asked for.

use crate::cli::failure::Usage;
use crate::model::StageIndex;
use crate::runs::view::RunView;

/// Arguments of `trunkline logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline logs                         what failed in the newest run here, or all of it
  trunkline logs 12 unit
  trunkline logs last -f                 follow a run of another terminal
  trunkline logs 12 unit --attempt 1 --step 2 --timestamps
  trunkline logs 12 unit --raw > unit.log    every byte as it was printed
  trunkline logs 12 -f --server ci.example.org")]
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

/// The wanted attempt of each stage that has one.
pub fn with_attempt(
    run: &RunView,
    stages: &[StageIndex],
    args: &LogsArgs,
) -> Result<Vec<(StageIndex, u32)>, Usage> {
    let found: Vec<_> =
        stages.iter().filter_map(|it| Some((*it, attempt(run, *it, args.attempt)?))).collect();
    if found.is_empty() {
        return Err(nothing_printed(run, args));
    }
    // Bytes as they are cannot say which stage they are of.
    if args.raw && found.len() > 1 {
        let message = format!("`--raw` writes one log, and these are {}", found.len());
        return Err(Usage::new(message, "name the stage"));
    }
    Ok(found)
}

fn attempt(run: &RunView, stage: StageIndex, wanted: Option<u32>) -> Option<u32> {
    let last = u32::try_from(run.stage(stage)?.attempts.len()).ok()?;
    let attempt = wanted.unwrap_or(last);
    (1..=last).contains(&attempt).then_some(attempt)
}

fn nothing_printed(run: &RunView, args: &LogsArgs) -> Usage {
    let what = args.stage.as_ref().map_or_else(
        || format!("no stage of run #{}", run.number),
        |stage| format!("`{stage}` of run #{}", run.number),
    );
    let help = "`trunkline show` tells where its stages stand; `--follow` waits for one to start";
    match args.attempt {
        None => Usage::new(format!("{what} has started yet"), help),
        Some(attempt) => Usage::new(format!("{what} has no attempt {attempt}"), help),
    }
}
