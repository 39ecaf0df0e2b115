//! `trunkline gateway key`: keys of a server's gateway for deployed apps. A key belongs to a team; its text is
//! shown once, and only its digest is kept.

use crate::cli::access;
use crate::cli::command::team;
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::keys;
use crate::model::Milliseconds;
use crate::model::access::is_name;
use crate::secrets::random_bytes;
use crate::store::StoreError;
use crate::store::access::gateway_keys::GatewayKeyRow;

const DAY_SECONDS: u64 = 24 * 3600;

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
    /// End a key: within two seconds nobody can call with it
    Revoke {
        /// Name of the team
        #[arg(long, value_name = "TEAM")]
        team: String,
        /// Its name
        name: String,
    },
}

/// Arguments of `trunkline gateway key create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Name of the team
    #[arg(long, value_name = "TEAM")]
    team: String,
    /// Its name: 1 to 63 of `a-z`, `0-9`, `-` and `_`
    name: String,
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

/// Does what was asked, on the server's database.
pub async fn execute(session: &Session, action: &Action) -> anyhow::Result<Exit> {
    let state = access::open(session).await?;
    match action {
        Action::Create(args) => create(session, &state, args).await?,
        Action::List { team } => {
            let team = team::find(&state, team).await?;
            show(session, &state.store.list_gateway_keys(&team.id.0).await?)?;
        }
        Action::Revoke { team, name } => {
            let found = team::find(&state, team).await?;
            let key = (found.id.0.as_str(), name.as_str());
            if !state.store.revoke_gateway_key(key, session.now()).await? {
                let help =
                    format!("`trunkline gateway key list --team {team}` shows what there is");
                let message = format!("the team `{team}` has no valid key `{name}`");
                return Err(Usage::new(message, help).into());
            }
            access::note(session, &state, ("gateway_key.revoke", &format!("{team}/{name}")))
                .await?;
            session.output.told(&format!("`{name}` is good for nothing now"))?;
        }
    }
    Ok(Exit::Passed)
}

async fn create(session: &Session, state: &State, args: &CreateArgs) -> anyhow::Result<()> {
    let CreateArgs { team, name, project, endpoint, .. } = args;
    if !is_name(name) {
        let help = "a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`";
        return Err(Usage::new(format!("`{name}` cannot be the name of a key"), help).into());
    }
    let found = team::find(state, team).await?;
    let parts = [(Kind::Project, project), (Kind::Endpoint, endpoint)];
    let subject = parts.into_iter().filter_map(|(kind, it)| Some((kind, it.as_deref()?)));
    let subject = subject
        .fold(Subject::default().with(Kind::Team, team.as_str()), |all, it| all.with(it.0, it.1));
    let now = session.now();
    let text = format!("tl-{}", hex::encode(random_bytes::<32>()));
    let seconds = args.days.map(|it| u64::from(it) * DAY_SECONDS);
    let row = GatewayKeyRow {
        digest: keys::hex(&keys::digest(&text)),
        name: name.clone(),
        team: found.id.0,
        attempt: String::new(),
        subject: subject.words(),
        models: args.models.clone(),
        per_minute: args.per_minute.map(i64::from),
        created_by: session.settings.user.clone(),
        created_at: now,
        expires_at: seconds.map(|it| now.plus(Milliseconds::from_seconds(it))),
        ..GatewayKeyRow::default()
    };
    match state.store.save_gateway_key(&row).await {
        Err(StoreError::Taken { .. }) => {
            let help = "revoke that one, or give this one another name";
            let message = format!("the team `{team}` has a valid key `{name}`");
            return Err(Usage::new(message, help).into());
        }
        saved => saved?,
    }
    access::note(session, state, ("gateway_key.create", &format!("{team}/{name}"))).await?;
    if session.output.json {
        let made = serde_json::json!({"name": name, "key": text, "expires_at": row.expires_at});
        return Ok(session.output.json(&made)?);
    }
    Ok(session.output.line(&text)?)
}

fn show(session: &Session, keys: &[GatewayKeyRow]) -> anyhow::Result<()> {
    if session.output.json {
        let shown = keys.iter().map(|it| {
            serde_json::json!({
                "name": it.name,
                "subject": it.subject,
                "models": it.models,
                "per_minute": it.per_minute,
                "created_by": it.created_by,
                "created_at": it.created_at,
                "expires_at": it.expires_at,
                "revoked_at": it.revoked_at,
            })
        });
        return Ok(session.output.json(&shown.collect::<Vec<_>>())?);
    }
    for key in keys {
        session.output.line(&line(session, key))?;
    }
    Ok(())
}

/// `app  team=core  made 2027-03-31 12:03:44 by ada, revoked 2027-04-01 08:00:00`
fn line(session: &Session, key: &GatewayKeyRow) -> String {
    let subject = key.subject.iter().map(|(kind, name)| format!("{kind}={name}"));
    let at = |it| session.output.date_time(it);
    let mut parts = vec![format!("made {} by {}", at(key.created_at), key.created_by)];
    parts.extend(key.per_minute.map(|it| format!("{it} calls a minute")));
    parts.extend((!key.models.is_empty()).then(|| format!("for {}", key.models.join(", "))));
    parts.extend(key.expires_at.map(|it| format!("ends {}", at(it))));
    parts.extend(key.revoked_at.map(|it| format!("revoked {}", at(it))));
    format!("{}  {}  {}", key.name, subject.collect::<Vec<_>>().join(" "), parts.join(", "))
}
