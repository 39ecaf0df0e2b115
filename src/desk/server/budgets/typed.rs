//! A budget as somebody has typed it into a form: every mistake at once, each with its field. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use super::Wish;
use crate::gateway::budget::account::Limit;
use crate::gateway::budget::scope::Kind;
use crate::gateway::ledger::definition;
use crate::model::access::is_name;
use crate::store::spend::budgets::BudgetRow;

/// The spans after which a budget begins anew, and their names for people.
pub const WINDOWS: [(&str, &str); 4] =
    [("month", "Month"), ("day", "Day"), ("hour", "Hour"), ("whole", "Never")];

/// Texts of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Typed {
    /// Its name, without that of a team.
    pub name: String,
    /// Name of the team whose it is, or empty: the installation's.
    pub team: String,
    /// The version that was seen; empty for none.
    pub version: String,
    /// `hour`, `day`, `month` or `whole`.
    pub window: String,
    /// Dollars in a window.
    pub usd: String,
    /// Tokens in a window.
    pub tokens: String,
    /// Dollars for a thousand requests.
    pub per_thousand: String,
    /// Requests that this takes for granted.
    pub at_least: String,
    /// `hard` or `soft`.
    pub mode: String,
    /// What it is for: a team, where it is the installation's.
    pub of_team: String,
    /// See above.
    pub organisation: String,
    /// See above.
    pub project: String,
    /// See above.
    pub pipeline: String,
    /// See above.
    pub run: String,
    /// See above.
    pub stage: String,
    /// See above.
    pub endpoint: String,
    /// See above.
    pub model: String,
}

/// A field that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Its name.
    pub field: &'static str,
    /// What is wrong, and what would not be.
    pub message: String,
}

impl Typed {
    /// That of a budget, to be changed.
    #[must_use]
    pub fn of(row: &BudgetRow) -> Self {
        let scope: BTreeMap<String, String> = serde_json::from_str(&row.scope).unwrap_or_default();
        let part = |kind: Kind| scope.get(kind.as_str()).cloned().unwrap_or_default();
        let usd = |it: Option<crate::model::UsdNanos>| {
            it.map(crate::desk::server::money::usd).unwrap_or_default()
        };
        Self {
            name: row.id.rsplit('/').next().unwrap_or_default().to_owned(),
            team: row.team.clone(),
            version: row.version.to_string(),
            window: row.span.clone(),
            usd: usd(row.money),
            tokens: row.tokens.map(|it| it.to_string()).unwrap_or_default(),
            per_thousand: usd(row.per_thousand),
            at_least: row.at_least_requests.to_string(),
            mode: row.mode.clone(),
            of_team: if row.team.is_empty() { part(Kind::Team) } else { String::new() },
            organisation: part(Kind::Organisation),
            project: part(Kind::Project),
            pipeline: part(Kind::Pipeline),
            run: part(Kind::Run),
            stage: part(Kind::Stage),
            endpoint: part(Kind::Endpoint),
            model: part(Kind::Model),
        }
    }

    /// An empty form for a team, or for the installation.
    #[must_use]
    pub fn new(team: &str) -> Self {
        Self {
            team: team.to_owned(),
            window: "month".to_owned(),
            mode: "hard".to_owned(),
            ..Self::default()
        }
    }

    /// The parts of its scope: the field, what it is of, and what was typed.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &'static str, &str); 8] {
        [
            ("of_team", "team", &self.of_team),
            ("project", "project", &self.project),
            ("pipeline", "pipeline", &self.pipeline),
            ("run", "run", &self.run),
            ("stage", "stage", &self.stage),
            ("endpoint", "endpoint", &self.endpoint),
            ("model", "model", &self.model),
            ("organisation", "organisation", &self.organisation),
        ]
    }

    /// Each field but name and team: what it is of, what was typed, and what another form has.
    #[must_use]
    pub fn beside<'a>(&'a self, other: &'a Self) -> Vec<(&'static str, &'a str, &'a str)> {
        let own: [(&'static str, &'a str, &'a str); 6] = [
            ("begins anew after", &self.window, &other.window),
            ("dollars", &self.usd, &other.usd),
            ("tokens", &self.tokens, &other.tokens),
            ("dollars for a thousand requests", &self.per_thousand, &other.per_thousand),
            ("from so many requests on", &self.at_least, &other.at_least),
            ("mode", &self.mode, &other.mode),
        ];
        let parts = self.parts().into_iter().zip(other.parts());
        own.into_iter().chain(parts.map(|(own, other)| (own.1, own.2, other.2))).collect()
    }

    /// The version that was seen, 0 for none.
    #[must_use]
    pub fn seen(&self) -> i64 {
        self.version.trim().parse().unwrap_or_default()
    }

    /// What is wished for; or everything that is wrong with it.
    pub fn wish(&self) -> Result<Wish, Vec<Wrong>> {
        let mut wrong = Vec::new();
        if !is_name(self.name.trim()) {
            let message = "a name has 1 to 63 of `a-z`, `0-9`, `-` and `_`, such as `month`";
            wrong.push(Wrong { field: "name", message: message.to_owned() });
        }
        let words = [("window", &self.window, "window"), ("mode", &self.mode, "mode")];
        for (field, text, kind) in words {
            if !is_known(kind, text) {
                wrong.push(Wrong { field, message: format!("`{text}` is not known") });
            }
        }
        let wish = Wish {
            scope: self.scope(&mut wrong),
            window: self.window.clone(),
            usd: self.dollars(("usd", &self.usd), &mut wrong),
            tokens: self.count(("tokens", &self.tokens), &mut wrong),
            usd_per_thousand_requests: self
                .dollars(("per_thousand", &self.per_thousand), &mut wrong),
            at_least_requests: self
                .count(("at_least", &self.at_least), &mut wrong)
                .map(|it| u32::try_from(it).unwrap_or(u32::MAX)),
            mode: self.mode.clone(),
        };
        let is_limited =
            wish.usd.is_some() || wish.tokens.is_some() || wish.usd_per_thousand_requests.is_some();
        let has_typed = [&self.usd, &self.tokens, &self.per_thousand]
            .into_iter()
            .any(|it| !it.trim().is_empty());
        if !is_limited && !has_typed {
            let message = "a budget limits dollars, tokens, or dollars for a thousand requests";
            wrong.push(Wrong { field: "usd", message: message.to_owned() });
        }
        if wrong.is_empty() { Ok(wish) } else { Err(wrong) }
    }

    fn scope(&self, wrong: &mut Vec<Wrong>) -> BTreeMap<String, String> {
        let mut scope = BTreeMap::new();
        for (field, kind, text) in self.parts() {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if let Some(message) = super::odd_part(kind, text) {
                wrong.push(Wrong { field, message });
            }
            scope.insert(kind.to_owned(), text.to_owned());
        }
        scope
    }

    #[expect(clippy::unused_self, reason = "beside the others")]
    fn dollars(
        &self,
        (field, text): (&'static str, &str),
        wrong: &mut Vec<Wrong>,
    ) -> Option<String> {
        let text = text.trim().trim_start_matches('$').trim_end_matches("USD").trim();
        if text.is_empty() {
            return None;
        }
        // As every budget is read.
        if let Err(error) = serde_json::from_value::<Limit>(json!({ "usd": text })) {
            wrong.push(Wrong { field, message: format!("{error}, such as 12.50") });
        }
        Some(text.to_owned())
    }

    #[expect(clippy::unused_self, reason = "beside the others")]
    fn count(&self, (field, text): (&'static str, &str), wrong: &mut Vec<Wrong>) -> Option<i64> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let number = text.parse::<i64>().ok().filter(|it| *it >= 0);
        if number.is_none() {
            let message = format!("`{text}` is not a whole number, such as 1000000");
            wrong.push(Wrong { field, message });
        }
        number
    }
}

/// Whether a stored budget may have this word.
fn is_known(kind: &str, word: &str) -> bool {
    let mut row = BudgetRow {
        scope: "{}".to_owned(),
        span: "month".to_owned(),
        mode: "hard".to_owned(),
        ..BudgetRow::default()
    };
    let place = if kind == "window" { &mut row.span } else { &mut row.mode };
    word.clone_into(place);
    definition::read(&row).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> Typed {
        Typed { name: "month".to_owned(), usd: "200".to_owned(), ..Typed::new("shop") }
    }

    fn fields(typed: &Typed) -> Vec<&'static str> {
        typed.wish().map_or_else(|it| it.iter().map(|it| it.field).collect(), |_| Vec::new())
    }

    #[test]
    fn what_is_typed_becomes_a_wish() {
        let wish = Typed { usd: " $12.50 ".to_owned(), model: "*".to_owned(), ..typed() };
        let wish = wish.wish().unwrap();
        assert_eq!((wish.usd.as_deref(), wish.window.as_str()), (Some("12.50"), "month"));
        assert_eq!(wish.scope, BTreeMap::from([("model".to_owned(), "*".to_owned())]));
        assert_eq!((wish.tokens, wish.at_least_requests), (None, None));
    }

    #[test]
    fn every_mistake_names_its_field() {
        let wrong = Typed {
            name: "No Name".to_owned(),
            usd: "much".to_owned(),
            tokens: "1.5".to_owned(),
            per_thousand: "-1".to_owned(),
            at_least: "x".to_owned(),
            window: "year".to_owned(),
            mode: "firm".to_owned(),
            project: "a b".to_owned(),
            ..Typed::default()
        };
        let named = fields(&wrong);
        assert_eq!(
            named,
            ["name", "window", "mode", "project", "usd", "tokens", "per_thousand", "at_least"]
        );
        assert_eq!(fields(&Typed { usd: " ".to_owned(), ..typed() }), ["usd"]);
        assert!(fields(&typed()).is_empty());
    }

    #[test]
    fn a_budget_that_is_changed_is_typed_as_it_is() {
        let row = BudgetRow {
            id: "shop/month".to_owned(),
            team: "shop".to_owned(),
            scope: "{\"team\":\"shop\",\"run\":\"*\"}".to_owned(),
            span: "day".to_owned(),
            money: Some(crate::model::UsdNanos(12_500_000_000)),
            at_least_requests: 100,
            mode: "soft".to_owned(),
            version: 3,
            ..BudgetRow::default()
        };
        let typed = Typed::of(&row);
        let said = (typed.name.as_str(), typed.usd.as_str(), typed.run.as_str(), typed.seen());
        assert_eq!(said, ("month", "12.50", "*", 3));
        assert!(fields(&typed).is_empty());
    }
}
