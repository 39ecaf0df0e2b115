//! `trunkline gateway key`: keys of a server's gateway for deployed apps. A key belongs to a team; its text is
//! shown once, and only its digest is kept.

use serde_json::json;

use crate::cli::access;
use crate::cli::command::team;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::desk::server::app_keys::view::{GatewayKeyView, MadeKeyView};
use crate::desk::server::app_keys::{self, KeyState, OVERLAP_HOURS, WantedKey};
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::access::teams::TeamRow;

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Make a key for an app of a team, and show it this once
    Create(CreateArgs),
    /// List the keys of a team
    List {
        /// Name of the team
        #[arg(long, value_name = "TEAM")]
        team: String,
    },
    /// Make a key in the place of one, which works for a while yet
    Rotate {
        /// Which one
        #[command(flatten)]
        which: Which,
        /// For how many hours the one before still works
        #[arg(long, value_name = "HOURS", default_value_t = OVERLAP_HOURS)]
        overlap_hours: u32,
    },
    /// End a key: within two seconds nobody can call with it
    Revoke(Which),
}

/// A key of a team.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Name of the team
    #[arg(long, value_name = "TEAM")]
    team: String,
    /// Its name
    name: String,
}

/// Arguments of `trunkline gateway key create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is shown this once; only its digest is kept. One that is lost is replaced with `trunkline gateway key rotate`.

Examples:
  trunkline gateway key create --team search shop --endpoint search --per-minute 600
  trunkline gateway key create --team search batch --project search/etl --model 'gpt-*' --days 90")]
pub struct CreateArgs {
    #[command(flatten)]
    which: Which,
    /// The project whose calls it makes, as TEAM/NAME
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// The endpoint whose calls it makes; else each call may say it
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// A model it may call, such as `gpt-*` (repeatable) [default: all]
    #[arg(long = "model", value_name = "GLOB")]
    models: Vec<String>,
    /// Calls a minute [default: as many as it likes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// How many days it is good [default: until it is revoked]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: Option<u32>,
}

impl CreateArgs {
    fn wanted(&self) -> WantedKey {
        WantedKey {
            name: self.which.name.clone(),
            project: self.project.clone(),
            endpoint: self.endpoint.clone(),
            models: self.models.clone(),
            per_minute: self.per_minute,
            days: self.days,
        }
    }
}

/// Does what was asked, on the server's database or at a server.
pub async fn execute(session: &Session, action: &Action) -> anyhow::Result<Exit> {
    if let Some(remote) = Remote::chosen(session)? {
        at_server(session, &remote, action).await?;
    } else {
        let state = access::open(session).await?;
        here(session, &state, action).await?;
    }
    Ok(Exit::Passed)
}

async fn at_server(session: &Session, remote: &Remote, action: &Action) -> anyhow::Result<()> {
    let client = &remote.client;
    let of = |team| ["teams", team, "gateway-keys"];
    match action {
        Action::Create(args) => {
            let WantedKey { name, project, endpoint, models, per_minute, days } = args.wanted();
            let body = json!({
                "name": name, "project": project, "endpoint": endpoint, "models": models,
                "per_minute": per_minute, "days": days,
            });
            let call = Call::post(&of(&args.which.team)).body(&body);
            tell_made(session, &client.fetch(&call).await?)
        }
        Action::List { team } => {
            let rows: Vec<GatewayKeyView> = client.list(&Call::get(&of(team)), ROWS_MAX).await?;
            show(session, &rows)
        }
        Action::Rotate { which, overlap_hours } => {
            let path = ["teams", &which.team, "gateway-keys", &which.name, "rotate"];
            let call = Call::post(&path).body(&json!({ "overlap_hours": overlap_hours }));
            tell_made(session, &client.fetch(&call).await?)
        }
        Action::Revoke(which) => {
            let path = ["teams", &which.team, "gateway-keys", &which.name];
            client.order(&Call::delete(&path)).await?;
            Ok(session.output.told(&format!("`{}` is good for nothing now", which.name))?)
        }
    }
}

async fn here(session: &Session, state: &State, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Create(args) => create(session, state, args).await,
        Action::List { team } => {
            let team = team::find(state, team).await?;
            let rows = state.store.list_gateway_keys(&team.id.0).await?;
            let view = |it| GatewayKeyView::new(it, session.now());
            show(session, &rows.into_iter().map(view).collect::<Vec<_>>())
        }
        Action::Rotate { which, overlap_hours } => {
            rotate(session, state, (which, *overlap_hours)).await
        }
        Action::Revoke(which) => {
            let team = team::find(state, &which.team).await?;
            let key = (team.id.0.as_str(), which.name.as_str());
            if !state.store.revoke_gateway_key(key, session.now()).await? {
                return Err(no_key(which).into());
            }
            note(session, state, ("gateway_key.revoke", which)).await?;
            Ok(session.output.told(&format!("`{}` is good for nothing now", which.name))?)
        }
    }
}

async fn create(session: &Session, state: &State, args: &CreateArgs) -> anyhow::Result<()> {
    let Which { team, name } = &args.which;
    let TeamRow { id, .. } = team::find(state, team).await?;
    let by = (session.settings.user.as_str(), session.now());
    let wrong = |why: String| Usage::new(why, "`trunkline gateway key create --help` has more");
    let made = app_keys::make((team, &id.0), args.wanted(), by).map_err(wrong)?;
    match state.store.save_gateway_key(&made.row).await {
        Err(StoreError::Taken { .. }) => {
            let help = "rotate or revoke that one, or give this one another name";
            let message = format!("the team `{team}` has a valid key `{name}`");
            return Err(Usage::new(message, help).into());
        }
        saved => saved?,
    }
    note(session, state, ("gateway_key.create", &args.which)).await?;
    tell_made(session, &MadeKeyView::new(made, None))
}

async fn rotate(
    session: &Session,
    state: &State,
    (which, hours): (&Which, u32),
) -> anyhow::Result<()> {
    let team = team::find(state, &which.team).await?;
    let now = session.now();
    let rows = state.store.list_gateway_keys(&team.id.0).await?;
    let row =
        rows.iter().find(|it| it.name == which.name && KeyState::of(it, now) == KeyState::Valid);
    let row = row.ok_or_else(|| no_key(which))?;
    let wrong = |why: String| Usage::new(why, "720 hours are thirty days");
    let by = (session.settings.user.as_str(), now);
    let (made, until) = app_keys::make_anew(row, hours, by).map_err(wrong)?;
    if !state.store.rotate_gateway_key(&made.row, until).await? {
        return Err(no_key(which).into());
    }
    note(session, state, ("gateway_key.rotate", which)).await?;
    tell_made(session, &MadeKeyView::new(made, Some(until)))
}

fn no_key(which: &Which) -> Usage {
    let Which { team, name } = which;
    let help = format!("`trunkline gateway key list --team {team}` shows what there is");
    Usage::new(format!("the team `{team}` has no valid key `{name}`"), help)
}

async fn note(
    session: &Session,
    state: &State,
    (action, which): (&str, &Which),
) -> anyhow::Result<()> {
    access::note(session, state, (action, &format!("{}/{}", which.team, which.name))).await
}

/// The key alone, so that it can be handed on to a program.
fn tell_made(session: &Session, made: &MadeKeyView) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(made)?);
    }
    session.output.line(&made.key)?;
    if let Some(until) = made.replaced_until {
        let until = session.output.date_time(Timestamp(until));
        crate::cli::output::note(&format!("the key before works until {until}"));
    }
    Ok(())
}

fn show(session: &Session, keys: &[GatewayKeyView]) -> anyhow::Result<()> {
    if session.output.json {
        return Ok(session.output.json(&keys)?);
    }
    for key in keys {
        session.output.line(&line(session, key))?;
    }
    Ok(())
}

/// `app  project=core/web  made 2027-03-31 12:03:44 by ada, last used 2027-04-01 08:00:00`
fn line(session: &Session, key: &GatewayKeyView) -> String {
    let at = |it: i64| session.output.date_time(Timestamp(it));
    let parts = [("project", &key.project), ("endpoint", &key.endpoint)];
    let parts = parts.iter().filter_map(|(kind, it)| Some(format!("{kind}={}  ", it.as_ref()?)));
    let mut told = vec![format!("made {} by {}", at(key.created_at), key.created_by)];
    told.extend(key.per_minute.map(|it| format!("{it} calls a minute")));
    told.extend((!key.models.is_empty()).then(|| format!("for {}", key.models.join(", "))));
    told.push(
        key.used_at.map_or_else(|| "never used".to_owned(), |it| format!("last used {}", at(it))),
    );
    told.extend((key.state == "replaced").then(|| "replaced".to_owned()));
    told.extend(key.expires_at.map(|it| format!("ends {}", at(it))));
    told.extend(key.revoked_at.map(|it| format!("revoked {}", at(it))));
    format!("{}  {}{}", key.name, parts.collect::<String>(), told.join(", "))
}
