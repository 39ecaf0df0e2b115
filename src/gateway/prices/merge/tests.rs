use super::*;
use crate::gateway::prices::import::{self, List};
use crate::gateway::prices::{Prices, read_toml, text};
use crate::model::{Usage, UsageClass};

const LITELLM: &str = r#"{
    "sample_spec": { "litellm_provider": "one of several", "mode": "chat", "input_cost_per_token": 0.0 },
    "gpt-9": {
        "litellm_provider": "openai", "mode": "chat", "max_tokens": 5,
        "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.2499999999999999e-06,
        "input_cost_per_token_batches": 1.25e-06, "output_cost_per_token_priority": 1.7e-05,
        "input_cost_per_token_above_200k_tokens": 5e-06,
        "input_cost_per_token_above_200k_tokens_priority": 9e-06,
        "search_context_cost_per_query": { "low": 0.01, "medium": 0.01, "high": 0.01 }
    },
    "azure/gpt-9": { "litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 3e-06 },
    "claude-x": {
        "litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06, "ocr_cost_per_page": 0.5
    },
    "tiered": {
        "litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
            { "range": [0, 128000.0], "input_cost_per_token": 1e-07, "output_cost_per_token": 4e-07 },
            { "range": [128000.0, 1000000.0], "input_cost_per_token": 3e-07 }
        ]
    },
    "free": { "litellm_provider": "ollama", "mode": "chat", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0 },
    "painter": { "litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.1 },
    "openai/*/odd": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06 },
    "broken": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "much" },
    "nameless": { "mode": "chat" }
}"#;

const MODELS_DEV: &str = r#"{
    "openai": { "id": "openai", "models": {
        "gpt-9": { "id": "gpt-9", "cost": { "input": 2.5, "output": 10, "cache_read": 1.25, "context_over_200k": { "input": 5 }, "strange": 1 } },
        "no-price": { "id": "no-price" }
    } }
}"#;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn listed(text: &str) -> Vec<Listed> {
    import::read(text, None).unwrap().1.prices
}

fn file(text: &str) -> Vec<PriceRow> {
    read_toml(&format!("version = 1\ncurrency = \"USD\"\n{text}")).unwrap().prices
}

/// The file after an import.
fn after(present: &[PriceRow], list: &str, from: &str) -> (Vec<PriceRow>, Merged) {
    let merged = merge(present, listed(list), day(from));
    let mut rows = present.to_vec();
    rows.extend(merged.added.iter().map(|it| it.row.clone()));
    (rows, merged)
}

fn cost(rows: &[PriceRow], (provider, model): (&str, &str), at: &str) -> Option<String> {
    let usage = Usage::default().with(UsageClass::Input, 100_000);
    let prices = Prices::new(rows.to_vec());
    let row = prices.find(provider, model, day(at).start())?;
    Some(row.cost(&usage.with(UsageClass::Output, 0), None).total().to_string())
}

#[test]
fn a_list_of_litellm_is_read_and_what_is_not_taken_is_told() {
    let (list, listing) = import::read(LITELLM, None).unwrap();
    assert_eq!(list, List::Litellm);
    let names: Vec<_> = listing.prices.iter().map(|it| it.row.id.as_str()).collect();
    let wanted = ["openai/gpt-9", "azure/gpt-9", "anthropic/claude-x", "dashscope/tiered"];
    let sorted = |mut it: Vec<&'static str>| {
        it.sort_unstable();
        it
    };
    let mut names = names;
    names.sort_unstable();
    assert_eq!(names, sorted(wanted.to_vec()));
    let skipped: Vec<_> =
        listing.skipped.iter().map(|it| format!("{}: {}", it.source, it.why)).collect();
    let mut skipped = skipped;
    skipped.sort_unstable();
    insta::assert_snapshot!(skipped.join("\n"), @r#"
    broken: `input_cost_per_token`: `"much"` is not a number
    free: it says that it costs nothing: write that row yourself, if it is so
    nameless: it names no provider
    openai/*/odd: a name with `*` would be a pattern
    painter: calls for `image_generation` are not metered
    "#);
    let left_out: Vec<_> = listing.left_out.iter().map(|it| format!("{} {}", it.0, it.1)).collect();
    assert_eq!(
        left_out,
        ["input_cost_per_token_above_200k_tokens_priority 1", "ocr_cost_per_page 1"]
    );
    let gpt = listing.prices.iter().find(|it| it.row.id == "openai/gpt-9").unwrap();
    let shown = text::toml(&gpt.row);
    insta::assert_snapshot!(shown.trim(), @r#"
    [[price]]
    id = "openai/gpt-9"
    provider = "openai"
    model = "gpt-9"
    per_million = { input = "2.5", cache_read = "1.25", output = "10" }
    per_thousand = { web_searches = "10" }

    [[price.above]]
    input_tokens = 200000
    per_million = { input = "5" }

    [price.tier.batch]
    per_million = { input = "1.25" }

    [price.tier.priority]
    per_million = { output = "17" }
    "#);
    assert_eq!(file(&shown), std::slice::from_ref(&gpt.row), "it is read as it was written");
    let tiered = listing.prices.iter().find(|it| it.row.id == "dashscope/tiered").unwrap();
    assert_eq!(tiered.row.above[0].input_tokens, 128_000);
}

#[test]
fn a_list_of_models_dev_is_read() {
    let (list, listing) = import::read(MODELS_DEV, None).unwrap();
    assert_eq!((list, listing.prices.len()), (List::ModelsDev, 1));
    let skipped: Vec<_> =
        listing.skipped.iter().map(|it| (it.source.as_str(), it.why.as_str())).collect();
    assert_eq!(skipped, [("openai/no-price", "it has no price")]);
    assert_eq!(listing.left_out.get("strange"), Some(&1));
    let row = &listing.prices[0].row;
    assert_eq!(row.above[0].input_tokens, 200_000);
    assert_eq!(row.rates.of(UsageClass::CacheRead).unwrap().0, 1_250_000_000);
    assert!(import::read("{}", None).is_err() && import::read("[", None).is_err());
    assert!(import::read("[]", Some(List::Litellm)).is_err());
}

#[test]
fn a_price_that_did_not_change_gives_no_row_and_one_that_did_gives_one_from_that_day_on() {
    let (rows, merged) = after(&[], LITELLM, "2026-11-01");
    assert_eq!((merged.added.len(), merged.unchanged), (4, 0));
    assert!(merged.added.iter().all(|it| it.row.from == Some(day("2026-11-01")) && !it.is_change));
    assert_eq!(cost(&rows, ("openai", "gpt-9"), "2026-10-31"), None, "nothing is said of before");
    let (_, again) = after(&rows, LITELLM, "2026-11-20");
    assert_eq!((again.added.len(), again.unchanged, again.kept.len()), (0, 4, 0));
    let dearer =
        LITELLM.replace("\"input_cost_per_token\": 2.5e-06", "\"input_cost_per_token\": 4e-06");
    let (later, merged) = after(&rows, &dearer, "2026-11-20");
    assert_eq!((merged.added.len(), merged.unchanged), (1, 3));
    assert!(merged.added[0].is_change);
    assert_eq!(later[..4], rows[..], "what is there stays as it is");
    let told =
        ["2026-11-01", "2026-11-19", "2026-11-20"].map(|it| cost(&later, ("openai", "gpt-9"), it));
    assert_eq!(told.map(Option::unwrap), ["0.25 USD", "0.25 USD", "0.40 USD"]);
    let history = history(&later, ("openai", "gpt-9"), day("2026-11-25").start());
    assert_eq!(history.iter().map(|it| it.1).collect::<Vec<_>>(), [false, true]);
    // The same day once more, with yet another price: that day has one already.
    let dearest =
        LITELLM.replace("\"input_cost_per_token\": 2.5e-06", "\"input_cost_per_token\": 6e-06");
    let (_, merged) = after(&later, &dearest, "2026-11-20");
    assert_eq!(merged.added.len(), 0);
    assert!(merged.kept[0].1.contains("another price of it from 2026-11-20 on"), "{merged:?}");
}

#[test]
fn what_a_list_has_twice_is_taken_once_however_often_it_comes() {
    let list = r#"{
        "gpt-9": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06 },
        "openai/gpt-9": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 9e-06 }
    }"#;
    let (rows, merged) = after(&[], list, "2026-11-01");
    let twice = ("openai/gpt-9".to_owned(), "the list has it twice".to_owned());
    assert_eq!((merged.added.len(), merged.kept), (1, vec![twice]));
    let (_, again) = after(&rows, list, "2026-11-20");
    assert_eq!((again.added.len(), again.unchanged), (0, 1));
}

#[test]
fn what_people_have_written_for_several_models_is_left_to_them() {
    let own = file(
        r#"
[[price]]
id = "ours"
provider = "openai"
model = "gpt-*"
per_million = { input = "1", output = "2" }

[[price]]
id = "night"
provider = "anthropic"
model = "claude-x"
hours = ["22:00", "06:00"]
per_million = { input = "1", output = "2" }
"#,
    );
    let (_, merged) = after(&own, LITELLM, "2026-11-01");
    let kept: Vec<_> = merged.kept.iter().map(|it| format!("{}: {}", it.0, it.1)).collect();
    let mut kept = kept;
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            "claude-x: `night` of the file has a price by the hour",
            "gpt-9: `ours` of the file is for several models, this one among them"
        ]
    );
}

#[test]
fn the_public_list_with_patterns_comes_in_once() {
    let path = "/work/shared/data/prices/genai-prices.json";
    let Ok(list) = std::fs::read_to_string(path) else { return };
    let (rows, merged) = after(&[], &list, "2026-11-01");
    assert!(merged.added.len() > 500, "{}", merged.added.len());
    let (_, again) = after(&rows, &list, "2026-11-20");
    assert_eq!((again.added.len(), again.kept.len()), (0, 0), "{:?}", again.kept.first());
    // What is written is what was read.
    let text: String = rows.iter().map(text::toml).collect();
    assert_eq!(file(&text), rows);
}

#[test]
fn what_is_odd_about_a_file_is_told() {
    let rows = file(
        r#"
[[price]]
id = "a"
provider = "p"
model = "m-*"
from = "2026-02-01"
per_million = { input = "1", output = "9" }

[[price]]
id = "a"
provider = "p"
model = "m-*"
from = "2026-01-01"
per_million = { input = "1", output = "9" }

[[price]]
id = "a"
provider = "p"
model = "m-*"
from = "2026-01-01"
per_million = { input = "2", output = "9" }

[[price]]
id = "b"
provider = "p"
model = "m-1"
per_million = { input = "0", output = "0" }

[[price]]
id = "c"
provider = "p"
model = "m-2"
per_million = { input = "1" }
per_thousand = { requests = "1" }

[[price]]
id = "calls"
provider = "p"
model = "m-3"
per_thousand = { requests = "1" }

[[price]]
id = "units"
provider = "p"
model = "m-4"
per_million = { read_units = "1" }
"#,
    );
    let told: Vec<_> =
        oddities(&rows).into_iter().map(|it| format!("{}: {}", it.id, it.what)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    a: it is there twice from 2026-01-01 on: the later row counts
    b: it costs nothing
    c: it has no price of `output`: calls with an answer are refused, embeddings are not
    ");
    let meant = oddities(&rows).into_iter().filter(|it| it.may_be_meant);
    assert_eq!(meant.map(|it| it.id).collect::<Vec<_>>(), ["c"]);
    assert!(oddities(&rows[..1]).is_empty());
}

#[test]
fn what_is_said_of_rows_is_what_counts() {
    let row = |(id, model): (&str, &str), more: &str| {
        format!(
            "[[price]]\nid = \"{id}\"\nprovider = \"p\"\nmodel = {model}\nper_million = {{ input = 1, output = 9 }}\n{more}\n"
        )
    };
    let rows = file(
        &[
            row(("all", "\"*\""), ""),
            row(("all", "\"gpt-4o\""), ""),
            row(("gpt", "\"gpt-*\""), ""),
            row(("late", "[\"gpt-4o\", \"o3\"]"), "[price.tier.batsch.per_million]\ninput = 1"),
            row(("june", "\"gpt-4o\""), "from = \"2026-06-01\""),
        ]
        .concat(),
    );
    let told: Vec<_> =
        oddities(&rows).into_iter().map(|it| format!("{}: {}", it.id, it.what)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    gpt: `all` before it is for `gpt-*` too, so this row is never taken
    late: it is there twice without a day, the other time as `all`: the later row counts
    late: no call is known to have its tier `batsch`; known are `auto`, `batch`, `default`, `flex`, `priority`, `scale`, `standard`
    ");
    let prices = Prices::new(rows.clone());
    for (model, at, wanted) in [
        ("gpt-4o", "2026-05-31", 3),
        ("gpt-4o", "2026-06-01", 4),
        ("gpt-5", "2026-06-01", 0),
        ("o3", "2026-06-01", 3),
    ] {
        let at = day(at).start();
        let history = history(&rows, ("p", model), at);
        let marked: Vec<_> = history.iter().filter(|it| it.1).map(|it| it.0).collect();
        assert_eq!(marked, [&rows[wanted]], "{model}");
        assert_eq!(prices.find("p", model, at), Some(&rows[wanted]), "{model}");
    }
}

#[test]
fn a_model_that_is_named_in_full_is_compared_with_that_row_and_not_with_a_pattern_before_it() {
    let rows = file(
        r#"
[[price]]
id = "all"
provider = "openai"
model = "gpt-*"
per_million = { input = "1" }

[[price]]
id = "nine"
provider = "openai"
model = "gpt-9"
per_million = { input = "2" }
"#,
    );
    let (later, merged) = after(&rows, LITELLM, "2026-11-20");
    let added = merged.added.iter().find(|it| it.row.provider == "openai").unwrap();
    assert_eq!((added.row.id.as_str(), added.is_change), ("nine", true));
    let costs = |at: &str| cost(&later, ("openai", "gpt-9"), at).unwrap();
    assert_eq!([costs("2026-11-19"), costs("2026-11-20")], ["0.20 USD", "0.25 USD"]);
}
