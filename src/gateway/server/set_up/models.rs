//! Models that settings name are asked for or sent by a route: what is for other models would be for no call.

use super::names::{listed, wrong};
use crate::gateway::budget::scope::{Kind, Scope};
use crate::gateway::prices::matcher::Matcher;
use crate::gateway::route::Route;
use crate::gateway::settings::Settings;

/// Refuses models that no call has.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    check_empty(settings)?;
    check_matchers(settings)?;
    check_shadows(settings)?;
    check_scopes(settings)
}

/// The tables with `models`, each with its name and the models.
fn matchers(settings: &Settings) -> impl Iterator<Item = (&'static str, &str, &Matcher)> {
    let keys = settings.keys.iter();
    let keys = keys.filter_map(|it| Some(("key", it.name.as_str(), it.models.as_ref()?)));
    let rules = settings.guardrails.iter();
    let rules = rules.filter_map(|it| Some(("guardrail", it.name.as_str(), it.models.as_ref()?)));
    let shadows = settings.shadows.iter();
    let shadows = shadows.filter_map(|it| Some(("shadow", it.name.as_str(), it.models.as_ref()?)));
    keys.chain(rules).chain(shadows)
}

fn check_empty(settings: &Settings) -> Result<(), String> {
    if let Some(route) = settings.routes.iter().find(|it| it.model.is_empty()) {
        let to = route.to.first().map_or("", |it| it.provider.as_str());
        let what = "the `[[route]]` to this provider is for no model, for its `model` is empty; name one, such as \
                    `model = \"gpt-*\"`";
        return Err(wrong(to, what));
    }
    let Some((table, name, _)) = matchers(settings).find(|it| it.2.is_empty()) else {
        return Ok(());
    };
    let what = format!(
        "this `[[{table}]]` is for no model, for its `models` is empty; leave it out for all models"
    );
    Err(wrong(name, &what))
}

fn check_matchers(settings: &Settings) -> Result<(), String> {
    let routes = &settings.routes;
    let is_asked = |it: &Matcher| routes.iter().any(|route| route.model.may_meet(it));
    let odd = matchers(settings).find(|it| !routes.is_empty() && !is_asked(it.2));
    let Some((table, name, models)) = odd else { return Ok(()) };
    let what = format!(
        "this `[[{table}]]` is for no call, for no route is for its `models`, `{models}`; {}",
        asked(routes)
    );
    Err(wrong(name, &what))
}

fn check_shadows(settings: &Settings) -> Result<(), String> {
    for shadow in &settings.shadows {
        let Some(model) = &shadow.model else { continue };
        if !settings.routes.iter().any(|it| it.model.matches(model)) {
            let what = format!(
                "the candidate of this `[[shadow]]` is `{model}`, and no route leads there; {}",
                asked(&settings.routes)
            );
            return Err(wrong(&shadow.name, &what));
        }
    }
    Ok(())
}

/// Only budgets, and shadows of indexes, know of a model when they look at a scope.
fn check_scopes(settings: &Settings) -> Result<(), String> {
    let rules = settings.guardrails.iter().map(|it| ("guardrail", it.name.as_str(), &it.scope));
    let shadows = settings.shadows.iter().filter(|it| it.index.is_none());
    let shadows = shadows.map(|it| ("shadow", it.name.as_str(), &it.scope));
    for (table, name, scope) in rules.chain(shadows) {
        let Some(model) = scope.get(Kind::Model) else { continue };
        let what = format!(
            "the `scope` of this `[[{table}]]` is for no call, for `model` is in scopes of budgets alone; say it beside \
             the scope, `models = \"{model}\"`"
        );
        return Err(wrong(name, &what));
    }
    let has_model = |scope: &Scope| scope.get(Kind::Model).is_some();
    if settings.traces.rules.iter().any(|it| has_model(&it.scope)) {
        let what =
            "a `scope` with `model` is for no call here: `model` is in scopes of budgets alone";
        return Err(wrong("traces.content_for", what));
    }
    check_budgets(settings)
}

/// A budget counts a call by the name that is sent, and a report by the name of its index.
fn check_budgets(settings: &Settings) -> Result<(), String> {
    let routes = &settings.routes;
    for budget in &settings.budgets {
        let Some(model) = budget.scope.get(Kind::Model).filter(|it| *it != "*") else { continue };
        let is_index = settings.indexes.iter().any(|it| it.name.matches(model));
        if routes.is_empty() || is_index || routes.iter().any(|it| sends(it, model)) {
            continue;
        }
        let why = match routes.iter().find(|it| it.model.matches(model)) {
            Some(route) => format!(
                "`model` of a scope is the name that is sent to a provider, and the route of `{model}` sends {}",
                sent([route])
            ),
            None => format!(
                "no route sends the model `{model}`, and no `[[index]]` has that name; routes send {}",
                sent(routes)
            ),
        };
        let what = format!("the `scope` of this `[[budget]]` is for no call: {why}");
        return Err(wrong(&budget.id, &what));
    }
    Ok(())
}

/// Whether a route can send this name of a model.
fn sends(route: &Route, model: &str) -> bool {
    route.to.iter().any(|it| match &it.model {
        Some(name) => Kind::Model.is_same(name, model),
        None => route.model.matches(model),
    })
}

/// The names that routes send.
fn sent<'a>(routes: impl IntoIterator<Item = &'a Route>) -> String {
    let mut names = Vec::new();
    for route in routes {
        let own = || route.model.to_string();
        let of_route = route.to.iter().map(|it| it.model.clone().unwrap_or_else(own));
        names.extend(of_route);
    }
    names.sort_unstable();
    names.dedup();
    listed(names.iter().map(String::as_str)).unwrap_or_else(|| "none".to_owned())
}

/// The names that routes are for.
fn asked(routes: &[Route]) -> String {
    let names: Vec<_> = routes.iter().map(|it| it.model.to_string()).collect();
    let names = listed(names.iter().map(String::as_str)).unwrap_or_else(|| "none".to_owned());
    format!("routes are for {names}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings;

    const ROUTES: &str = "[[route]]\nmodel = \"alias\"\nto = [{ provider = \"p\", model = \"m1\" }]\n\
                          [[route]]\nmodel = [\"gpt-*\", \"o3\"]\nto = [{ provider = \"p\" }]\n";

    fn why(text: &str) -> String {
        let settings = settings::read(text).unwrap();
        check(&settings).err().unwrap_or_else(|| "good".to_owned())
    }

    #[test]
    fn a_budget_for_a_model_that_no_route_sends_is_refused() {
        let budget = |model: &str, more: &str| {
            let limit = "window = \"day\"\nusd = \"1\"";
            let table = format!("[[budget]]\nid = \"day\"\nscope = {{ model = \"{model}\" }}\n");
            why(&format!("{ROUTES}{more}{table}{limit}"))
        };
        for sent in ["m1", "M1", "gpt-4o", "O3", "*"] {
            assert_eq!(budget(sent, ""), "good", "{sent}");
        }
        let start = "`day`: the `scope` of this `[[budget]]` is for no call: ";
        assert_eq!(
            budget("alias", ""),
            format!(
                "{start}`model` of a scope is the name that is sent to a provider, and the route of `alias` sends `m1`"
            )
        );
        assert_eq!(
            budget("docs", ""),
            format!(
                "{start}no route sends the model `docs`, and no `[[index]]` has that name; routes send `gpt-* or o3`, `m1`"
            )
        );
        let index = "[[index]]\nname = \"docs*\"\nprovider = \"vectors\"\n";
        assert_eq!(budget("docs", index), "good");
    }

    #[test]
    fn models_that_no_route_is_for_are_refused() {
        let key = |models: &str| {
            why(&format!("{ROUTES}[[key]]\nname = \"ci\"\nvariable = \"K\"\nmodels = {models}\n"))
        };
        for good in ["\"*\"", "[\"o3\", \"else\"]", "\"gpt-4*\"", "\"ALIAS\"", "\"*-4o\""] {
            assert_eq!(key(good), "good", "{good}");
        }
        let none = key("[\"claude-*\", \"m1\"]");
        assert_eq!(
            none,
            "`ci`: this `[[key]]` is for no call, for no route is for its `models`, `claude-* or m1`; routes are for \
             `alias`, `gpt-* or o3`"
        );
        assert!(key("[]").starts_with("`ci`: this `[[key]]` is for no model"), "{}", key("[]"));
        let rule = "[[guardrail]]\nname = \"no names\"\nrule = \"pii\"\naction = \"block\"\n";
        let rule = |more: &str| why(&format!("{ROUTES}{rule}{more}"));
        assert!(
            rule("models = []").starts_with("`no names`: this `[[guardrail]]` is for no model")
        );
        assert!(rule("models = \"m1\"").contains("is for no call"));
        assert!(rule("scope = { model = \"o3\" }").ends_with("`models = \"o3\"`"));
        assert_eq!(rule("models = \"o3\""), "good");
        let route = why("[[route]]\nmodel = []\nto = [{ provider = \"p\" }]");
        assert!(route.starts_with("`p`: the `[[route]]` to this provider"), "{route}");
    }

    #[test]
    fn a_candidate_without_a_route_is_refused() {
        let shadow = |model: &str| {
            why(&format!(
                "{ROUTES}[[shadow]]\nname = \"v2\"\npercent = 5\nmodel = \"{model}\"\n\
                 budget = {{ window = \"day\", usd = \"1\" }}"
            ))
        };
        assert_eq!(shadow("gpt-5"), "good");
        let gone = shadow("m1");
        assert!(gone.starts_with("`v2`: the candidate of this `[[shadow]]` is `m1`"), "{gone}");
        assert!(gone.ends_with("routes are for `alias`, `gpt-* or o3`"), "{gone}");
    }
}
