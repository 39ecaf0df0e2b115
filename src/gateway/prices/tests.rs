use proptest::prelude::*;

use super::rate::{Decimal, Rate};
use super::*;

const FILE: &str = r#"
version = 1
currency = "USD"

[[price]]
id = "nano"
provider = "openai"
model = "gpt-5-nano*"
per_million = { input = "0.05", cache_read = "0.005", output = 0.4 }
per_thousand = { web_searches = "10" }

[price.tier.batch.per_million]
input = "0.025"
output = "0.2"

[[price]]
id = "nano"
provider = "openai"
model = "gpt-5-nano*"
from = "2026-02-01"
per_million = { input = "0.04", output = "0.3" }

[[price]]
id = "large"
provider = "openai"
model = ["large", "huge-*"]
per_million = { input = 2, cache_write_1h = 4, output = 10 }

[[price.above]]
input_tokens = 1000
per_million = { input = 3, output = 15 }
"#;

fn prices() -> Prices {
    Prices::new(read_toml(FILE).unwrap().prices)
}

fn day(text: &str) -> Timestamp {
    text.parse::<Date>().unwrap().start()
}

fn cost(model: &str, date: &str, tier: Option<&str>, usage: &[(UsageClass, u64)]) -> String {
    let usage = usage.iter().fold(Usage::default(), |usage, it| usage.with(it.0, it.1));
    let prices = prices();
    let Some(row) = prices.find("openai", model, day(date)) else { return "no price".to_owned() };
    let cost = row.cost(&usage, tier);
    let from = row.from.map(|it| format!(" since {it}")).unwrap_or_default();
    format!("{}{from}: {} unpriced {:?}", row.id, cost.total(), cost.unpriced)
}

use UsageClass::{CacheRead, CacheWrite1h, Input, Output, Reasoning, Requests, WebSearches};

#[test]
fn each_class_has_its_price_and_reasoning_costs_what_output_does() {
    let usage = [
        (Input, 1000),
        (CacheRead, 10_000),
        (Output, 10),
        (Reasoning, 90),
        (WebSearches, 2),
        (Requests, 1),
    ];
    insta::assert_snapshot!(cost("gpt-5-nano-2025-08-07", "2026-01-31", None, &usage), @"nano: 0.02014 USD unpriced []");
}

#[test]
fn a_price_holds_from_its_day_on_and_the_tier_and_the_size_of_the_prompt_count() {
    let usage = [(Input, 1000), (Output, 1000)];
    insta::assert_snapshot!(cost("gpt-5-nano", "2026-01-31", None, &usage), @"nano: 0.00045 USD unpriced []");
    insta::assert_snapshot!(cost("gpt-5-nano", "2026-02-01", None, &usage), @"nano since 2026-02-01: 0.00034 USD unpriced []");
    insta::assert_snapshot!(cost("gpt-5-nano", "2026-01-31", Some("batch"), &usage), @"nano: 0.000225 USD unpriced []");
    insta::assert_snapshot!(cost("HUGE-1", "2026-01-31", Some("batch"), &usage), @"large: 0.012 USD unpriced []");
    insta::assert_snapshot!(cost("huge-1", "2026-01-31", None, &[(Input, 1001), (Output, 1000)]), @"large: 0.018003 USD unpriced []");
    insta::assert_snapshot!(cost("huge-1", "2026-01-31", None, &[(CacheWrite1h, 10)]), @"large: 0.00004 USD unpriced []");
}

#[test]
fn what_has_no_price_is_never_silently_free() {
    assert_eq!(cost("other", "2026-01-31", None, &[]), "no price");
    insta::assert_snapshot!(cost("large", "2026-01-31", None, &[(WebSearches, 1)]), @"large: 0.00 USD unpriced [WebSearches]");
}

#[test]
fn a_fraction_of_a_nano_dollar_is_rounded_up_once() {
    insta::assert_snapshot!(cost("gpt-5-nano", "2026-01-01", None, &[(CacheRead, 1)]), @"nano: 0.000000005 USD unpriced []");
    let rate: Decimal<6> = "0.000000001".parse().unwrap();
    assert_eq!(rate, Decimal(Rate(1)));
    let one = Cost { input: 1, output: 1, ..Cost::default() };
    assert_eq!(one.total(), UsdNanos(1));
}

#[test]
fn the_most_a_call_may_cost_is_at_the_dearest_rates() {
    let prices = prices();
    let large = prices.find("openai", "large", day("2026-01-01")).unwrap();
    let most = Most { input_tokens: 1000, output_tokens: 1000, ..Most::default() };
    assert_eq!(large.most(&most, None), UsdNanos(2_000_000 + 10_000_000));
    let long = Most { has_long_cache: true, ..most };
    assert_eq!(large.most(&long, None), UsdNanos(4_000_000 + 10_000_000));
    assert_eq!(large.affordable_output(UsdNanos(3_005_000), &most, None), Some(100));
    assert_eq!(large.affordable_output(UsdNanos(1_000_000), &most, None), Some(0));
}

#[test]
fn a_file_that_is_wrong_says_where() {
    let check = |text: &str| read_toml(text).unwrap_err();
    assert!(check("version = 2\ncurrency = \"USD\"").contains("version 2 is not known"));
    assert!(check("version = 1\ncurrency = \"EUR\"").contains("EUR"));
    let row = |price: &str| {
        format!(
            "version = 1\ncurrency = \"USD\"\n[[price]]\nid = \"a\"\nprovider = \"p\"\nmodel = \"m\"\n{price}"
        )
    };
    assert!(check(&row("per_million = { inputs = 1 }")).contains("inputs"));
    assert!(check(&row("per_million = { input = \"-1\" }")).contains("not an amount"));
    assert!(check(&row("per_million = { input = \"0.0000000001\" }")).contains("more digits"));
    assert!(check(&row("from = \"2026-02-30\"")).contains("is not a day"));
    assert!(check(&row("form = \"2026-02-03\"")).contains("form"));
}

#[test]
fn in_a_public_list_the_first_model_counts_though_a_later_one_has_the_name_in_full() {
    let list = r#"[
        { "id": "azure", "fallback_model_providers": ["openai"], "models": [
            { "id": "o4", "match": { "starts_with": "o4" }, "prices": { "input_mtok": 1 } },
            { "id": "o3", "match": { "contains": "o3" }, "prices": { "input_mtok": 1 } }
        ] },
        { "id": "openai", "models": [
            { "id": "o4-mini", "match": { "or": [{ "equals": "o4-mini" }, { "equals": "x1" }] }, "prices": { "input_mtok": 2 } },
            { "id": "o3", "match": { "contains": "o3" }, "prices": { "input_mtok": 2 } }
        ] }
    ]"#;
    let prices = Prices::new(import::genai_prices(list).unwrap().prices);
    let id = |provider, model| prices.find(provider, model, day("2026-01-01")).unwrap().id.clone();
    assert_eq!(id("azure", "o4-mini"), "azure/o4");
    assert_eq!(id("azure", "o3"), "azure/o3");
    assert_eq!(id("azure", "x1"), "openai/o4-mini");
    assert_eq!(id("openai", "o4-mini"), "openai/o4-mini");
    assert_eq!(id("openai", "o3"), "openai/o3");
}

#[test]
fn a_wrong_amount_is_named_with_its_row_and_its_place() {
    let of = |more: &str| {
        let row = |id: &str, more: &str| {
            format!("[[price]]\nid = \"{id}\"\nprovider = \"p\"\nmodel = \"m\"\n{more}\n")
        };
        let rows = row("good", "per_million = { input = 1 }") + &row("bad", more);
        let toml = format!("version = 1\ncurrency = \"USD\"\n{rows}");
        let json: serde_json::Value = toml::from_str(&toml).unwrap();
        let whys = [read_toml(&toml), read_json(&json.to_string())].map(Result::unwrap_err);
        assert_eq!(whys[0], whys[1]);
        whys[0].clone()
    };
    assert_eq!(
        of("per_million = { input = 1, output = \"much\" }"),
        "`[[price]]` 2 (`bad`), `per_million.output`: `much` is not an amount of dollars"
    );
    assert_eq!(
        of("[price.tier.batch.per_thousand]\nrequests = true"),
        "`[[price]]` 2 (`bad`), `tier.batch.per_thousand.requests`: `true` is not an amount of dollars"
    );
    assert_eq!(
        of("[[price.above]]\ninput_tokens = 5\nper_million = { input = \"-1\" }"),
        "`[[price]]` 2 (`bad`), `above.per_million.input`: `-1` is not an amount of dollars"
    );
    let day = of("from = \"2026-02-30\"");
    assert!(day.starts_with("`[[price]]` 2 (`bad`): `2026-02-30` is not a day"), "{day}");
}

#[test]
fn a_file_that_is_written_reads_the_same() {
    let file = read_toml(FILE).unwrap();
    let json = serde_json::to_string(&file).unwrap();
    assert_eq!(read_json(&json).unwrap(), file);
}

proptest! {
    #[test]
    fn amounts_read_as_they_are_written(rate in 0_i64..i64::MAX) {
        let (million, thousand) = (Decimal::<6>(Rate(rate)), Decimal::<3>(Rate(rate)));
        prop_assert_eq!(million.to_string().parse::<Decimal<6>>().unwrap(), million);
        prop_assert_eq!(thousand.to_string().parse::<Decimal<3>>().unwrap(), thousand);
    }

    #[test]
    fn days_have_the_parts_that_make_them(days in -100_000_i64..100_000) {
        let date = Date::of(Timestamp(days * 86_400_000));
        let (year, month, day) = date.parts();
        prop_assert_eq!(Date::from_parts(year, month, day), date);
        prop_assert_eq!(date.to_string().parse::<Date>().unwrap_or(date), date);
    }

    #[test]
    fn a_pattern_of_stars_matches_what_a_regular_expression_does(
        pattern in "[ab*]{0,8}", name in "[ab]{0,10}",
    ) {
        let regex = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap();
        prop_assert_eq!(matcher::glob(pattern.as_bytes(), name.as_bytes()), regex.is_match(&name));
    }

    #[test]
    fn no_usage_within_the_most_costs_more_than_the_most(
        input in 0_u64..3000, cached in 0_u64..3000, hour in 0_u64..3000, output in 0_u64..3000, thought in 0_u64..3000,
        model in prop_oneof![Just("large"), Just("gpt-5-nano")],
    ) {
        let usage = Usage::default()
            .with(Input, input).with(CacheRead, cached).with(CacheWrite1h, hour)
            .with(Output, output).with(Reasoning, thought);
        let prices = prices();
        let row = prices.find("openai", model, day("2026-03-01")).unwrap();
        let most = Most {
            input_tokens: usage.input_tokens(),
            output_tokens: usage.output_tokens(),
            has_long_cache: hour > 0,
            has_audio: false,
        };
        prop_assert!(row.cost(&usage, None).total() <= row.most(&most, None));
    }
}
