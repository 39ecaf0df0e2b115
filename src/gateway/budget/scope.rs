//! Whose calls a budget is for, and for how long it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::gateway::prices::rate::Date;
use crate::model::Timestamp;

const HOUR_MS: i64 = 3_600_000;
/// The longest name of an endpoint.
const ENDPOINT_LETTERS: usize = 100;
/// What names of endpoints have, as messages say it.
pub const OF_ENDPOINTS: &str = "1 to 100 letters of ASCII";

/// What a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole installation, or one customer of it.
    Organisation,
    /// A team.
    Team,
    /// A project, as `team/name`.
    Project,
    /// A pipeline of a project.
    Pipeline,
    /// A run.
    Run,
    /// A stage of a run.
    Stage,
    /// An endpoint of a deployed app.
    Endpoint,
    /// A model.
    Model,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Organisation,
        Self::Team,
        Self::Project,
        Self::Pipeline,
        Self::Run,
        Self::Stage,
        Self::Endpoint,
        Self::Model,
    ];

    /// The word used in files and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Team => "team",
            Self::Project => "project",
            Self::Pipeline => "pipeline",
            Self::Run => "run",
            Self::Stage => "stage",
            Self::Endpoint => "endpoint",
            Self::Model => "model",
        }
    }

    /// Whether two names of it mean the same: of models, upper and lower case are the same, as in routes and prices.
    #[must_use]
    pub fn is_same(self, one: &str, other: &str) -> bool {
        if self == Self::Model { one.eq_ignore_ascii_case(other) } else { one == other }
    }
}

/// What one call belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject {
    parts: BTreeMap<Kind, Arc<str>>,
}

impl Subject {
    /// The same that also belongs to this.
    #[must_use]
    pub fn with(mut self, kind: Kind, name: impl Into<Arc<str>>) -> Self {
        self.parts.insert(kind, name.into());
        self
    }

    /// As pairs of words; kinds that are not known are left out.
    #[must_use]
    pub fn of_words(words: &BTreeMap<String, String>) -> Self {
        let parts = Kind::ALL.into_iter();
        let parts = parts.filter_map(|it| Some((it, words.get(it.as_str())?.as_str().into())));
        Self { parts: parts.collect() }
    }

    /// The pairs of words.
    #[must_use]
    pub fn words(&self) -> BTreeMap<String, String> {
        let words = self.parts.iter();
        words.map(|(kind, name)| (kind.as_str().to_owned(), name.to_string())).collect()
    }

    /// What it belongs to of a kind.
    #[must_use]
    pub fn get(&self, kind: Kind) -> Option<&str> {
        self.parts.get(&kind).map(|it| &**it)
    }

    /// Whether it belongs to one team of several: not a run of `trunkline run`, where whoever runs it owns all.
    #[must_use]
    pub fn is_of_a_team(&self) -> bool {
        let is_own_run = self.get(Kind::Run).is_some() && self.get(Kind::Project).is_none();
        self.get(Kind::Team).is_some() && !is_own_run
    }
}

/// The calls that a budget is for: those that belong to all of these. `*` counts each name apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope {
    parts: BTreeMap<Kind, String>,
}

impl Scope {
    /// The same with one more condition.
    #[must_use]
    pub fn with(mut self, kind: Kind, name: &str) -> Self {
        self.parts.insert(kind, name.to_owned());
        self
    }

    /// The name that is wanted of a kind.
    #[must_use]
    pub fn get(&self, kind: Kind) -> Option<&str> {
        self.parts.get(&kind).map(String::as_str)
    }

    /// Why no call can belong to it, if a name of it is one that no call has.
    #[must_use]
    pub fn odd_name(&self) -> Option<String> {
        self.parts.iter().find_map(|(kind, name)| odd_name(kind.as_str(), name))
    }

    /// Whether calls of several teams may go to one account of it.
    #[must_use]
    pub fn spans_teams(&self) -> bool {
        ![Kind::Team, Kind::Project, Kind::Run].into_iter().any(|it| self.parts.contains_key(&it))
    }

    /// The account of the budget that a call goes to, such as `team=core run=7`, with the name of a model in lower case;
    /// `None` when the budget is not for it.
    #[must_use]
    pub fn account_of(&self, subject: &Subject) -> Option<String> {
        let mut account = String::new();
        for (kind, wanted) in &self.parts {
            let name = subject.get(*kind)?;
            if wanted != "*" && !kind.is_same(wanted, name) {
                return None;
            }
            let space = if account.is_empty() { "" } else { " " };
            account.push_str(space);
            account.push_str(kind.as_str());
            account.push('=');
            let before = account.len();
            account.push_str(name);
            if let (Kind::Model, Some(name)) = (kind, account.get_mut(before..)) {
                name.make_ascii_lowercase();
            }
        }
        Some(account)
    }

    /// Whether an account may be one of this scope: one that it had before it was changed is not.
    #[must_use]
    pub fn has_account(&self, account: &str) -> bool {
        let words: Vec<_> = account.split(' ').filter_map(|it| it.split_once('=')).collect();
        let kinds = words.iter();
        let kinds = kinds.filter_map(|it| Kind::ALL.into_iter().find(|kind| kind.as_str() == it.0));
        let is_there = |kind: Kind, name: &str| {
            words.iter().any(|it| it.0 == kind.as_str() && kind.is_same(it.1, name))
        };
        kinds.eq(self.parts.keys().copied())
            && self.parts.iter().all(|(kind, name)| name == "*" || is_there(*kind, name))
    }
}

/// Whether calls may say that they are of an endpoint of this name: a header holds it.
#[must_use]
pub fn is_endpoint(name: &str) -> bool {
    (1..=ENDPOINT_LETTERS).contains(&name.len())
        && name.bytes().all(|it| (b' '..=b'~').contains(&it))
}

/// Why no call has a name. One that is meant for a pattern: names of a scope are no patterns as those of routes are, for
/// each account is of one name. Or one that no endpoint has.
#[must_use]
pub fn odd_name(kind: &str, name: &str) -> Option<String> {
    if kind == Kind::Endpoint.as_str() && !is_endpoint(name) {
        return Some(format!("`{name}` is no name of an endpoint, which has {OF_ENDPOINTS}"));
    }
    let is_part = name != "*" && name.contains('*');
    is_part.then(|| {
        format!(
            "`{name}` would be taken for a name, and no {kind} has it: a scope takes a whole name, or `*` alone, which \
             counts each name apart"
        )
    })
}

/// The span after which a budget begins anew, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// Each hour.
    Hour,
    /// Each day.
    Day,
    /// Each month.
    Month,
    /// Never: as long as what it is for, such as a run.
    Whole,
}

impl Window {
    /// When the window began that a moment lies in.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Hour => Timestamp(at.0.div_euclid(HOUR_MS) * HOUR_MS),
            Self::Day => Date::of(at).start(),
            Self::Month => {
                let (year, month, _) = Date::of(at).parts();
                Date::from_parts(year, month, 1).start()
            }
            Self::Whole => Timestamp(0),
        }
    }

    /// When the window ends that began at `start`.
    #[must_use]
    pub fn end(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Hour => Some(Timestamp(start.0 + HOUR_MS)),
            Self::Day => Some(Timestamp(start.0 + 24 * HOUR_MS)),
            Self::Month => {
                let (year, month, _) = Date::of(start).parts();
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Some(Date::from_parts(next.0, next.1, 1).start())
            }
            Self::Whole => None,
        }
    }
}
