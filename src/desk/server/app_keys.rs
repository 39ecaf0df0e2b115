//! Keys that deployed apps call the gateway with: made, listed, replaced, ended. A key is shown once.

pub mod view;

use std::fmt;

use crate::desk::teams;
use crate::gateway::budget::scope::{Kind, OF_ENDPOINTS, Subject, is_endpoint};
use crate::gateway::keys;
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::access::is_name;
use crate::model::{Milliseconds, Role, Timestamp};
use crate::secrets::random_bytes;
use crate::store::StoreError;
use crate::store::access::gateway_keys::GatewayKeyRow;

/// How long a replaced key goes on, unless it is said otherwise, and at most.
pub const OVERLAP_HOURS: u32 = 24;
/// See [`OVERLAP_HOURS`].
pub const OVERLAP_HOURS_MAX: u32 = 30 * 24;
const DAYS_MAX: u32 = 3660;
const MODELS_MAX: usize = 50;
/// What a name of a model has besides letters and digits, and a pattern.
const MODEL_SIGNS: &str = "._:/@+=~#[]-*";
const TEXT_BYTES_MAX: usize = 200;
const HOUR_SECONDS: u64 = 3600;

/// A key to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedKey {
    /// Its name.
    pub name: String,
    /// The project whose calls it makes, as `team/name`.
    pub project: Option<String>,
    /// The endpoint whose calls it makes; else each call may say it.
    pub endpoint: Option<String>,
    /// Globs of the models it may call; all, without any.
    pub models: Vec<String>,
    /// Calls a minute.
    pub per_minute: Option<u32>,
    /// How many days it is good; until it is ended, without them.
    pub days: Option<u32>,
}

/// A key that was just made. Its text is not shown again.
pub struct MadeKey {
    /// Its text.
    pub text: String,
    /// What is kept of it.
    pub row: GatewayKeyRow,
}

impl fmt::Debug for MadeKey {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeKey").field("row", &self.row).finish_non_exhaustive()
    }
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Valid,
    /// It works for a while yet, and another one has its name.
    Replaced,
    /// Its time is over.
    Ended,
    /// Somebody has ended it.
    Revoked,
}

impl KeyState {
    /// That of a key.
    #[must_use]
    pub fn of(row: &GatewayKeyRow, now: Timestamp) -> Self {
        let has_ended = row.expires_at.is_some_and(|it| it <= now);
        match (row.revoked_at, has_ended, row.replaced_at) {
            // It made room when its time was over.
            (Some(at), ..) if row.expires_at == Some(at) => Self::Ended,
            (Some(_), ..) => Self::Revoked,
            (None, true, _) => Self::Ended,
            (None, false, Some(_)) => Self::Replaced,
            (None, false, None) => Self::Valid,
        }
    }

    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Replaced => "replaced",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}

/// Makes a key for a team (its name and id), and says what is wrong with what is wanted.
pub fn make(
    (team, id): (&str, &str),
    wanted: WantedKey,
    (by, now): (&str, Timestamp),
) -> Result<MadeKey, String> {
    check(team, &wanted)?;
    let parts = [(Kind::Project, &wanted.project), (Kind::Endpoint, &wanted.endpoint)];
    let parts = parts.into_iter().filter_map(|(kind, it)| Some((kind, it.as_deref()?)));
    let subject = Subject::default().with(Kind::Team, team);
    let subject = parts.fold(subject, |all, it| all.with(it.0, it.1));
    let text = new_text();
    let hours = wanted.days.map(|it| u64::from(it) * 24);
    let row = GatewayKeyRow {
        digest: keys::hex(&keys::digest(&text)),
        name: wanted.name,
        team: id.to_owned(),
        subject: subject.words(),
        models: wanted.models,
        per_minute: wanted.per_minute.map(i64::from),
        created_by: by.to_owned(),
        created_at: now,
        expires_at: hours.map(|it| now.plus(Milliseconds::from_seconds(it * HOUR_SECONDS))),
        ..GatewayKeyRow::default()
    };
    Ok(MadeKey { text, row })
}

/// A key that may what another may, and for as long; and until when that one goes on.
pub fn make_anew(
    row: &GatewayKeyRow,
    hours: u32,
    (by, now): (&str, Timestamp),
) -> Result<(MadeKey, Timestamp), String> {
    if hours > OVERLAP_HOURS_MAX {
        return Err(format!("`overlap_hours` is 0 to {OVERLAP_HOURS_MAX}"));
    }
    let text = new_text();
    let row = GatewayKeyRow {
        digest: keys::hex(&keys::digest(&text)),
        created_by: by.to_owned(),
        created_at: now,
        expires_at: row.expires_at.map(|it| now.plus(it.since(row.created_at))),
        revoked_at: None,
        used_at: None,
        replaced_at: None,
        ..row.clone()
    };
    let until = now.plus(Milliseconds::from_seconds(u64::from(hours) * HOUR_SECONDS));
    Ok((MadeKey { text, row }, until))
}

fn new_text() -> String {
    format!("tl-{}", hex::encode(random_bytes::<32>()))
}

fn check(team: &str, wanted: &WantedKey) -> Result<(), String> {
    if !is_name(&wanted.name) {
        return Err("`name` has 1 to 63 of `a-z`, `0-9`, `-` and `_`".to_owned());
    }
    let is_odd =
        |it: &str| it.is_empty() || it.len() > TEXT_BYTES_MAX || it.contains(char::is_whitespace);
    let of_team = |it: &String| it.strip_prefix(team).is_some_and(|it| it.starts_with('/'));
    if let Some(project) = wanted.project.as_ref().filter(|it| is_odd(it) || !of_team(it)) {
        return Err(format!(
            "`project` is one of the team's, such as `{team}/web`, and not `{project}`"
        ));
    }
    let is_no_endpoint = |it: &str| is_odd(it) || it.contains('*') || !is_endpoint(it);
    if let Some(endpoint) = wanted.endpoint.as_ref().filter(|it| is_no_endpoint(it)) {
        return Err(format!(
            "`endpoint` is a name of {OF_ENDPOINTS}, without spaces and stars, and not `{endpoint}`"
        ));
    }
    if wanted.models.len() > MODELS_MAX {
        return Err(format!("`models` has {MODELS_MAX} patterns at most"));
    }
    let is_letter = |it: char| it.is_ascii_alphanumeric() || MODEL_SIGNS.contains(it);
    if let Some(model) = wanted.models.iter().find(|it| is_odd(it) || !it.chars().all(is_letter)) {
        return Err(format!("`models` has names, or patterns such as `gpt-*`, and not `{model}`"));
    }
    if wanted.per_minute == Some(0) {
        return Err("`per_minute` is 1 or more".to_owned());
    }
    if wanted.days.is_some_and(|it| !(1..=DAYS_MAX).contains(&it)) {
        return Err(format!("`days` is 1 to {DAYS_MAX}"));
    }
    Ok(())
}

/// The keys of a team, by name, the newest of a name first.
pub async fn list(app: &App, visitor: &Visitor, team: &str) -> Result<Vec<GatewayKeyRow>, Problem> {
    let team = teams::find(app, visitor, team, Role::Viewer).await?;
    Ok(app.store.list_gateway_keys(&team.id.0).await?)
}

/// Makes a key of a team.
pub async fn create(
    app: &App,
    visitor: &Visitor,
    (team, wanted): (&str, WantedKey),
) -> Result<MadeKey, Problem> {
    let team = teams::find(app, visitor, team, Role::Admin).await?;
    let project = wanted.project.clone();
    let by = (visitor.0.login.as_str(), app.now());
    let made = make((&team.name, &team.id.0), wanted, by).map_err(Problem::bad_request)?;
    if let Some((of, name)) = project.as_deref().and_then(|it| it.split_once('/'))
        && app.store.find_project_by_name(of, name).await?.is_none()
    {
        return Err(Problem::bad_request(format!("there is no project `{of}/{name}`"))
            .with_help("Leave it out for a key of the whole team."));
    }
    match app.store.save_gateway_key(&made.row).await {
        Err(StoreError::Taken { .. }) => {
            let title = format!("the team has a valid key `{}`", made.row.name);
            Err(Problem::new(ProblemKind::Conflict, title)
                .with_help("Rotate or revoke that one, or give this one another name."))
        }
        saved => {
            saved?;
            Ok(made)
        }
    }
}

/// Makes a key that takes the place of another one, which goes on for so many hours. Gives until when, too.
pub async fn rotate(
    app: &App,
    visitor: &Visitor,
    ((team, name), hours): ((&str, &str), u32),
) -> Result<(MadeKey, Timestamp), Problem> {
    let team = teams::find(app, visitor, team, Role::Admin).await?;
    let now = app.now();
    let missing = || Problem::not_found("this key");
    let rows = app.store.list_gateway_keys(&team.id.0).await?;
    let valid = |it: &&GatewayKeyRow| it.name == name && KeyState::of(it, now) == KeyState::Valid;
    let row = rows.iter().find(valid).ok_or_else(missing)?;
    let made = make_anew(row, hours, (&visitor.0.login, now)).map_err(Problem::bad_request)?;
    let is_done = app.store.rotate_gateway_key(&made.0.row, made.1).await?;
    is_done.then_some(made).ok_or_else(missing)
}

/// Ends a key, and those that it has replaced: within two seconds nobody can call with them.
pub async fn revoke(
    app: &App,
    visitor: &Visitor,
    (team, name): (&str, &str),
) -> Result<(), Problem> {
    let team = teams::find(app, visitor, team, Role::Admin).await?;
    let is_done = app.store.revoke_gateway_key((&team.id.0, name), app.now()).await?;
    is_done.then_some(()).ok_or_else(|| Problem::not_found("this key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> WantedKey {
        WantedKey { name: "app".to_owned(), ..WantedKey::default() }
    }

    fn wrong(wanted: WantedKey) -> String {
        make(("shop", "t1"), wanted, ("ada", Timestamp(0))).unwrap_err()
    }

    #[test]
    fn a_key_is_long_random_and_not_kept() {
        let one = make(("shop", "t1"), wanted(), ("ada", Timestamp(5))).unwrap();
        let other = make(("shop", "t1"), wanted(), ("ada", Timestamp(5))).unwrap();
        assert_ne!(one.text, other.text);
        assert!(one.text.starts_with("tl-") && one.text.len() == 67);
        assert!(!format!("{one:?}").contains(&one.text));
        assert_eq!(one.row.digest, keys::hex(&keys::digest(&one.text)));
        assert_eq!(one.row.subject.get("team").map(String::as_str), Some("shop"));
        assert_eq!(one.row.expires_at, None);
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        for (key, field) in [
            (WantedKey { name: "A b".to_owned(), ..wanted() }, "name"),
            (WantedKey { project: Some("other/web".to_owned()), ..wanted() }, "project"),
            (WantedKey { project: Some("shopping/web".to_owned()), ..wanted() }, "project"),
            (WantedKey { endpoint: Some("*".to_owned()), ..wanted() }, "endpoint"),
            (WantedKey { endpoint: Some("café".to_owned()), ..wanted() }, "endpoint"),
            (WantedKey { endpoint: Some("e".repeat(101)), ..wanted() }, "endpoint"),
            (WantedKey { models: vec!["a b".to_owned()], ..wanted() }, "models"),
            (WantedKey { models: vec!["m-cheap,".to_owned()], ..wanted() }, "models"),
            (WantedKey { models: vec!["\"gpt\"".to_owned()], ..wanted() }, "models"),
            (WantedKey { models: vec!["m".to_owned(); 51], ..wanted() }, "models"),
            (WantedKey { per_minute: Some(0), ..wanted() }, "per_minute"),
            (WantedKey { days: Some(0), ..wanted() }, "days"),
            (WantedKey { days: Some(4000), ..wanted() }, "days"),
        ] {
            assert!(wrong(key).starts_with(&format!("`{field}`")), "{field}");
        }
    }

    #[test]
    fn a_key_is_made_anew_for_as_long_as_the_one_before() {
        let key = WantedKey { days: Some(10), per_minute: Some(60), ..wanted() };
        let old = make(("shop", "t1"), key, ("ada", Timestamp(0))).unwrap().row;
        let (new, until) = make_anew(&old, 2, ("bob", Timestamp(1000))).unwrap();
        assert_eq!(until, Timestamp(1000 + 2 * 3_600_000));
        assert_eq!(new.row.expires_at, Some(Timestamp(1000 + 10 * 86_400_000)));
        let same = (new.row.per_minute, new.row.created_by.as_str(), new.row.digest == old.digest);
        assert_eq!(same, (Some(60), "bob", false));
        assert!(make_anew(&old, 721, ("bob", Timestamp(0))).is_err());
    }

    #[test]
    fn a_key_stands_as_its_times_say() {
        let row =
            |revoked: Option<i64>, expires: Option<i64>, replaced: Option<i64>| GatewayKeyRow {
                revoked_at: revoked.map(Timestamp),
                expires_at: expires.map(Timestamp),
                replaced_at: replaced.map(Timestamp),
                ..GatewayKeyRow::default()
            };
        let state = |row: GatewayKeyRow| KeyState::of(&row, Timestamp(10));
        assert_eq!(state(row(None, None, None)), KeyState::Valid);
        assert_eq!(state(row(None, Some(11), None)), KeyState::Valid);
        assert_eq!(state(row(None, Some(11), Some(5))), KeyState::Replaced);
        assert_eq!(state(row(None, Some(10), Some(5))), KeyState::Ended);
        assert_eq!(state(row(Some(7), Some(11), None)), KeyState::Revoked);
        assert_eq!(state(row(Some(9), Some(9), None)), KeyState::Ended);
    }
}
