//! Where the money of calls to models went, and where it goes.

pub mod trend;
pub mod view;
pub mod load;
pub mod named;

use crate::desk::runs;
use crate::desk::server::money::usd;
use crate::http::{App, Problem, Visitor};
use crate::model::{Role, Timestamp};
use crate::store::spend::calls::CallRow;
use crate::store::spend::sums::{SpendBy, SpendFilter, SpendRow};

/// How far back sums go when nobody says.
const USUAL_DAYS: i64 = 30;
const DAY_MILLISECONDS: i64 = 24 * 3600 * 1000;

/// A sum of calls.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct SpendView {
    /// What it is of; empty for calls that belong to none, and for what processes may have spent that died.
    pub name: String,
    /// What it is called where `name` is empty: `none`, `processes that died`, or both; not there otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// As `attempts`.
    pub calls: i64,
    /// Attempts: a call counts each time that it was sent to a provider, and once when a cache or a cassette has
    /// answered it.
    #[serde(default)]
    pub attempts: i64,
    /// Those that a cache or a cassette has answered.
    pub answered_here: i64,
    /// Tokens of prompts.
    pub input_tokens: i64,
    /// Tokens of answers.
    pub output_tokens: i64,
    /// Dollars.
    pub cost_usd: String,
    /// Dollars that caches and cassettes saved.
    pub avoided_usd: String,
    /// Dollars, among `cost_usd`, that processes may have spent which died before they could say.
    pub lost_usd: String,
    /// Reports of apps on what they have used elsewhere, such as queries of an index: no calls.
    #[serde(default)]
    pub reports: i64,
    /// Dollars of those, among `cost_usd`.
    #[serde(default)]
    pub reported_usd: String,
}

impl From<SpendRow> for SpendView {
    fn from(row: SpendRow) -> Self {
        Self {
            called: row.name.is_empty().then(|| nameless(&row).to_owned()),
            name: row.name,
            calls: row.attempts,
            attempts: row.attempts,
            answered_here: row.answered_here,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost_usd: usd(row.cost),
            avoided_usd: usd(row.avoided),
            lost_usd: usd(row.lost),
            reports: row.reports,
            reported_usd: usd(row.reported),
        }
    }
}

/// What a sum is called whose name is empty: of calls that belong to none, or of processes that died and did not say
/// whose calls they had made.
#[must_use]
pub fn nameless(row: &SpendRow) -> &'static str {
    nameless_of(row.lost.0 > 0, row.attempts.saturating_add(row.reports))
}

fn nameless_of(is_lost: bool, others: i64) -> &'static str {
    match (is_lost, others) {
        (false, _) => "none",
        (true, 0) => "processes that died",
        (true, _) => "none, and processes that died",
    }
}

impl SpendView {
    /// What it is called where its name is empty.
    #[must_use]
    pub fn nameless(&self) -> &'static str {
        nameless_of(self.lost_usd != "0.00", self.calls.saturating_add(self.reports))
    }
}

/// Which calls somebody asks for; what is empty does not count.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What sums are made for.
    pub by: String,
    /// From this moment on; for the last 30 days without it.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Name of a team.
    pub team: Option<String>,
    /// Whose; its own moments and teams do not count.
    pub of: SpendFilter,
}

impl Wanted {
    /// What the store is asked.
    pub fn filter(self, now: Timestamp) -> Result<(SpendBy, SpendFilter), String> {
        let words = SpendBy::ALL.map(|it| format!("`{}`", it.as_str())).join(", ");
        let by = SpendBy::parse(&self.by).ok_or_else(|| format!("`by` is one of {words}"))?;
        let usual = Timestamp(now.0.saturating_sub(USUAL_DAYS * DAY_MILLISECONDS));
        let filter = SpendFilter {
            from: self.from.unwrap_or(usual),
            to: self.to.unwrap_or(Timestamp(i64::MAX)),
            teams: self.team.map(|it| vec![it]),
            ..self.of
        };
        Ok((by, filter))
    }
}

/// Sums over the calls that the caller may know of, the dearest first, days in their order.
pub async fn sums(app: &App, visitor: &Visitor, wanted: Wanted) -> Result<Vec<SpendRow>, Problem> {
    let (by, filter) = wanted.filter(app.now()).map_err(Problem::bad_request)?;
    let filter = visible(app, visitor, filter).await?;
    Ok(app.store.sum_spend(by, &filter).await?)
}

/// The same filter, but only for the teams that the caller may know of.
async fn visible(
    app: &App,
    visitor: &Visitor,
    mut filter: SpendFilter,
) -> Result<SpendFilter, Problem> {
    if let Some(ids) = visitor.0.teams_as(Role::Viewer) {
        let mut names: Vec<_> = app.store.list_teams().await?;
        names.retain(|it| ids.contains(&it.id));
        let is_asked =
            |name: &String| filter.teams.as_ref().is_none_or(|asked| asked.contains(name));
        let names = names.into_iter().map(|it| it.name).filter(is_asked).collect();
        filter.teams = Some(names);
    }
    Ok(filter)
}

/// Calls of a run, oldest first, after a place in that order.
pub async fn calls(
    app: &App,
    visitor: &Visitor,
    run: &str,
    (after, limit): ((Timestamp, &str, i64), u32),
) -> Result<Vec<CallRow>, Problem> {
    let loaded = runs::load(app, visitor, run, Role::Viewer).await?;
    Ok(app.store.list_calls_of_run(&loaded.row.id, after, limit).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UsdNanos;

    #[test]
    fn a_sum_without_a_name_is_called_something() {
        let called = |name: &str, attempts: i64, lost: i64| {
            let (name, lost) = (name.to_owned(), UsdNanos(lost));
            SpendView::from(SpendRow { name, attempts, lost, ..SpendRow::default() }).called
        };
        assert_eq!(called("", 0, 5).as_deref(), Some("processes that died"));
        assert_eq!(called("", 2, 5).as_deref(), Some("none, and processes that died"));
        assert_eq!(called("", 2, 0).as_deref(), Some("none"));
        assert_eq!(called("m1", 0, 5), None);
    }
}
