//! `trunkline traces`: what happened in calls to models and in the apps that make them, here or at a server.

use super::audit::{When, when};
use crate::cli::failure::{Exit, Usage};
use crate::cli::output::Output;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::cli::view::trail;
use crate::desk::server::traces::{self, TraceQuery, TraceView, TreeView};
use crate::store::spend::requests::traces::TraceFilter;

/// Arguments of `trunkline traces`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works on the state folder of this machine, or `DATABASE_URL`. With `--server` or `TRUNKLINE_SERVER` it asks that
server for what you may know of. A gateway alone keeps no traces: it sends them to a collector, where its file or the
environment names one (docs/traces.md). Under load, not every call is traced.

Examples:
  trunkline traces                                       the newest calls, and what apps have sent
  trunkline traces --run last --status error
  trunkline traces --endpoint search --min-ms 2000 --since 1h --server ci.example.org
  trunkline traces req_01k9zz0000abcdefghjkmnpqrs        one call as a tree
  trunkline traces 4bf92f3577b34da6a3ce929d0e0e4736 --json")]
pub struct TracesArgs {
    /// A request (`req_…`, as `x-request-id` said), a trace (32 hexadecimal digits) or a span of an app (`spn_…`)
    id: Option<String>,
    /// Only of this trace
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Only of this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only of this project
    #[arg(long, value_name = "TEAM/NAME")]
    project: Option<String>,
    /// Only of this pipeline, of whatever project
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only of this run: its id, its number, or `last`
    #[arg(long)]
    run: Option<String>,
    /// Only of this stage
    #[arg(long)]
    stage: Option<String>,
    /// Only of this endpoint of deployed apps
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Only of this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// `ok`, `error`, a status such as `429`, or what went wrong, such as `guardrail`
    #[arg(long, value_name = "WORD")]
    status: Option<String>,
    /// Not shorter than so many milliseconds
    #[arg(long, value_name = "MS")]
    min_ms: Option<u64>,
    /// Not cheaper than so many dollars
    #[arg(long, value_name = "USD")]
    min_usd: Option<String>,
    /// From this day or moment on (RFC 3339; UTC), or not older than `30m`, `12h`, `7d`
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Before this day or moment
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

/// Lists calls, or shows one.
pub async fn execute(session: &Session, args: &TracesArgs) -> anyhow::Result<Exit> {
    let remote = Remote::chosen(session)?;
    if let Some(id) = &args.id {
        let tree = match &remote {
            Some(remote) => remote.client.fetch(&Call::get(&["traces", id.as_str()])).await?,
            None => of_machine(session, id).await?,
        };
        return show(session.output, &tree);
    }
    let rows = match &remote {
        Some(remote) => list_of_server(session, remote, args).await?,
        None => list_of_machine(session, args).await?,
    };
    if session.output.json {
        session.output.json(&rows)?;
        return Ok(Exit::Passed);
    }
    if rows.is_empty() {
        session.output.line("no such call to a model was traced, and no such span of an app")?;
    }
    for row in &rows {
        session.output.line(&trail::line(row, session.output))?;
    }
    Ok(Exit::Passed)
}

fn show(output: Output, tree: &TreeView) -> anyhow::Result<Exit> {
    if output.json {
        output.json(tree)?;
        return Ok(Exit::Passed);
    }
    for line in trail::tree(tree, output) {
        output.line(&line)?;
    }
    Ok(Exit::Passed)
}

async fn of_machine(session: &Session, id: &str) -> anyhow::Result<TreeView> {
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let found = traces::show_here(&state.store, id).await?;
    let help = format!(
        "`trunkline traces` lists them; under load, not every call is traced. {}",
        traces::UNTRACED
    );
    Ok(found.ok_or_else(|| Usage::new(format!("there is no trace `{id}`"), help))?)
}

async fn list_of_machine(session: &Session, args: &TracesArgs) -> anyhow::Result<Vec<TraceView>> {
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let run = match &args.run {
        Some(reference) => Some(super::find_run(session, &state, reference).await?.id.0),
        None => None,
    };
    let wrong = |why: String| Usage::new(why, "`trunkline traces --help` has examples");
    let filter = args.query(session, run).filter().map_err(wrong)?;
    let filter = TraceFilter { limit: args.limit, ..filter };
    Ok(traces::list_here(&state.store, &filter).await?)
}

async fn list_of_server(
    session: &Session,
    remote: &Remote,
    args: &TracesArgs,
) -> anyhow::Result<Vec<TraceView>> {
    let run = match &args.run {
        Some(reference) => Some(remote.find_run(reference).await?.id.to_string()),
        None => None,
    };
    let query = args.query(session, run);
    let mut call = Call::get(&["traces"]);
    for (name, value) in query.pairs() {
        call = call.query(name, value);
    }
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    Ok(remote.client.list(&call, limit).await?)
}

impl TracesArgs {
    fn query(&self, session: &Session, run: Option<String>) -> TraceQuery {
        let moment = |it: Option<When>| it.map(|it| it.before(session.now()).0.to_string());
        TraceQuery {
            trace: self.trace.clone(),
            team: self.team.clone(),
            project: self.project.clone(),
            pipeline: self.pipeline.clone(),
            run,
            stage: self.stage.clone(),
            endpoint: self.endpoint.clone(),
            model: self.model.clone(),
            provider: self.provider.clone(),
            status: self.status.clone(),
            min_ms: self.min_ms.map(|it| it.to_string()),
            min_usd: self.min_usd.clone(),
            since: moment(self.since),
            until: moment(self.until),
        }
    }
}
