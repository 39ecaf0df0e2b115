//! `trunkline cassette`: recordings of model calls. Those of other recorders become ours.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::gateway::cassette::redact::Redactor;
use crate::gateway::cassette::{Add, Cassette, import};

/// The largest recording that is read.
const BYTES_MAX: u64 = 64 << 20;

/// Arguments of `trunkline cassette`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads recordings of go-vcr (version 2) and vcr.py. Secrets and e-mail addresses are taken out as they are written. What
the cassette has already is not added twice. The stages of a pipeline are answered from
`<cassettes>/<pipeline>/<stage>.jsonl`: docs/gateway.md.

Examples:
  trunkline cassette import tests/cassettes/chat.yaml --into cassettes/chat.jsonl
  trunkline cassette import tests/cassettes/*.yaml --into cassettes/ci/eval.jsonl    of the stage `eval` of `ci`")]
pub struct CassetteArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a cassette of recordings, or add them to one
    Import {
        /// The recordings (YAML)
        #[arg(required = true)]
        recordings: Vec<PathBuf>,
        /// The cassette (JSON lines); it is made where there is none
        #[arg(long, value_name = "FILE")]
        into: PathBuf,
    },
}

/// Does what was asked.
pub fn execute(session: &Session, args: &CassetteArgs) -> anyhow::Result<Exit> {
    let Action::Import { recordings, into } = &args.action;
    let mut calls = Vec::new();
    for path in recordings {
        let wrong = |why: String| {
            let message = format!("the recording `{}` cannot be read: {why}", path.display());
            Usage::new(message, "it is YAML of go-vcr, version 2, or of vcr.py")
        };
        calls.extend(import::vcr(&read(path)?).map_err(wrong)?);
    }
    let broken = |error: &dyn std::fmt::Display| {
        let message = format!("the cassette `{}`: {error}", into.display());
        Usage::new(message, "name a cassette, or a file that is not there yet, with `--into`")
    };
    let cassette = Cassette::read(into.clone(), Redactor::new(Vec::new()));
    let cassette = cassette.map_err(|it| broken(&it))?;
    let (all, mut added) = (calls.len(), 0);
    for call in calls {
        match cassette.add(call) {
            Add::Added => added += 1,
            Add::Present => {}
            Add::Full => return Err(broken(&"it holds no more calls").into()),
        }
    }
    cassette.save().map_err(|it| broken(&it))?;
    if session.output.json {
        let told = json!({ "into": into, "calls": all, "added": added, "present": all - added });
        session.output.json(&told)?;
    } else {
        let before =
            if all == added { String::new() } else { format!(", {} were there", all - added) };
        session
            .output
            .line(&format!("`{}` has got {added} of {all} calls{before}", into.display()))?;
    }
    Ok(Exit::Passed)
}

fn read(path: &Path) -> Result<String, Usage> {
    let unreadable = |why: String| {
        let message = format!("`{}` cannot be read: {why}", path.display());
        Usage::new(message, "name a file that is there")
    };
    let size = std::fs::metadata(path).map_err(|it| unreadable(it.to_string()))?.len();
    if size > BYTES_MAX {
        return Err(unreadable("it is larger than 64 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map_err(|it| unreadable(it.to_string()))
}
