//! The tables `shadow` of the gateway's file. Pure.

use serde::Deserialize;

use crate::gateway::budget::account::Limit;
use crate::gateway::budget::scope::{Scope, Window};
use crate::gateway::prices::matcher::Matcher;

/// A candidate that answers a share of the calls of others as well.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowSettings {
    /// Its name: `[a-z0-9_-]`, at most 63 letters.
    pub name: String,
    /// The calls of which copies are made, such as those of one endpoint; all, when it is not there.
    #[serde(default)]
    pub scope: Scope,
    /// Those of these models alone.
    pub models: Option<Matcher>,
    /// How many in a hundred.
    pub percent: f64,
    /// What always falls on the same side.
    #[serde(default)]
    pub sticky: Sticky,
    /// The model that gets the copies; the client's, when it is not there.
    pub model: Option<String>,
    /// A file with the prompt (the system's message) that they have instead of their own.
    pub prompt: Option<String>,
    /// A file with the schema that answers are held against; that of the request, when it is not there.
    pub schema: Option<String>,
    /// In place of a model or a prompt: another index, which answers queries as well that apps make themselves.
    pub index: Option<String>,
    /// The index that it is a candidate for.
    pub of: Option<String>,
    /// How many hits of a query are compared.
    #[serde(default = "ten")]
    pub hits: u32,
    /// What the copies may cost.
    pub budget: OwnBudget,
}

fn ten() -> u32 {
    10
}

/// A budget of copies alone.
#[derive(Debug, Clone, Deserialize)]
pub struct OwnBudget {
    /// After what it begins anew.
    pub window: Window,
    /// How much.
    #[serde(flatten)]
    pub limit: Limit,
}

/// What always falls on the same side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// A user, as far as the call says who that is; else the call.
    #[default]
    User,
    /// A call.
    Request,
}

/// What is wrong with settings, if anything is.
pub(super) fn check(all: &[ShadowSettings]) -> Result<(), String> {
    for (place, it) in all.iter().enumerate() {
        let name = &it.name;
        let is_letter =
            |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_-".contains(it);
        if name.is_empty() || name.len() > 63 || !name.chars().all(is_letter) {
            return Err(format!("`{name}`: a shadow's name has 1 to 63 letters of `a-z0-9_-`"));
        }
        if all.iter().take(place).any(|other| other.name == *name) {
            return Err(format!("`{name}`: there are two shadows of this name"));
        }
        if !(it.percent > 0.0 && it.percent <= 100.0) {
            return Err(format!("`{name}`: `percent` is more than 0 and at most 100"));
        }
        candidate(it).map_err(|why| format!("`{name}`: {why}"))?;
        if it.budget.limit.money.is_none() && it.budget.limit.tokens.is_none() {
            return Err(format!("`{name}`: the `budget` of a shadow has `usd` or `tokens`"));
        }
    }
    Ok(())
}

/// What is wrong with what a shadow is for.
fn candidate(it: &ShadowSettings) -> Result<(), &'static str> {
    let is_of_calls =
        it.model.is_some() || it.prompt.is_some() || it.schema.is_some() || it.models.is_some();
    match (&it.index, &it.of) {
        (Some(_), Some(_)) if is_of_calls => {
            Err("a shadow of an index has no `model`, `prompt`, `schema` or `models`")
        }
        (Some(_), Some(_)) if !(1..=100).contains(&it.hits) => Err("`hits` is 1 to 100"),
        (Some(_), Some(_)) => Ok(()),
        (None, None) if it.model.is_some() || it.prompt.is_some() => Ok(()),
        (None, None) => Err("a shadow has a `model`, a `prompt` or both, or an `index`"),
        (Some(_), None) | (None, Some(_)) => {
            Err("`index` and `of` go together: the candidate, and the index that is used")
        }
    }
}
