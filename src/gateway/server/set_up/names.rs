//! What settings name is there, and is named once: what would count for nothing is refused, with what is known.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::gateway::budget::scope::{Kind, OF_ENDPOINTS, is_endpoint};
use crate::gateway::cassette;
use crate::gateway::prices::{PriceRow, TIERS};
use crate::gateway::settings::Settings;
use crate::store::Store;

/// Refuses settings that do nothing. Where there is a store, it has keys that the file does not know.
pub(super) fn check(settings: &Settings, store: Option<&Store>) -> Result<(), String> {
    check_routes(settings)?;
    check_twice(settings)?;
    check_endpoints(settings)?;
    check_scopes(settings)?;
    check_guardrails(settings, store)?;
    check_teams(settings, store)?;
    check_cassettes(settings)
}

fn check_routes(settings: &Settings) -> Result<(), String> {
    let known = settings.providers.iter().map(|it| it.name.as_str());
    let known = listed(known).unwrap_or_else(|| "none".to_owned());
    for route in &settings.routes {
        if route.to.is_empty() {
            let what = format!(
                "this `[[route]]` leads nowhere, for its `to` is empty; name a provider in it, \
                 `to = [{{ provider = \"…\" }}]`; known are {known}"
            );
            return Err(wrong(&route.model.to_string(), &what));
        }
        for target in &route.to {
            if !settings.providers.iter().any(|it| it.name == target.provider) {
                let what = format!(
                    "the `[[route]]` of `{}` names it, and no `[[provider]]` has that name; known are {known}",
                    route.model
                );
                return Err(wrong(&target.provider, &what));
            }
        }
    }
    Ok(())
}

/// Of two of one name the second would count for nothing, or nobody could tell them apart.
fn check_twice(settings: &Settings) -> Result<(), String> {
    let providers = settings.providers.iter().map(|it| &*it.name).collect::<Vec<_>>();
    let keys = settings.keys.iter().map(|it| it.name.as_str()).collect();
    let budgets = settings.budgets.iter().map(|it| it.id.as_str()).collect();
    let rules = settings.guardrails.iter().map(|it| it.name.as_str()).collect();
    for (what, names) in
        [("provider", providers), ("key", keys), ("budget", budgets), ("guardrail", rules)]
    {
        let mut seen = HashSet::new();
        if let Some(twice) = names.into_iter().find(|it| !seen.insert(*it)) {
            return Err(wrong(twice, &format!("there are two `[[{what}]]` of this name")));
        }
    }
    if settings.limits.attempts == 0 {
        return Err(wrong("limits.attempts", "it is at least 1: the first try is one"));
    }
    Ok(())
}

/// The endpoint of a key is one that a budget can be for.
fn check_endpoints(settings: &Settings) -> Result<(), String> {
    for key in &settings.keys {
        let Some(name) = key.subject.get(Kind::Endpoint).filter(|it| !is_endpoint(it)) else {
            continue;
        };
        let what = format!(
            "the `subject` of this `[[key]]` has the endpoint `{name}`, and the name of one has {OF_ENDPOINTS}"
        );
        return Err(wrong(&key.name, &what));
    }
    Ok(())
}

/// What is for calls of a part of a name would be for none: a budget would refuse nothing, a rule look at nothing.
fn check_scopes(settings: &Settings) -> Result<(), String> {
    let budgets = settings.budgets.iter().map(|it| ("budget", it.id.as_str(), &it.scope));
    let rules = settings.guardrails.iter().map(|it| ("guardrail", it.name.as_str(), &it.scope));
    let shadows = settings.shadows.iter().map(|it| ("shadow", it.name.as_str(), &it.scope));
    let kept = settings.traces.rules.iter();
    let kept = kept.map(|it| ("traces.content_for", "traces.content_for", &it.scope));
    for (table, name, scope) in budgets.chain(rules).chain(shadows).chain(kept) {
        let Some(why) = scope.odd_name() else { continue };
        return Err(wrong(
            name,
            &format!("the `scope` of this `[[{table}]]` is for no call: {why}"),
        ));
    }
    Ok(())
}

/// A rule for a key that is not there would look at nothing. Where there is a store, its keys come and go.
fn check_guardrails(settings: &Settings, store: Option<&Store>) -> Result<(), String> {
    let known: Vec<_> = settings.keys.iter().map(|it| it.name.as_str()).collect();
    for rule in &settings.guardrails {
        let Some(keys) = &rule.keys else { continue };
        if keys.is_empty() {
            let what = "this `[[guardrail]]` is for no call, for its `keys` is empty; leave it out for all calls";
            return Err(wrong(&rule.name, what));
        }
        let gone = keys.iter().find(|it| !known.contains(&it.as_str()));
        if let Some(gone) = gone.filter(|_| store.is_none()) {
            let known = listed(known.into_iter()).unwrap_or_else(|| "none".to_owned());
            let what = format!(
                "this `[[guardrail]]` has `{gone}` in its `keys`, and no `[[key]]` has that name; known are {known}"
            );
            return Err(wrong(&rule.name, &what));
        }
    }
    Ok(())
}

/// A budget of a team that no key has would be for no call. Where there is a store, its teams come and go.
fn check_teams(settings: &Settings, store: Option<&Store>) -> Result<(), String> {
    if store.is_some() || settings.keys.is_empty() {
        return Ok(());
    }
    let teams = settings.keys.iter().filter_map(|it| it.subject.get(Kind::Team));
    let teams: BTreeSet<_> = teams.collect();
    for budget in &settings.budgets {
        let Some(team) = budget.scope.get(Kind::Team) else { continue };
        if teams.contains(team) || (team == "*" && !teams.is_empty()) {
            continue;
        }
        let known = listed(teams.into_iter()).unwrap_or_else(|| "none".to_owned());
        let what = format!(
            "the `scope` of this `[[budget]]` is for no call: no `[[key]]` has the team `{team}` in its `subject`; known \
             are {known}"
        );
        return Err(wrong(&budget.id, &what));
    }
    Ok(())
}

fn check_cassettes(settings: &Settings) -> Result<(), String> {
    for key in &settings.keys {
        let Some(cassette) = &key.cassette else { continue };
        if settings.cassettes.is_none() {
            let what = format!(
                "this `[[key]]` has the cassette `{cassette}`, and nobody says in which folder it is; name that \
                 above the tables, `cassettes = \"cassettes\"`"
            );
            return Err(wrong(&key.name, &what));
        }
        if let Err(why) = cassette::check_name(cassette) {
            return Err(wrong(&key.name, &format!("its `cassette` cannot be: {why}")));
        }
    }
    Ok(())
}

/// Service tiers of prices that no call is known to have, each with the first price that has it.
pub(super) fn unknown_tiers(files: &[Vec<PriceRow>]) -> BTreeMap<&str, &str> {
    let mut unknown = BTreeMap::new();
    for row in files.iter().flatten() {
        for tier in row.tier.keys().filter(|it| !TIERS.contains(&it.as_str())) {
            unknown.entry(tier.as_str()).or_insert(row.id.as_str());
        }
    }
    unknown
}

/// `a`, `b`; nothing, where there is none.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<_> = names.map(|it| format!("`{it}`")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

pub(super) fn wrong(what: &str, why: &str) -> String {
    format!("`{what}`: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::prices::read_toml;
    use crate::gateway::settings;

    const PROVIDER: &str =
        "[[provider]]\nname = \"p\"\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n";
    const KEY: &str = "[[key]]\nname = \"ci\"\nvariable = \"CI_KEY\"\n";
    const RULE: &str = "[[guardrail]]\nname = \"no names\"\nrule = \"pii\"\naction = \"block\"\n";

    fn why(text: &str) -> String {
        check(&settings::read(text).unwrap(), None).err().unwrap_or_else(|| "good".to_owned())
    }

    #[test]
    fn a_route_that_leads_nowhere_is_refused() {
        let to =
            |to: &str| why(&format!("{PROVIDER}[[route]]\nmodel = [\"gpt-*\", \"o3\"]\nto = {to}"));
        assert_eq!(
            to("[]"),
            "`gpt-* or o3`: this `[[route]]` leads nowhere, for its `to` is empty; name a provider in it, \
             `to = [{ provider = \"…\" }]`; known are `p`"
        );
        assert_eq!(to("[{ provider = \"p\" }]"), "good");
        assert_eq!(
            to("[{ provider = \"q\" }]"),
            "`q`: the `[[route]]` of `gpt-* or o3` names it, and no `[[provider]]` has that name; known are `p`"
        );
    }

    #[test]
    fn a_scope_with_a_part_of_a_name_is_refused() {
        let budget = |model: &str| {
            let limit = "window = \"day\"\nusd = \"1\"";
            why(&format!("[[budget]]\nid = \"day\"\nscope = {{ model = \"{model}\" }}\n{limit}"))
        };
        assert_eq!(
            budget("gpt-4*"),
            "`day`: the `scope` of this `[[budget]]` is for no call: `gpt-4*` would be taken for a name, and no model \
             has it: a scope takes a whole name, or `*` alone, which counts each name apart"
        );
        assert_eq!((budget("*").as_str(), budget("gpt-4o").as_str()), ("good", "good"));
        let endpoint = why(
            "[[budget]]\nid = \"day\"\nscope = { endpoint = \"café\" }\nwindow = \"day\"\nusd = \"1\"",
        );
        let is_said = endpoint
            .ends_with("`café` is no name of an endpoint, which has 1 to 100 letters of ASCII");
        assert!(is_said && endpoint.starts_with("`day`: the `scope`"), "{endpoint}");
        let own = why(&format!("{KEY}subject = {{ endpoint = \"café\" }}"));
        assert!(own.starts_with("`ci`: the `subject` of this `[[key]]`"), "{own}");
        let scope = "scope = { team = \"co*\" }";
        let rule = why(&format!("{RULE}{scope}"));
        assert!(rule.starts_with("`no names`: the `scope` of this `[[guardrail]]`"), "{rule}");
        let shadow = "[[shadow]]\nname = \"v2\"\npercent = 5\nmodel = \"m\"\nbudget = { window = \"day\", usd = \"1\" }";
        let shadow = why(&format!("{shadow}\n{scope}"));
        assert!(shadow.starts_with("`v2`: the `scope` of this `[[shadow]]`"), "{shadow}");
        let kept = why(&format!("[[traces.content_for]]\ncontent = \"off\"\n{scope}"));
        assert!(kept.starts_with("`traces.content_for`: the `scope`"), "{kept}");
    }

    #[test]
    fn a_rule_for_a_key_that_is_not_there_is_refused() {
        assert_eq!(why(&format!("{KEY}{RULE}keys = [\"ci\"]")), "good");
        let gone = why(&format!("{KEY}{RULE}keys = [\"ci\", \"cli\"]"));
        assert!(
            gone.starts_with("`no names`: this `[[guardrail]]` has `cli` in its `keys`"),
            "{gone}"
        );
        assert!(gone.ends_with("known are `ci`"), "{gone}");
        assert!(why(&format!("{RULE}keys = [\"ci\"]")).ends_with("known are none"));
        assert!(why(&format!("{KEY}{RULE}keys = []")).contains("is for no call"));
    }

    #[test]
    fn a_budget_of_a_team_that_no_key_has_is_refused() {
        let budget = |team: &str, more: &str| {
            why(&format!(
                "{KEY}{more}\n[[budget]]\nid = \"day\"\nscope = {{ team = \"{team}\" }}\nwindow = \"day\"\nusd = \"1\""
            ))
        };
        let core = "subject = { team = \"core\" }";
        assert_eq!((budget("core", core).as_str(), budget("*", core).as_str()), ("good", "good"));
        let gone = budget("cor", core);
        assert!(
            gone.starts_with("`day`: the `scope` of this `[[budget]]` is for no call"),
            "{gone}"
        );
        assert!(gone.ends_with("known are `core`"), "{gone}");
        assert!(budget("*", "").ends_with("known are none"));
    }

    #[test]
    fn two_rules_of_one_name_are_refused() {
        let twice = why(&format!("{RULE}{RULE}"));
        assert_eq!(twice, "`no names`: there are two `[[guardrail]]` of this name");
    }

    #[test]
    fn a_cassette_that_cannot_be_is_refused() {
        let of = |name: &str| why(&format!("cassettes = \"tapes\"\n{KEY}cassette = \"{name}\""));
        assert_eq!(of("eval-1.b"), "good");
        for name in ["sub/x", "", "..", "a b"] {
            let why = of(name);
            let start = format!("`ci`: its `cassette` cannot be: `{name}` is not the name");
            assert!(why.starts_with(&start), "{why}");
        }
        let nowhere = why(&format!("{KEY}cassette = \"eval\""));
        assert!(nowhere.starts_with("`ci`: this `[[key]]` has the cassette `eval`"), "{nowhere}");
        assert!(nowhere.contains("`cassettes = \"cassettes\"`"), "{nowhere}");
    }

    #[test]
    fn what_is_a_name_of_a_cassette_here_is_one_when_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let cassettes = cassette::Cassettes::new(folder.path().to_owned(), Vec::new());
        for name in ["eval", "a-b_c.d", "", ".a", "..", "sub/x", "a b", "ä", "a\\b"] {
            let why = why(&format!("cassettes = \"tapes\"\n{KEY}cassette = '{name}'"));
            assert_eq!(cassettes.open(name).is_ok(), why == "good", "{name}: {why}");
        }
    }

    #[test]
    fn a_tier_that_no_call_has_is_told_of_once() {
        let row = |id: &str, tier: &str| {
            format!(
                "[[price]]\nid = \"{id}\"\nprovider = \"p\"\nmodel = \"m\"\n[price.tier.{tier}.per_million]\ninput = 1\n"
            )
        };
        let rows = row("a", "flex") + &row("b", "flexx") + &row("c", "flexx") + &row("d", "batch");
        let text = format!("version = 1\ncurrency = \"USD\"\n{rows}");
        let files = [read_toml(&text).unwrap().prices];
        assert_eq!(unknown_tiers(&files).into_iter().collect::<Vec<_>>(), [("flexx", "b")]);
    }
}
