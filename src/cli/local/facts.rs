//! The facts of a run that is started by hand: its event, revision, inputs and changed paths.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::Files;
use crate::cli::failure::Usage;
use crate::facts::{Revision, hashes_of};
use crate::pipeline::context::{GitContext, PullRequestContext};
use crate::pipeline::{Context, file::Pipeline};
use crate::source::{Repository, Snapshot, SourceError};

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
    /// Revision that `changed(…)` compares with [default: the upstream of the branch, or the trunk, or
    /// the commit before; with none of them everything counts as changed]
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// Take the last commit, without what is not committed; the pipeline file is that of the commit too
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
        last_commit(repository)?
    } else {
        repository.snapshot_working_tree(objects)?
    };
    let facts = Facts { repository, objects, snapshot: &snapshot, pipeline, args };
    let context = facts.context()?;
    Ok((snapshot, context))
}

/// The files that these facts are about.
pub fn files(repository: &Repository, args: &FactArgs) -> anyhow::Result<Files> {
    if args.committed {
        return Ok(Files::of_commit(repository, last_commit(repository)?)?);
    }
    Ok(Files::on_disk(repository.folder().to_owned()))
}

fn last_commit(repository: &Repository) -> anyhow::Result<Snapshot> {
    let head = repository.snapshot_head()?;
    if head.commit.is_empty() {
        let help = "commit something first, or leave `--committed` out";
        return Err(Usage::new("the repository has no commit yet", help).into());
    }
    Ok(head)
}

/// Facts for looking at a plan without running it: nothing is written, and what git cannot say (no
/// repository, no commit) is left empty.
pub fn of_head(
    repository: Option<&Repository>,
    pipeline: &Pipeline,
    args: &FactArgs,
) -> anyhow::Result<Context> {
    let head = repository.and_then(|it| Some((it, it.snapshot_head().ok()?)));
    if let Some((repository, snapshot)) = &head {
        let objects = repository.own_objects();
        let facts = Facts { repository, objects, snapshot, pipeline, args };
        return facts.context();
    }
    Ok(Context {
        event: args.event.unwrap_or_else(|| default_event(pipeline)).as_str().to_owned(),
        inputs: inputs(pipeline, &args.inputs)?,
        hashes: hashes_of(&[], pipeline),
        team: pipeline.team().map(str::to_owned),
        ..Context::default()
    })
}

struct Facts<'a> {
    repository: &'a Repository,
    objects: &'a Path,
    snapshot: &'a Snapshot,
    pipeline: &'a Pipeline,
    args: &'a FactArgs,
}

impl Facts<'_> {
    fn context(&self) -> anyhow::Result<Context> {
        let event = self.args.event.unwrap_or_else(|| default_event(self.pipeline));
        let is_request = event == EventChoice::PullRequest;
        let base = self.args.base.clone();
        let base = base.or_else(|| self.repository.default_base(self.snapshot));
        let branch = self.args.branch.as_ref().map(|it| format!("refs/heads/{it}"));
        let git = self.revision().git(branch.as_deref());
        Ok(Context {
            event: event.as_str().to_owned(),
            pull_request: is_request.then(|| pull_request(&git, base.as_deref())),
            git,
            inputs: self.inputs(event)?,
            changed_paths: self.changed_paths(base.as_deref())?,
            hashes: self.revision().hashes(self.pipeline)?,
            team: self.pipeline.team().map(str::to_owned),
            baselines: BTreeMap::new(),
            authors: Vec::new(),
        })
    }

    /// Only a person gives inputs; every other event has their defaults, as on a server.
    fn inputs(&self, event: EventChoice) -> Result<BTreeMap<String, serde_json::Value>, Usage> {
        if event == EventChoice::Manual || !self.args.inputs.is_empty() {
            return inputs(self.pipeline, &self.args.inputs);
        }
        Ok(self.pipeline.default_inputs())
    }

    fn changed_paths(&self, base: Option<&str>) -> Result<Option<Vec<String>>, SourceError> {
        let Some(base) = base else { return Ok(None) };
        let changed = self.repository.changed_paths(self.snapshot, self.objects, base)?;
        if changed.is_none() && self.args.base.is_some() {
            return Err(SourceError::NotFound(base.to_owned()));
        }
        Ok(changed)
    }

    fn revision(&self) -> Revision<'_> {
        let Self { repository, objects, snapshot, .. } = *self;
        Revision { repository, objects, snapshot }
    }
}

fn default_event(pipeline: &Pipeline) -> EventChoice {
    let has_push = pipeline.triggers().push.is_some();
    if has_push && pipeline.declared_inputs().is_empty() {
        EventChoice::Push
    } else {
        EventChoice::Manual
    }
}

/// A request that is not open anywhere yet has no number.
fn pull_request(git: &GitContext, base: Option<&str>) -> PullRequestContext {
    let base = base.unwrap_or("main");
    PullRequestContext {
        number: 0,
        base: base.trim_start_matches("refs/heads/").trim_start_matches("origin/").to_owned(),
        head: git.branch.clone(),
        title: git.message.clone(),
        author: git.author.clone(),
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

/// Reads `NAME=VALUE` arguments whose names a shell can hold.
pub fn variables(option: &str, given: &[String]) -> Result<BTreeMap<String, String>, Usage> {
    let variables = pairs(option, given)?;
    match variables.keys().find(|it| !is_variable(it)) {
        None => Ok(variables),
        Some(name) => Err(Usage::new(
            format!("`{name}` of `{option}` cannot be the name of a variable"),
            "use letters, digits and `_`, and no digit at the beginning",
        )),
    }
}

fn is_variable(name: &str) -> bool {
    let is_word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    name.bytes().all(is_word) && !name.starts_with(|it: char| it.is_ascii_digit())
}
