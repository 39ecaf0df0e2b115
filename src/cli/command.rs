//! The subcommands. Each file has its arguments and what it does.

pub mod run;
pub mod check;
pub mod graph;
pub mod runs;
pub mod show;
pub mod logs;
pub mod cancel;
pub mod rerun;
pub mod resume;
pub mod answer;
pub mod artifacts;
pub mod shell;
pub mod gc;
pub mod doctor;
pub mod serve;
pub mod worker;
pub mod workers;
pub mod login;
pub mod logout;
pub mod whoami;
pub mod project;
pub mod deliveries;
pub mod secret;
pub mod subscription;
pub mod person;
pub mod team;
pub mod token;
pub mod key;
pub mod audit;
pub mod gateway;
pub mod budget;
pub mod spend;
pub mod traces;
pub mod queue;
pub mod shadow;
pub mod capacity;
pub mod prices;
pub mod cassette;
pub mod backup;
pub mod restore;
pub mod completions;

use super::configuration::Reads;
use super::failure::{Exit, Usage};
use super::session::Session;
use super::state::State;
use crate::model::StageIndex;
use crate::runs::RunsError;
use crate::runs::view::RunView;
use crate::store::runs::RunRow;

use answer::Answer;

/// What `trunkline` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Run a pipeline of the repository you stand in
    Run(Box<run::RunArgs>),
    /// Check pipeline files: all problems at once, with the fix
    Check(check::CheckArgs),
    /// Show the graph of a pipeline's stages
    Graph(graph::GraphArgs),
    /// List the runs of this repository, or of all
    Runs(runs::RunsArgs),
    /// Show one run with its stages, gates, tests and artifacts
    Show(show::ShowArgs),
    /// Show (or follow) the log of a stage
    Logs(logs::args::LogsArgs),
    /// Cancel a run
    Cancel(cancel::CancelArgs),
    /// Run a finished run's stages again
    Rerun(rerun::RerunArgs),
    /// Go on with runs whose process was stopped
    Resume(resume::ResumeArgs),
    /// Say yes to a stage that waits for approval
    #[command(after_help = answer::APPROVE_EXAMPLES)]
    Approve(answer::AnswerArgs),
    /// Say no to a stage that waits for approval
    #[command(after_help = answer::REJECT_EXAMPLES)]
    Reject(answer::AnswerArgs),
    /// List or download the artifacts of a run
    Artifacts(artifacts::ArtifactsArgs),
    /// Enter the kept container of a failed stage
    Shell(shell::ShellArgs),
    /// Remove what nothing needs any more
    Gc(gc::GcArgs),
    /// Check that everything is there that a run needs
    Doctor(doctor::DoctorArgs),
    /// Serve the API, and drive every run
    Serve(Box<serve::ServeArgs>),
    /// Drive runs of servers on the same Postgres, on this machine
    Worker(Box<worker::WorkerArgs>),
    /// List the workers of a server
    Workers(workers::WorkersArgs),
    /// Sign in to a server
    Login(login::LoginArgs),
    /// Sign out of a server
    Logout(logout::LogoutArgs),
    /// Say who you are at a server
    Whoami(whoami::WhoamiArgs),
    /// List, make and set up the projects of a server
    Project(project::ProjectArgs),
    /// List what came in for a project, or have it processed again
    Deliveries(deliveries::DeliveriesArgs),
    /// List, set and remove the secrets of a server
    Secret(secret::SecretArgs),
    /// List, make and end what tells people and programs of a team's runs
    Subscription(subscription::SubscriptionArgs),
    /// Add, list and shut out the people of a server
    Person(person::PersonArgs),
    /// Add and list the teams of a server
    Team(team::TeamArgs),
    /// Make, list and end API tokens of a server
    Token(token::TokenArgs),
    /// Rotate the keys that a server seals with, or show how they stand
    Key(key::KeyArgs),
    /// Show or export the audit log of a server
    Audit(audit::AuditArgs),
    /// Serve the LLM gateway alone: calls to models are metered and held to budgets
    Gateway(gateway::GatewayArgs),
    /// List, set and remove budgets for calls to models
    Budget(budget::BudgetArgs),
    /// Show what calls to models have cost
    Spend(spend::SpendArgs),
    /// Show what happened in calls to models: attempts, tokens, money, times
    Traces(Box<traces::TracesArgs>),
    /// Submit calls to models that a gateway makes later, and see to them
    Queue(queue::QueueArgs),
    /// Compare a candidate with the model or prompt whose calls it answers as well
    Shadow(shadow::ShadowArgs),
    /// Say how many replicas of a model a load needs, and what they cost
    Capacity(Box<capacity::CapacityArgs>),
    /// Take what models cost out of public lists, look it up, and look through a price file
    Prices(prices::PricesArgs),
    /// Make cassettes of recordings of other tools
    Cassette(cassette::CassetteArgs),
    /// Write everything that a server keeps into one file, while it runs
    Backup(backup::BackupArgs),
    /// Make a state folder of a backup
    Restore(restore::RestoreArgs),
    /// Write completions for a shell
    Completions(completions::CompletionsArgs),
}

impl Subcommand {
    /// The name of what only this machine can do.
    #[must_use]
    pub fn local_name(&self) -> Option<&'static str> {
        match self {
            Self::Check(_) => Some("check"),
            Self::Graph(args) if args.run.is_none() => Some("graph` without `--run"),
            Self::Resume(_) => Some("resume"),
            Self::Shell(_) => Some("shell"),
            Self::Gc(_) => Some("gc"),
            Self::Doctor(_) => Some("doctor"),
            Self::Serve(_) => Some("serve"),
            Self::Worker(_) => Some("worker"),
            Self::Workers(_) => Some("workers"),
            Self::Completions(_) => Some("completions"),
            Self::Gateway(args) if !args.is_about_a_server() => Some("gateway"),
            Self::Queue(_) => Some("queue"),
            Self::Shadow(_) => Some("shadow"),
            Self::Prices(_) => Some("prices"),
            Self::Cassette(_) => Some("cassette"),
            Self::Backup(_) => Some("backup"),
            Self::Restore(_) => Some("restore"),
            Self::Spend(args) if args.is_about_a_file() => Some("spend --ledger"),
            Self::Run(_)
            | Self::Graph(_)
            | Self::Runs(_)
            | Self::Show(_)
            | Self::Logs(_)
            | Self::Cancel(_)
            | Self::Rerun(_)
            | Self::Approve(_)
            | Self::Reject(_)
            | Self::Artifacts(_)
            | Self::Login(_)
            | Self::Logout(_)
            | Self::Whoami(_)
            | Self::Project(_)
            | Self::Deliveries(_)
            | Self::Secret(_)
            | Self::Subscription(_)
            | Self::Audit(_)
            | Self::Gateway(_)
            | Self::Budget(_)
            | Self::Spend(_)
            | Self::Traces(_)
            | Self::Capacity(_)
            | Self::Person(_)
            | Self::Team(_)
            | Self::Token(_)
            | Self::Key(_) => None,
        }
    }

    /// When it reads the configuration file of a server.
    #[must_use]
    pub fn configuration(&self) -> Reads {
        match (self.is_about_a_server(), self.has_a_file_of_its_own()) {
            (true, _) => Reads::Always,
            (false, true) => Reads::Never,
            (false, false) => Reads::WhereNamed,
        }
    }

    /// Whether it works on a server's database.
    fn is_about_a_server(&self) -> bool {
        matches!(
            self,
            Self::Serve(_)
                | Self::Worker(_)
                | Self::Workers(_)
                | Self::Person(_)
                | Self::Team(_)
                | Self::Token(_)
                | Self::Key(_)
                | Self::Audit(_)
                | Self::Budget(_)
                | Self::Backup(_)
                | Self::Restore(_)
        ) || matches!(self, Self::Gc(args) if args.of_server)
            || matches!(self, Self::Gateway(args) if args.is_about_a_server())
    }

    /// Whether `--config` names a file of its own, and not that of a server.
    fn has_a_file_of_its_own(&self) -> bool {
        matches!(self, Self::Gateway(args) if !args.is_about_a_server())
    }

    /// Which messages of the engine itself are written when nobody says.
    #[must_use]
    pub fn messages(&self) -> &'static str {
        if self.is_long() { "warn,trunkline=info" } else { "warn" }
    }

    /// Whether it serves until somebody stops it.
    #[must_use]
    pub fn is_long(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Worker(_)) || self.has_a_file_of_its_own()
    }
}

/// Does what was asked.
#[expect(clippy::cognitive_complexity, reason = "one arm a subcommand, and nothing in it")]
pub async fn execute(session: &Session, subcommand: Subcommand) -> anyhow::Result<Exit> {
    match subcommand {
        Subcommand::Run(args) => Box::pin(run::execute(session, &args)).await,
        Subcommand::Check(args) => check::execute(session, &args),
        Subcommand::Graph(args) => graph::execute(session, &args).await,
        Subcommand::Runs(args) => runs::execute(session, &args).await,
        Subcommand::Show(args) => show::execute(session, &args).await,
        Subcommand::Logs(args) => logs::execute(session, &args).await,
        Subcommand::Cancel(args) => Box::pin(cancel::execute(session, &args)).await,
        Subcommand::Rerun(args) => Box::pin(rerun::execute(session, &args)).await,
        Subcommand::Resume(args) => Box::pin(resume::execute(session, &args)).await,
        Subcommand::Approve(args) => answer::execute(session, &args, Answer::Approve).await,
        Subcommand::Reject(args) => answer::execute(session, &args, Answer::Reject).await,
        Subcommand::Artifacts(args) => artifacts::execute(session, &args).await,
        Subcommand::Shell(args) => shell::execute(session, &args).await,
        Subcommand::Gc(args) => Box::pin(gc::execute(session, &args)).await,
        Subcommand::Doctor(args) => doctor::execute(session, &args).await,
        Subcommand::Serve(args) => Box::pin(serve::execute(session, &args)).await,
        Subcommand::Worker(args) => Box::pin(worker::execute(session, &args)).await,
        Subcommand::Workers(args) => workers::execute(session, &args).await,
        Subcommand::Login(args) => Box::pin(login::execute(session, &args)).await,
        Subcommand::Logout(args) => logout::execute(session, &args).await,
        Subcommand::Whoami(args) => whoami::execute(session, &args).await,
        Subcommand::Project(args) => project::execute(session, &args).await,
        Subcommand::Deliveries(args) => deliveries::execute(session, &args).await,
        Subcommand::Secret(args) => secret::execute(session, &args).await,
        Subcommand::Subscription(args) => subscription::execute(session, &args).await,
        Subcommand::Person(args) => person::execute(session, &args).await,
        Subcommand::Team(args) => team::execute(session, &args).await,
        Subcommand::Token(args) => token::execute(session, &args).await,
        Subcommand::Key(args) => key::execute(session, &args).await,
        Subcommand::Audit(args) => audit::execute(session, &args).await,
        Subcommand::Gateway(args) => Box::pin(gateway::execute(session, &args)).await,
        Subcommand::Budget(args) => Box::pin(budget::execute(session, &args)).await,
        Subcommand::Queue(args) => queue::execute(session, &args).await,
        Subcommand::Shadow(args) => shadow::execute(session, &args).await,
        Subcommand::Spend(args) => Box::pin(spend::execute(session, &args)).await,
        Subcommand::Traces(args) => Box::pin(traces::execute(session, &args)).await,
        Subcommand::Capacity(args) => Box::pin(capacity::execute(session, &args)).await,
        Subcommand::Prices(args) => prices::execute(session, &args),
        Subcommand::Cassette(args) => cassette::execute(session, &args),
        Subcommand::Backup(args) => Box::pin(backup::execute(session, &args)).await,
        Subcommand::Restore(args) => Box::pin(restore::execute(session, &args)).await,
        Subcommand::Completions(args) => completions::execute(session, &args),
    }
}

/// The run a person means: `last` is the newest one of the repository they stand in.
async fn find_run(session: &Session, state: &State, reference: &str) -> Result<RunRow, RunsError> {
    state.runs.find(reference, session.repository().as_deref()).await
}

/// The stage a person means: its key, or its name where that means only one.
fn find_stage(run: &RunView, wanted: &str) -> Result<StageIndex, Usage> {
    let stages = find_stages(run, wanted)?;
    match stages.as_slice() {
        [stage] => Ok(*stage),
        several => {
            let keys: Vec<_> = several.iter().map(|it| format!("`{}`", run.key_of(*it))).collect();
            let message = format!("`{wanted}` is the name of {} stages", several.len());
            Err(Usage::new(message, format!("name one of {}", keys.join(", "))))
        }
    }
}

/// The stages with this key or name: several for a matrix.
fn find_stages(run: &RunView, wanted: &str) -> Result<Vec<StageIndex>, Usage> {
    let stages = &run.stages;
    if let Some(stage) = stages.iter().find(|it| it.key == wanted) {
        return Ok(vec![stage.stage]);
    }
    let named: Vec<_> = stages.iter().filter(|it| it.name == wanted).map(|it| it.stage).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let best = stages
        .iter()
        .map(|it| it.key.as_str())
        .max_by(|left, right| similarity(left, wanted).total_cmp(&similarity(right, wanted)));
    let help = if let Some(best) = best.filter(|it| similarity(it, wanted) > 0.7) {
        format!("did you mean `{best}`?")
    } else {
        let keys: Vec<_> = stages.iter().take(20).map(|it| format!("`{}`", it.key)).collect();
        format!("its stages are {}", keys.join(", "))
    };
    Err(Usage::new(format!("run #{} has no stage `{wanted}`", run.number), help))
}

fn similarity(key: &str, wanted: &str) -> f64 {
    strsim::jaro_winkler(key, wanted)
}
