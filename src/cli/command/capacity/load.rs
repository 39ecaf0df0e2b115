//! Where the figures of a load come from: the ledger of a file, of a database, or of a server.

use std::path::Path;

use serde::Deserialize;

use super::CapacityArgs;
use crate::capacity::measured::{self, Call, Measured};
use crate::cli::failure::Usage;
use crate::cli::remote::{Call as Request, Remote};
use crate::cli::session::Session;
use crate::cli::state::{Needed, State};
use crate::desk::server::spend::Wanted;
use crate::desk::server::spend::load::{CALLS_MAX, LoadView};
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::ledger::Origin;
use crate::model::{Timestamp, Usage as Used, UsdNanos};
use crate::store::spend::sums::SpendFilter;

/// What is measured, and whether of a part only; nothing when all is given, or nobody says where to look.
pub(super) async fn measure(
    session: &Session,
    args: &CapacityArgs,
) -> anyhow::Result<Option<(Measured, bool)>> {
    if let Some(path) = &args.ledger {
        return Ok(Some((of_file(path, args)?, false)));
    }
    let is_given = args.qps.is_some() && args.tokens.is_some() && args.throughput.is_some();
    let (view, place) = match Remote::chosen(session)? {
        // A server that is only in the environment is not asked for what is said already.
        Some(remote) if args.from_store || !is_given => {
            (of_server(session, &remote, args).await?, "the server")
        }
        None if args.from_store => (of_store(session, args).await?, "the database"),
        _ => return Ok(None),
    };
    let measured = view.measured.ok_or_else(|| nothing(place))?;
    Ok(Some((measured, view.is_cut)))
}

fn nothing(place: &str) -> Usage {
    let message = format!("`{place}` has no call that a provider has answered");
    Usage::new(message, "look at `--model`, `--endpoint` and `--since`, or at another ledger")
}

fn wanted(session: &Session, args: &CapacityArgs) -> Wanted {
    Wanted {
        by: "model".to_owned(),
        from: args.since.map(|it| it.before(session.now())),
        to: args.until.map(|it| it.before(session.now())),
        team: args.team.clone(),
        of: SpendFilter {
            endpoint: args.endpoint.clone().unwrap_or_default(),
            model: args.model.clone().unwrap_or_default(),
            limit: CALLS_MAX + 1,
            ..SpendFilter::default()
        },
    }
}

async fn of_store(session: &Session, args: &CapacityArgs) -> anyhow::Result<LoadView> {
    let state = State::open_present(&session.settings, Needed::Database).await?;
    let filter = wanted(session, args).filter(session.now());
    let (_, filter) = filter.map_err(anyhow::Error::msg)?;
    Ok(LoadView::of(&state.store.list_answered_calls(&filter).await?))
}

async fn of_server(
    session: &Session,
    remote: &Remote,
    args: &CapacityArgs,
) -> anyhow::Result<LoadView> {
    let Wanted { from, to, team, of, .. } = wanted(session, args);
    let moment = |it: Option<Timestamp>| it.map(|it| it.0.to_string()).unwrap_or_default();
    let call = Request::get(&["spend", "load"])
        .query("from", moment(from))
        .query("to", moment(to))
        .query("team", team.unwrap_or_default())
        .query("endpoint", of.endpoint)
        .query("model", of.model);
    Ok(remote.client.fetch(&call).await?)
}

/// A call as ledgers have it.
#[derive(Debug, Deserialize)]
struct Written {
    at: Timestamp,
    subject: Subject,
    model: String,
    origin: Origin,
    status: Option<u16>,
    usage: Used,
    cost: UsdNanos,
    total_ms: u64,
}

/// What the calls of a ledger say that providers have answered.
fn of_file(path: &Path, args: &CapacityArgs) -> Result<Measured, Usage> {
    #[derive(Deserialize)]
    struct Line {
        call: Written,
    }
    let text = super::read(path)?;
    let is_wanted = |it: &Written| {
        let model = args.model.as_ref().is_none_or(|wanted| *wanted == it.model);
        let endpoint = args.endpoint.as_deref();
        let endpoint = endpoint.is_none_or(|wanted| it.subject.get(Kind::Endpoint) == Some(wanted));
        let is_answered = it.status.is_some_and(|it| (200..300).contains(&it));
        model
            && endpoint
            && is_answered
            && it.origin == Origin::Live
            && it.usage.output_tokens() > 0
    };
    let lines = text.lines().filter_map(|it| serde_json::from_str::<Line>(it).ok());
    let calls = lines.map(|it| it.call).filter(is_wanted).map(|it| Call {
        at: it.at,
        total_ms: it.total_ms,
        input_tokens: it.usage.input_tokens(),
        output_tokens: it.usage.output_tokens(),
        cost: it.cost,
    });
    let calls: Vec<_> = calls.collect();
    measured::measure(&calls).ok_or_else(|| nothing(&path.display().to_string()))
}
