//! `trunkline run`: from the working tree to a finished run.

use std::time::Duration;

use super::project::Slug;
use crate::cli::drive::args::{DriveArgs, Reuse};
use crate::cli::drive::{Foreground, executor};
use crate::cli::failure::{AlreadyShown, Exit, Usage};
use crate::cli::local::include::Freshness;
use crate::cli::local::{facts, missing_secrets, pipeline_file};
use crate::cli::remote::{Call, Remote, watch};
use crate::cli::session::{Session, repository_name};
use crate::cli::state::State;
use crate::config::ExecutorKind;
use crate::model::{ProjectId, RunId};
use crate::pipeline::{Context, Plan, Selection, Template, file::Pipeline};
use crate::runs::CreateRun;
use crate::runs::view::RunView;
use crate::source::Repository;

/// Arguments of `trunkline run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline run                          the only pipeline, on the working tree as it is
  trunkline run ci --stage unit          one stage and what it needs
  trunkline run --secret API_KEY --input level=high
  trunkline run --event pull_request --base main
  trunkline run --executor host --json | jq .
  trunkline run deploy --project shop/web --input level=high    on a server, and looks on")]
pub struct RunArgs {
    /// Name of a pipeline, or path of its file [default: the only one there is]
    pub pipeline: Option<String>,
    /// Run only this stage, or this cell of its matrix such as `unit (3.12)`, and what it needs (repeatable)
    #[arg(short, long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
    /// Start it on a server, for this project
    #[arg(long, value_name = "TEAM/NAME")]
    pub project: Option<Slug>,
    /// Branch, tag or commit to run on a server [default: the trunk]
    #[arg(long = "ref", value_name = "REF", requires = "project")]
    pub revision: Option<String>,
    /// Do not wait for the end (of a run of a server)
    #[arg(long, requires = "project")]
    pub detach: bool,
    /// Set a variable in the environment of every stage
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Run stages although nothing they depend on has changed
    #[arg(long)]
    pub no_reuse: bool,
    /// Its facts.
    #[command(flatten)]
    pub facts: facts::FactArgs,
    /// How it is driven.
    #[command(flatten)]
    pub drive: DriveArgs,
}

impl RunArgs {
    fn reuse(&self) -> Reuse {
        Reuse::unless(self.no_reuse)
    }
}

/// Makes a run and drives it.
pub async fn execute(session: &Session, args: &RunArgs) -> anyhow::Result<Exit> {
    if let Some(project) = &args.project {
        let remote = Remote::required(session)?;
        return Box::pin(start_at_server(session, &remote, (project, args))).await;
    }
    if let Some(server) = session.named_server() {
        let help = "name the project with `--project team/name`, or leave `--server` out";
        let message = format!("`{server}` cannot run what is on this machine");
        return Err(Usage::new(message, help).into());
    }
    let repository = Repository::discover(&session.folder)?;
    let wanted = args.pipeline.as_deref();
    let files = facts::files(&repository, &args.facts)?;
    let file = pipeline_file::find(&files, &session.folder, wanted)?;
    let pipeline = pipeline_file::checked(session, (&files, &file), Freshness::Newest)?;
    let state = State::open(&session.settings).await?;
    let kind = args.drive.engine.executor.map_or(session.settings.executor, ExecutorKind::from);
    // What is missing is told before there is a run that could not go on.
    let foreground = Foreground::open(session, &state, &args.drive, kind).await?;
    let create = create(session, &state, &repository, (&pipeline, args)).await?;
    missing_secrets::refuse((&create.plan, &create.context), foreground.secrets(), args.reuse())?;
    let foreground = foreground.with_gateway((&create.id, &create.repository)).await?;
    executor::remember(&state, &create.id, kind)?;
    state.runs.create(&create).await?;
    foreground.drive(&create.id, args.reuse()).await
}

/// Starts a pipeline of a project as a person would on its page, and looks on.
async fn start_at_server(
    session: &Session,
    remote: &Remote,
    (project, args): (&Slug, &RunArgs),
) -> anyhow::Result<Exit> {
    args.drive.check_remote()?;
    let facts = &args.facts;
    let is_local = !args.stages.is_empty()
        || !args.env.is_empty()
        || args.no_reuse
        || facts.event.is_some()
        || facts.branch.is_some()
        || facts.base.is_some()
        || facts.committed;
    if is_local {
        let message =
            "a run of a server takes `--input` and `--ref`, and nothing else that changes it";
        return Err(Usage::new(message, "leave the other options out").into());
    }
    let missing = || {
        let help = "name it: `trunkline run deploy --project shop/web`";
        Usage::new("no pipeline is named", help)
    };
    let pipeline = args.pipeline.as_ref().ok_or_else(missing)?;
    let body = serde_json::json!({
        "pipeline": pipeline,
        "ref": args.revision.clone().unwrap_or_default(),
        "inputs": facts::pairs("--input", &facts.inputs)?,
    });
    let call = Call::post(&project.below(&["runs"])).body(&body);
    let run: RunView = remote.client.fetch(&call).await?;
    watch::follow(session, (remote, run), (args.detach, args.drive.report)).await
}

async fn create(
    session: &Session,
    state: &State,
    repository: &Repository,
    (pipeline, args): (&Pipeline, &RunArgs),
) -> anyhow::Result<CreateRun> {
    let (snapshot, mut context) =
        facts::gather(repository, &state.objects(), pipeline, &args.facts)?;
    let name = repository_name(repository);
    let branch = context.git.branch.clone();
    context.baselines = state.store.find_baselines(&name, pipeline.name(), &branch).await?;
    Ok(CreateRun {
        id: RunId(new_id(session)),
        repository: name,
        tree: snapshot.tree,
        project: ProjectId(String::new()),
        cause: String::new(),
        height: 0,
        plan: plan(pipeline, &context, args)?,
        context,
        created_at: session.now(),
    })
}

/// A ULID whose time is the session's clock.
fn new_id(session: &Session) -> String {
    let millis = u64::try_from(session.now().0).unwrap_or_default();
    let moment = std::time::UNIX_EPOCH + Duration::from_millis(millis);
    ulid::Ulid::from_datetime(moment).to_string().to_lowercase()
}

fn plan(pipeline: &Pipeline, context: &Context, args: &RunArgs) -> anyhow::Result<Plan> {
    let selection = match args.stages.as_slice() {
        [] => Selection::All,
        stages => Selection::Stages(stages.to_vec()),
    };
    let mut plan = match pipeline.plan(context, &selection) {
        Ok(plan) => plan,
        Err(problems) => return Err(show_problems(&problems)),
    };
    let env = facts::variables("--env", &args.env)?;
    for stage in &mut plan.stages {
        stage.env.extend(env.iter().map(|(name, value)| (name.clone(), Template::literal(value))));
    }
    Ok(plan)
}

/// Problems that come to light with the facts of a run, such as a stage that is not there.
pub(super) fn show_problems(problems: &[crate::pipeline::diagnostic::Diagnostic]) -> anyhow::Error {
    match problems {
        [] => AlreadyShown.into(),
        [first, rest @ ..] => {
            let all = std::iter::once(first).chain(rest).map(|it| it.message.as_str());
            let message = all.collect::<Vec<_>>().join("; ");
            let mut help: Vec<&str> = problems.iter().filter_map(|it| it.help.as_deref()).collect();
            help.dedup();
            Usage::new(message, help.join("; ")).into()
        }
    }
}
