//! `PUT …/budgets/{budget}`: a new budget, or another ceiling of one. It holds within two seconds everywhere.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::State;
use axum::http::{HeaderMap, header};

use crate::desk::server::budgets::view::BudgetView;
use crate::desk::server::budgets::{self, Holder, Wish};
use crate::http::{App, Json, Path, Problem, Visitor, changed_since, check_if_match};
use crate::model::Role;
use crate::store::spend::budgets::BudgetRow;

/// A budget to set. What is left out is not limited.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveBudget {
    /// Which calls: names, or `*` for each apart, of `organisation`, `team`, `project`, `pipeline`, `run`, `stage`,
    /// `endpoint`, `model`; all of them without. One of a team is for its calls alone.
    #[serde(default, deserialize_with = "each_once")]
    scope: BTreeMap<String, String>,
    /// The span after which it begins anew: `hour`, `day`, `month` (UTC) or `whole`.
    window: String,
    /// Dollars in a window, such as `12.50`.
    #[serde(default)]
    usd: Option<String>,
    /// Tokens in a window.
    #[serde(default)]
    tokens: Option<i64>,
    /// Dollars for a thousand requests.
    #[serde(default)]
    usd_per_thousand_requests: Option<String>,
    /// Requests that the ceiling above takes for granted at the start of a window: 100 unless it is said.
    #[serde(default)]
    at_least_requests: Option<u32>,
    /// `hard`: calls that do not fit are refused; `soft`: people are told.
    #[serde(default = "hard")]
    mode: String,
}

/// A scope whose kinds are each there once: the last of two would win without a word.
fn each_once<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_map(EachOnce)
}

struct EachOnce;

impl<'de> serde::de::Visitor<'de> for EachOnce {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names by their kinds")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut scope = BTreeMap::new();
        while let Some((kind, name)) = map.next_entry::<String, String>()? {
            if scope.contains_key(&kind) {
                return Err(serde::de::Error::custom(format!("`scope` has `{kind}` twice")));
            }
            scope.insert(kind, name);
        }
        Ok(scope)
    }
}

fn hard() -> String {
    "hard".to_owned()
}

impl From<SaveBudget> for Wish {
    fn from(it: SaveBudget) -> Self {
        Self {
            scope: it.scope,
            window: it.window,
            usd: it.usd,
            tokens: it.tokens,
            usd_per_thousand_requests: it.usd_per_thousand_requests,
            at_least_requests: it.at_least_requests,
            mode: it.mode,
        }
    }
}

/// Sets a budget of the installation. With `If-Match` only if it still is as it was seen.
#[utoipa::path(
    put, path = "/budgets/{budget}", tag = "budgets",
    extensions(("x-access" = json!("owner"))),
    params(
        ("budget" = String, Path, description = "Name of the budget"),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    request_body = SaveBudget,
    responses((status = 200, body = BudgetView)),
)]
pub(super) async fn save_budget(
    State(app): State<App>,
    visitor: Visitor,
    Path(budget): Path<String>,
    headers: HeaderMap,
    Json(request): Json<SaveBudget>,
) -> Result<Json<BudgetView>, Problem> {
    let holder = Holder::installation(&visitor)?;
    save(&app, &visitor, (&holder, &budget), (&headers, request)).await
}

/// Sets a budget of a team. With `If-Match` only if it still is as it was seen.
#[utoipa::path(
    put, path = "/teams/{team}/budgets/{budget}", tag = "budgets",
    extensions(("x-access" = json!("admin"))),
    params(
        ("team" = String, Path, description = "Name of the team"),
        ("budget" = String, Path, description = "Name of the budget"),
        ("if-match" = Option<String>, Header, description = "The `ETag` that it was seen with"),
    ),
    request_body = SaveBudget,
    responses((status = 200, body = BudgetView)),
)]
pub(super) async fn save_team_budget(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, budget)): Path<(String, String)>,
    headers: HeaderMap,
    Json(request): Json<SaveBudget>,
) -> Result<Json<BudgetView>, Problem> {
    let holder = Holder::team(&app, &visitor, (&team, Role::Admin)).await?;
    save(&app, &visitor, (&holder, &budget), (&headers, request)).await
}

async fn save(
    app: &App,
    visitor: &Visitor,
    (holder, name): (&Holder, &str),
    (headers, request): (&HeaderMap, SaveBudget),
) -> Result<Json<BudgetView>, Problem> {
    let present = budgets::find_present(app, holder, name).await?;
    check_seen(headers, present.as_ref())?;
    let new = (name, request.into(), present.as_ref());
    Ok(Json(budgets::save(app, visitor, holder, new).await?.into()))
}

/// Refuses a change of what is not as it was seen.
pub(super) fn check_seen(headers: &HeaderMap, present: Option<&BudgetRow>) -> Result<(), Problem> {
    match present {
        Some(present) => check_if_match(headers, &BudgetView::from(present.clone())),
        None if headers.contains_key(header::IF_MATCH) => Err(changed_since()),
        None => Ok(()),
    }
}
