//! `/admin/audit`: who has done what. What is looked for stands in the address.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{NaiveDate, NaiveTime};
use serde_json::Value;

use crate::desk::server::audit::{self, AuditQuery};
use crate::http::{App, Page, PageQuery, Problem, Query};
use crate::model::Timestamp;
use crate::store::access::teams::TeamRow;
use crate::store::audit::AuditRow;
use crate::ui::form::{encoded, mistake};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

const DAY_MILLISECONDS: i64 = 86_400_000;

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    shell: Shell,
    words: Words,
    place: Place,
    filter: AuditFilter,
    teams: Vec<TeamRow>,
    found: Page<AuditRow>,
    /// The same filter for the interface.
    export: String,
}

impl AuditPage {
    /// Address of the rows after these.
    fn further(&self) -> Option<String> {
        let next = self.found.next.as_deref()?;
        Some(format!("/admin/audit?{}cursor={}", self.filter.query(), encoded(next)))
    }

    /// `person:ada` without the word that most have.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn who<'a>(&self, row: &'a AuditRow) -> &'a str {
        row.actor.strip_prefix("person:").unwrap_or(&row.actor)
    }

    /// Each thing that was noted, by its name.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn details(&self, row: &AuditRow) -> Vec<(String, String)> {
        let mut told = Vec::new();
        match serde_json::from_str(&row.detail) {
            Ok(noted) => tell("", &noted, &mut told),
            Err(_) => told.push((String::new(), row.detail.clone())),
        }
        told
    }
}

/// What a value says, by the names that lead to it; what is empty says nothing.
fn tell(name: &str, value: &Value, told: &mut Vec<(String, String)>) {
    let text = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let field = field.replace('_', " ");
                let name = if name.is_empty() { field } else { format!("{name}, {field}") };
                tell(&name, value, told);
            }
            return;
        }
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => plain(value),
    };
    if !text.is_empty() {
        told.push((name.to_owned(), text));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// What is looked for; what is empty does not count.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct AuditFilter {
    team: String,
    actor: String,
    action: String,
    subject: String,
    /// Days: `2026-11-28`, both of them included.
    since: String,
    until: String,
}

impl AuditFilter {
    fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("team", &self.team),
            ("actor", &self.actor),
            ("action", &self.action),
            ("subject", &self.subject),
            ("since", &self.since),
            ("until", &self.until),
        ]
    }

    fn is_empty(&self) -> bool {
        self.fields().iter().all(|(_, value)| value.is_empty())
    }

    /// It in an address; each part ends with `&`.
    fn query(&self) -> String {
        let given = self.fields().into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("{name}={}&", encoded(value))).collect()
    }

    /// It as the desk knows it. Who is named without a word before it is a person.
    fn wanted(&self) -> Result<AuditQuery, Problem> {
        let trimmed = |it: &str| it.trim().to_owned();
        let actor = trimmed(&self.actor);
        let is_person = !actor.is_empty() && !actor.contains(':') && actor != "system";
        let until = day(&self.until)?;
        Ok(AuditQuery {
            team: Some(trimmed(&self.team)).filter(|it| !it.is_empty()),
            project: String::new(),
            actor: if is_person { format!("person:{actor}") } else { actor },
            action: trimmed(&self.action),
            subject: trimmed(&self.subject),
            since: day(&self.since)?,
            until: until.map(|it| Timestamp(it.0 + DAY_MILLISECONDS)),
        })
    }
}

/// The beginning of a day, in UTC.
fn day(text: &str) -> Result<Option<Timestamp>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || Problem::bad_request("a day is written as 2026-11-28");
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| bad())?;
    Ok(Some(Timestamp(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis())))
}

/// Path and query of the same rows at the interface.
fn export(query: &AuditQuery) -> String {
    let mut path = "/api/v1/audit?limit=200".to_owned();
    let moment = |it: Option<Timestamp>| it.map_or_else(String::new, |it| it.0.to_string());
    let fields = [
        ("team", query.team.clone().unwrap_or_default()),
        ("actor", query.actor.clone()),
        ("action", query.action.clone()),
        ("subject", query.subject.clone()),
        ("since", moment(query.since)),
        ("until", moment(query.until)),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        path = format!("{path}&{name}={}", encoded(value));
    }
    path
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(filter): Query<AuditFilter>,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let mut place = super::place(&visit, "/audit")?;
    let wanted = filter.wanted().or_else(|problem| {
        place.problem = Some(mistake(problem)?);
        Ok::<_, Problem>(AuditQuery::default())
    })?;
    let export = export(&wanted);
    let found = audit::list(&app, &visit.visitor, (wanted, query)).await?;
    let teams = app.store.list_teams().await?;
    let shell = place.shell(&visit, Section::Server);
    page(&AuditPage { shell, words: visit.words(), place, filter, teams, found, export })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_told_by_name() {
        let noted = serde_json::json!({
            "proof": "session", "shared_with": ["a", "b"], "rules": { "events": ["push"], "images": [] },
            "count": 2, "note": "", "nothing": null,
        });
        let mut told = Vec::new();
        tell("", &noted, &mut told);
        let words: Vec<_> = told.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let wanted = ["count: 2", "proof: session", "rules, events: push", "shared with: a, b"];
        assert_eq!(words, wanted);
    }
}
