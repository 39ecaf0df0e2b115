//! The facts of a run that is started by hand: its event, revision, inputs and changed paths.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::failure::Usage;
use crate::pipeline::context::{GitContext, PullRequestContext};
use crate::pipeline::{Context, file::Pipeline};
use crate::source::{Repository, Snapshot, SourceError, digest_of_globs};

/// An event that a person can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum EventChoice {
    /// As after a push to the branch.
    Push,
    /// As for a pull request from the branch into `--base`.
    PullRequest,
    /// As when a person starts it, with inputs.
    Manual,
}

impl EventChoice {
    fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Manual => "manual",
        }
    }
}

/// What the command line says about the facts.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FactArgs {
    /// Value of an input of the pipeline
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// The event to play [default: `manual` when the pipeline declares inputs or has no `push` trigger,
    /// else `push`]
    #[arg(long, value_enum)]
    pub event: Option<EventChoice>,
    /// The branch to play [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Revision that `changed(…)` compares with [default: none, and then everything counts as changed;
    /// `main` for `--event pull_request`]
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Run the last commit, without what is not committed
    #[arg(long)]
    pub committed: bool,
}

/// The revision and the facts of a run. Reads git; takes as long as the working tree is large.
pub fn gather(
    repository: &Repository,
    objects: &Path,
    pipeline: &Pipeline,
    args: &FactArgs,
) -> anyhow::Result<(Snapshot, Context)> {
    let snapshot = if args.committed {
        repository.snapshot_head()?
    } else {
        repository.snapshot_working_tree(objects)?
    };
    let event = args.event.unwrap_or_else(|| default_event(pipeline));
    let base = base_of(event, args);
    let context = Context {
        event: event.as_str().to_owned(),
        git: git(&snapshot, args.branch.as_deref()),
        pull_request: (event == EventChoice::PullRequest)
            .then(|| pull_request(&snapshot, base, args.branch.as_deref())),
        inputs: inputs(pipeline, &args.inputs)?,
        changed_paths: changed_paths(repository, &snapshot, objects, (base, args.base.is_some()))?,
        hashes: hashes(repository, &snapshot, objects, pipeline)?,
        team: pipeline.team().map(str::to_owned),
        baselines: BTreeMap::new(),
    };
    Ok((snapshot, context))
}

fn default_event(pipeline: &Pipeline) -> EventChoice {
    let has_push = pipeline.triggers().push.is_some();
    if has_push && pipeline.declared_inputs().is_empty() {
        EventChoice::Push
    } else {
        EventChoice::Manual
    }
}

fn base_of(event: EventChoice, args: &FactArgs) -> Option<&str> {
    let default = (event == EventChoice::PullRequest).then_some("main");
    args.base.as_deref().or(default)
}

fn git(snapshot: &Snapshot, branch: Option<&str>) -> GitContext {
    let full = branch.map_or_else(|| snapshot.r#ref.clone(), |it| format!("refs/heads/{it}"));
    GitContext {
        sha: snapshot.commit.clone(),
        branch: full.strip_prefix("refs/heads/").unwrap_or_default().to_owned(),
        tag: full.strip_prefix("refs/tags/").unwrap_or_default().to_owned(),
        r#ref: full,
        message: snapshot.title.clone(),
        author: snapshot.author.clone(),
        dirty: snapshot.dirty,
    }
}

/// A request that is not open anywhere yet has no number.
fn pull_request(
    snapshot: &Snapshot,
    base: Option<&str>,
    branch: Option<&str>,
) -> PullRequestContext {
    PullRequestContext {
        number: 0,
        base: base.unwrap_or_default().to_owned(),
        head: git(snapshot, branch).branch,
        title: snapshot.title.clone(),
        author: snapshot.author.clone(),
        fork: false,
    }
}

fn inputs(
    pipeline: &Pipeline,
    given: &[String],
) -> Result<BTreeMap<String, serde_json::Value>, Usage> {
    let values = pairs("--input", given)?;
    pipeline.read_inputs(&values).map_err(|problems| {
        let known: Vec<_> = pipeline.declared_inputs().keys().map(|it| format!("`{it}`")).collect();
        let help = match known.as_slice() {
            [] => "the pipeline declares no inputs (`on.manual.inputs`)".to_owned(),
            known => format!("the inputs of the pipeline are {}", known.join(", ")),
        };
        Usage::new(problems.join("; "), help)
    })
}

/// Reads `NAME=VALUE` arguments.
pub fn pairs(option: &str, given: &[String]) -> Result<BTreeMap<String, String>, Usage> {
    let pair = |it: &String| match it.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Usage::new(
            format!("`{option} {it}` has no name or no value"),
            format!("write `{option} NAME=VALUE`"),
        )),
    };
    given.iter().map(pair).collect()
}

fn changed_paths(
    repository: &Repository,
    snapshot: &Snapshot,
    objects: &Path,
    (base, was_asked_for): (Option<&str>, bool),
) -> Result<Option<Vec<String>>, SourceError> {
    let Some(base) = base else { return Ok(None) };
    let changed = repository.changed_paths(snapshot, objects, base)?;
    if changed.is_none() && was_asked_for {
        return Err(SourceError::NotFound(base.to_owned()));
    }
    Ok(changed)
}

fn hashes(
    repository: &Repository,
    snapshot: &Snapshot,
    objects: &Path,
    pipeline: &Pipeline,
) -> Result<BTreeMap<String, String>, SourceError> {
    let calls = pipeline.hash_calls();
    if calls.is_empty() {
        return Ok(BTreeMap::new());
    }
    let files = repository.list_files(snapshot, objects)?;
    let hash = |globs: Vec<String>| {
        let digest = digest_of_globs(&files, &globs);
        (globs.join("\n"), digest.hex().to_owned())
    };
    Ok(calls.into_iter().map(hash).collect())
}
