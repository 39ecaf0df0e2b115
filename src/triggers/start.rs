//! From an event to runs: reads the pipelines of the commit, plans those that it starts, and stores each run
//! once for each cause.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::facts::Revision;
use crate::forge::{Push, Sender, StatusState, skip_word};
use crate::model::RunId;
use crate::pipeline::context::{Author, AuthorPart, PullRequestContext};
use crate::pipeline::file::trigger::ForkPolicy;
use crate::pipeline::{Context, Pipeline, Plan, Selection};
use crate::runs::CreateRun;
use crate::source::{CommitFacts, Mirror, SourceError};
use crate::store::StoreError;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::DeliveryStatus;
use crate::store::intake::statuses::WantedStatus;

use super::intake::Outcome;
use super::matching::{self, Match};
use super::pipelines::{self, Found};
use super::{TriggerError, Triggers, forks};

mod authors;

/// Something that may start runs of a commit.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    /// What asks for the runs, so that nothing asks twice.
    pub(super) cause: String,
    /// The commit.
    pub(super) commit: String,
    /// Full ref.
    pub(super) r#ref: String,
    /// What changed paths are compared with, if there is something.
    pub(super) base: Option<String>,
    /// Who has brought it, besides those whom its commits name.
    pub(super) hands: Vec<Author>,
    /// What it is.
    pub(super) kind: HappeningKind,
}

#[derive(Debug, Clone)]
pub(super) enum HappeningKind {
    /// A push.
    Push,
    /// A pull or merge request.
    PullRequest(PullRequestContext),
    /// A schedule of this pipeline.
    Schedule(String),
    /// A person who wants this pipeline, with these inputs.
    Manual(String, BTreeMap<String, String>),
}

/// What becomes of one pipeline of the commit.
pub(super) enum Fate {
    Starts(Box<Planned>),
    Skipped { pipeline: String, reason: String },
    Broken { pipeline: String, problem: String, shown: String },
}

pub(super) struct Planned {
    plan: Plan,
    context: Context,
}

/// Everything that was read of a commit.
pub(super) struct Read {
    pub(super) commit: CommitFacts,
    pub(super) height: i64,
    skip: Option<&'static str>,
    pub(super) fates: Vec<Fate>,
    /// Names of all its pipelines.
    pub(super) pipelines: Vec<String>,
}

impl Triggers {
    pub(super) async fn start_push(
        &self,
        project: &ProjectRow,
        (delivery, sender): (&str, &Sender),
        push: &Push,
        after: &str,
    ) -> Result<Outcome, TriggerError> {
        let trunk = format!("refs/heads/{}", project.default_branch);
        let is_trunk = push.r#ref == trunk;
        let is_branch = push.r#ref.starts_with("refs/heads/");
        let new_branch = (is_branch && !is_trunk).then_some(trunk);
        let happening = Happening {
            cause: format!("delivery:{delivery}"),
            commit: after.to_owned(),
            r#ref: push.r#ref.clone(),
            base: push.before.clone().filter(|_| is_branch).or(new_branch),
            hands: self.brought(project, sender, AuthorPart::Pusher).await?,
            kind: HappeningKind::Push,
        };
        let outcome = self.start(project, happening, None).await?;
        if is_trunk {
            self.read_schedules(project, after).await?;
        }
        Ok(outcome)
    }

    /// Starts what a happening asks for.
    pub(super) async fn start(
        &self,
        project: &ProjectRow,
        happening: Happening,
        request_ref: Option<String>,
    ) -> Result<Outcome, TriggerError> {
        if happening.base.is_some() && !self.projects.mirror(&project.id).has(&happening.commit) {
            // The base may be new too.
            self.projects.fetch(project).await?;
        }
        let mirror =
            self.projects.ensure(project, &happening.commit, request_ref.as_deref()).await?;
        let read = self.read(project, mirror, &happening).await?;
        if let Some(word) = read.skip {
            let reason = format!("the commit's message says `{word}`");
            return Ok((DeliveryStatus::Ignored, reason));
        }
        self.carry_out(project, &happening, read).await
    }

    /// Reads what a happening means for each pipeline of its commit.
    pub(super) async fn read(
        &self,
        project: &ProjectRow,
        mirror: Mirror,
        happening: &Happening,
    ) -> Result<Read, TriggerError> {
        let reader = Reader {
            mirror,
            objects: self.projects.objects(),
            default_branch: project.default_branch.clone(),
            happening: happening.clone(),
        };
        let read = tokio::task::spawn_blocking(move || reader.read()).await;
        Ok(read.map_err(|error| TriggerError::Broken(error.to_string()))??)
    }

    async fn carry_out(
        &self,
        project: &ProjectRow,
        happening: &Happening,
        read: Read,
    ) -> Result<Outcome, TriggerError> {
        let mut told = Vec::new();
        let mut is_broken = false;
        for fate in read.fates {
            match fate {
                Fate::Starts(planned) => {
                    let revision = (&read.commit, read.height);
                    told.push(self.create(project, happening, revision, *planned).await?);
                }
                Fate::Skipped { pipeline, reason } => {
                    let state = StatusState::Success;
                    let description = format!("skipped: {reason}");
                    self.tell(project, (&read.commit.id, &pipeline), state, description).await?;
                    told.push(format!("`{pipeline}` is skipped: {reason}"));
                }
                Fate::Broken { pipeline, problem, shown } => {
                    let state = StatusState::Failure;
                    self.tell(project, (&read.commit.id, &pipeline), state, problem).await?;
                    told.push(format!("`{pipeline}` cannot be read:\n{shown}"));
                    is_broken = true;
                }
            }
        }
        if told.is_empty() {
            let reason = "no pipeline of the commit is started by this".to_owned();
            return Ok((DeliveryStatus::Ignored, reason));
        }
        let status = if is_broken { DeliveryStatus::Failed } else { DeliveryStatus::Processed };
        Ok((status, told.join("\n")))
    }

    /// Stores a run, unless its cause has made one before.
    pub(super) async fn create(
        &self,
        project: &ProjectRow,
        happening: &Happening,
        (commit, height): (&CommitFacts, i64),
        planned: Planned,
    ) -> Result<String, TriggerError> {
        let Planned { plan, mut context } = planned;
        let (pipeline, cause) = (plan.pipeline.clone(), happening.cause.clone());
        let already = |number| Ok(format!("run #{number} of `{pipeline}` was started before"));
        if let Some(row) = self.store().find_run_by_cause(&project.id, &pipeline, &cause).await? {
            return already(row.number);
        }
        // A request is measured against where it goes.
        let base = context.pull_request.as_ref().map(|it| it.base.clone());
        let (name, branch) = (project.slug(), base.unwrap_or_else(|| context.git.branch.clone()));
        self.recognise(&mut context.authors).await?;
        context.baselines = self.store().find_baselines(&name, &pipeline, &branch).await?;
        let now = self.now();
        let create = CreateRun {
            id: RunId(crate::secrets::new_id(now)),
            repository: name,
            tree: commit.tree.clone(),
            project: project.id.clone(),
            cause: cause.clone(),
            height,
            plan,
            context,
            created_at: now,
        };
        match self.runs.create(&create).await {
            Ok(number) => Ok(format!("run #{number} of `{pipeline}` was started")),
            Err(error) => {
                let row = self.store().find_run_by_cause(&project.id, &pipeline, &cause).await?;
                row.map_or(Err(error.into()), |row| already(row.number))
            }
        }
    }

    /// Tells the forge, where there is one, of a pipeline that no run came of.
    async fn tell(
        &self,
        project: &ProjectRow,
        (commit, pipeline): (&str, &str),
        state: StatusState,
        description: String,
    ) -> Result<(), StoreError> {
        if !project.has_forge() {
            return Ok(());
        }
        let wanted = WantedStatus {
            project: project.id.clone(),
            revision: commit.to_owned(),
            context: format!("trunkline/{pipeline}"),
            run: RunId(String::new()),
            state: state.as_str().to_owned(),
            description,
            summary: String::new(),
        };
        self.store().save_statuses(&[wanted], self.now()).await
    }
}

/// Reads a commit; blocks on the disk.
struct Reader {
    mirror: Mirror,
    objects: std::path::PathBuf,
    default_branch: String,
    happening: Happening,
}

impl Reader {
    fn read(&self) -> Result<Read, SourceError> {
        let commit = self.mirror.find_commit(&self.happening.commit)?;
        let skip = skip_word(&commit.message).filter(|_| self.happening.kind.wanted().is_none());
        let height = self.mirror.height(&commit.id)?;
        if skip.is_some() {
            let (fates, pipelines) = (Vec::new(), Vec::new());
            return Ok(Read { commit, height, skip, fates, pipelines });
        }
        let changed = self.changed_paths(&commit)?;
        let found = pipelines::read_all(&self.mirror, &commit.id)?;
        let trusted = self.trusted()?;
        let mut fates = Vec::new();
        for found in &found {
            fates.extend(self.fate(found, &commit, changed.as_deref(), trusted.as_deref())?);
        }
        let pipelines = found.iter().map(Found::name).collect();
        Ok(Read { commit, height, skip, fates, pipelines })
    }

    /// The pipelines of the default branch, where the code of the commit is not trusted to say what may
    /// happen to it.
    fn trusted(&self) -> Result<Option<Vec<Found>>, SourceError> {
        match &self.happening.kind {
            HappeningKind::PullRequest(request) if request.fork => {
                let trunk = format!("refs/heads/{}", self.default_branch);
                let trunk = self.mirror.find_commit(&trunk)?;
                pipelines::read_all(&self.mirror, &trunk.id).map(Some)
            }
            HappeningKind::PullRequest(_)
            | HappeningKind::Push
            | HappeningKind::Schedule(_)
            | HappeningKind::Manual(..) => Ok(None),
        }
    }

    fn changed_paths(&self, commit: &CommitFacts) -> Result<Option<Vec<String>>, SourceError> {
        let Some(base) = &self.happening.base else { return Ok(None) };
        let snapshot = commit.snapshot(&self.happening.r#ref);
        self.mirror.repository()?.changed_paths(&snapshot, &self.objects, base)
    }

    fn fate(
        &self,
        found: &Found,
        commit: &CommitFacts,
        changed: Option<&[String]>,
        trusted: Option<&[Found]>,
    ) -> Result<Option<Fate>, SourceError> {
        let Some(pipeline) = &found.checked.pipeline else {
            return Ok(self.broken(found, trusted));
        };
        let policy = match trusted {
            Some(trusted) => match fork_policy(trusted, pipeline) {
                Some(policy) => policy,
                None => return Ok(None),
            },
            None => ForkPolicy::Allow,
        };
        let name = || pipeline.name().to_owned();
        let reason = match self.matches(pipeline, changed) {
            Match::Unconcerned => return Ok(None),
            Match::Skipped(reason) => Some(reason),
            Match::Starts if policy == ForkPolicy::Deny => {
                Some("requests from forks are not built".to_owned())
            }
            Match::Starts => None,
        };
        if let Some(reason) = reason {
            return Ok(Some(Fate::Skipped { pipeline: name(), reason }));
        }
        let broken = |problem: String, shown| Fate::Broken { pipeline: name(), problem, shown };
        let inputs = match self.inputs(pipeline) {
            Ok(inputs) => inputs,
            Err(problems) => {
                let shown = problems.join("; ");
                return Ok(Some(broken(shown.clone(), shown)));
            }
        };
        let context = Context { inputs, ..self.context(pipeline, commit, changed)? };
        Ok(Some(match pipeline.plan(&context, &Selection::All) {
            Ok(mut plan) => {
                if trusted.is_some() {
                    let request = context.pull_request.as_ref().map_or(0, |it| it.number);
                    forks::confine(&mut plan, policy, request);
                }
                Fate::Starts(Box::new(Planned { plan, context }))
            }
            Err(problems) => {
                let all: Vec<_> = problems.iter().map(|it| it.message.as_str()).collect();
                let problem = all.first().copied().unwrap_or_default().to_owned();
                broken(problem, all.join("\n"))
            }
        }))
    }

    /// A file that cannot be read is told of, as nobody knows what it would have started; not to forks,
    /// and not by a schedule of another pipeline.
    fn broken(&self, found: &Found, trusted: Option<&[Found]>) -> Option<Fate> {
        let is_other = match &self.happening.kind {
            HappeningKind::Schedule(_) => true,
            HappeningKind::Manual(wanted, _) => *wanted != found.name(),
            HappeningKind::Push | HappeningKind::PullRequest(_) => false,
        };
        if trusted.is_some() || is_other {
            return None;
        }
        let problem = found.problem()?;
        Some(Fate::Broken { pipeline: found.name(), problem, shown: found.problems() })
    }

    fn matches(&self, pipeline: &Pipeline, changed: Option<&[String]>) -> Match {
        let triggers = pipeline.triggers();
        match &self.happening.kind {
            HappeningKind::Push => {
                matching::push(triggers.push.as_ref(), &self.happening.r#ref, changed)
            }
            HappeningKind::PullRequest(request) => {
                matching::pull_request(triggers.pull_request.as_ref(), &request.base, changed)
            }
            HappeningKind::Schedule(name) | HappeningKind::Manual(name, _) => {
                if name == pipeline.name() { Match::Starts } else { Match::Unconcerned }
            }
        }
    }

    /// Only a person gives inputs; every other event has their defaults.
    fn inputs(&self, pipeline: &Pipeline) -> Result<BTreeMap<String, Json>, Vec<String>> {
        match &self.happening.kind {
            HappeningKind::Manual(_, given) => pipeline.read_inputs(given),
            HappeningKind::Push | HappeningKind::PullRequest(_) | HappeningKind::Schedule(_) => {
                Ok(pipeline.default_inputs())
            }
        }
    }

    fn context(
        &self,
        pipeline: &Pipeline,
        commit: &CommitFacts,
        changed: Option<&[String]>,
    ) -> Result<Context, SourceError> {
        let repository = self.mirror.repository()?;
        let snapshot = commit.snapshot(&self.happening.r#ref);
        let (objects, repository) = (self.objects.as_path(), &repository);
        let revision = Revision { repository, objects, snapshot: &snapshot };
        let (event, pull_request) = match &self.happening.kind {
            HappeningKind::Push => ("push", None),
            HappeningKind::PullRequest(request) => ("pull_request", Some(request.clone())),
            HappeningKind::Schedule(_) => ("schedule", None),
            HappeningKind::Manual(..) => ("manual", None),
        };
        let mut git = revision.git(None);
        if let Some(request) = &pull_request {
            git.branch.clone_from(&request.head);
        }
        Ok(Context {
            event: event.to_owned(),
            git,
            pull_request,
            changed_paths: changed.map(<[String]>::to_vec),
            hashes: revision.hashes(pipeline)?,
            authors: authors::of(&self.mirror, (&self.happening, &self.default_branch))?,
            team: pipeline.team().map(str::to_owned),
            ..Context::default()
        })
    }
}

impl HappeningKind {
    /// The one pipeline that is asked for by name, whatever a commit's message says.
    fn wanted(&self) -> Option<&str> {
        match self {
            Self::Schedule(name) | Self::Manual(name, _) => Some(name),
            Self::Push | Self::PullRequest(_) => None,
        }
    }
}

/// What the default branch says of forks; `None` when its pipeline of that name takes no requests. A
/// pipeline that it does not have waits for somebody to look.
fn fork_policy(trusted: &[Found], pipeline: &Pipeline) -> Option<ForkPolicy> {
    let same = trusted.iter().filter_map(|it| it.checked.pipeline.as_ref());
    match same.into_iter().find(|it| it.name() == pipeline.name()) {
        Some(own) => own.triggers().pull_request.as_ref().map(|it| it.forks),
        None => Some(ForkPolicy::Approval),
    }
}
