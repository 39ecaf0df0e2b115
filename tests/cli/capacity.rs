//! `trunkline capacity`: the example of its page, and a ledger.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn capacity(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.env_clear().env("HOME", folder).current_dir(folder);
    command.arg("capacity").args(arguments).output().unwrap()
}

fn says(folder: &Path, arguments: &[&str]) -> String {
    let output = capacity(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_example_of_the_documentation_says_what_is_shown() {
    let page = std::fs::read_to_string("docs/capacity.md").unwrap();
    let (_, example) = page.split_once("```console\n$ trunkline capacity ").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let (arguments, shown) = example.split_once('\n').unwrap();
    let folder = tempfile::tempdir().unwrap();
    let arguments: Vec<_> = arguments.split(' ').collect();
    assert_eq!(says(folder.path(), &arguments), shown);
}

#[test]
fn a_figure_that_cannot_be_is_refused_in_the_words_of_its_option() {
    let folder = tempfile::tempdir().unwrap();
    let figures = ["--qps", "20", "--tokens", "350", "--throughput", "2500"];
    for (option, value, said) in [
        ("--headroom", "1001", "`--headroom` is 0 to 1000 percent, and not 1001"),
        ("--headroom=-1", "", "`--headroom` is 0 to 1000 percent, and not -1"),
        ("--slots", "0.5", "`--slots` is 1 or more, and not 0.5"),
        ("--serving", "0", "invalid value '0' for '--serving <COUNT>'"),
    ] {
        let given: Vec<_> = [option, value].into_iter().filter(|it| !it.is_empty()).collect();
        let output = capacity(folder.path(), &[&figures[..], &given[..]].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said), "{told}");
    }
}

/// Two calls a second for two minutes, of three seconds and 100 tokens each; and calls that do not count.
fn ledger(folder: &Path) {
    let call = |at: i64, model: &str, origin: &str, status: u16| {
        serde_json::json!({"call": {"request": "r", "attempt": 1, "at": at, "key": "k", "subject": {"team": "core"},
            "operation": "messages", "provider": "p", "model": model, "origin": origin, "status": status,
            "usage": {"input": 1000, "output": 100}, "cost": 2_000_000, "total_ms": 3000}})
    };
    let counted = (0..240).map(|it| call(it * 500, "own", "live", 200).to_string());
    let others = [
        call(1, "other", "live", 200),
        call(1, "own", "cassette", 200),
        call(1, "own", "live", 500),
    ];
    let lines = counted.chain(others.iter().map(Value::to_string)).chain(["half a li".to_owned()]);
    std::fs::write(folder.join("ledger.jsonl"), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

#[test]
fn a_ledger_says_how_large_the_load_is() {
    let folder = tempfile::tempdir().unwrap();
    ledger(folder.path());
    let arguments = ["--ledger", "ledger.jsonl", "--model", "own", "--throughput", "150", "--json"];
    let answer: Value = serde_json::from_str(&says(folder.path(), &arguments)).unwrap();
    assert_eq!(answer["measured"]["calls"], 240);
    assert_eq!(answer["plan"]["load"]["qps"], 2.0);
    assert_eq!(answer["plan"]["in_flight"], 6.0);
    assert_eq!(answer["plan"]["replicas"], 2, "2 x 100 / 150 x 1.3 = 1.73");
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("3.0 calls"), "{warnings}");
    let a_month = answer["calls_a_month"].as_i64().unwrap();
    // Two calls a second of 0.002 USD: 10,512 USD a month.
    assert!((10_200..10_600).contains(&(a_month / 1_000_000_000)), "{a_month}");
}

#[test]
fn calls_that_took_next_to_no_time_say_what_they_cannot_tell() {
    let folder = tempfile::tempdir().unwrap();
    let of = |total_ms: u64, more: &[&str]| {
        let line = serde_json::json!({"call": {"at": 5, "subject": {}, "model": "own", "origin": "live", "status": 200,
            "usage": {"input": 10, "output": 100}, "cost": 1, "total_ms": total_ms}});
        std::fs::write(folder.path().join("ledger.jsonl"), format!("{line}\n")).unwrap();
        says(folder.path(), &[&["--ledger", "ledger.jsonl"], more].concat())
    };
    let nothing = of(0, &[]);
    assert!(
        nothing.starts_with("2 replicas for 1 calls a second with 100 tokens each"),
        "{nothing}"
    );
    assert!(nothing.contains("took less than a millisecond"), "{nothing}");
    assert!(nothing.contains("lie within 0.001 s, which is no load"), "{nothing}");
    assert!(!nothing.contains("at once"), "{nothing}");
    let little = of(2, &[]);
    assert!(little.contains("(a call takes 0.002 s)"), "{little}");
    assert!(little.contains("took 2 ms on average"), "{little}");
    let given = of(0, &["--seconds", "3"]);
    assert!(!given.contains("millisecond") && given.contains("(a call takes 3 s)"), "{given}");
}

#[test]
fn a_burst_that_is_all_there_is_says_that_it_is_no_load() {
    let folder = tempfile::tempdir().unwrap();
    let of = |calls: i64, every_ms: i64, more: &[&str]| {
        let line = |at: i64| {
            serde_json::json!({"call": {"at": at, "subject": {}, "model": "own", "origin": "live", "status": 200,
                "usage": {"input": 10, "output": 100}, "cost": 2_000_000, "total_ms": 20}})
        };
        let lines = (0..calls).map(|it| line(it * every_ms).to_string()).collect::<Vec<_>>();
        std::fs::write(folder.path().join("ledger.jsonl"), lines.join("\n")).unwrap();
        says(folder.path(), &[&["--ledger", "ledger.jsonl"], more].concat())
    };
    let burst = of(60, 10, &[]);
    assert!(burst.contains("lie within 0.61 s, which is no load"), "{burst}");
    assert!(burst.contains("were as these: give `--average-qps`"), "{burst}");
    assert!(!of(60, 10, &["--average-qps", "0.1"]).contains("were as these"));
    let short = of(100, 500, &[]);
    assert!(short.contains("lie within 49.52 s"), "{short}");
    let long = of(200, 500, &[]);
    assert!(!long.contains("no load") && !long.contains("were as these"), "{long}");
}

#[test]
fn what_is_missing_or_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    ledger(folder.path());
    let wrong = |arguments: &[&str]| {
        let output = capacity(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(wrong(&["--qps", "1"]).contains("`--tokens` is not known"));
    let none = wrong(&["--ledger", "ledger.jsonl", "--model", "none"]);
    assert!(none.contains("no call that a provider has answered"), "{none}");
    let zero = wrong(&["--qps", "0", "--tokens", "1", "--throughput", "1"]);
    assert!(zero.contains("the calls a second must be a number above 0"), "{zero}");
}

#[test]
fn calls_are_priced_by_a_price_file() {
    let folder = tempfile::tempdir().unwrap();
    let prices = "version = 1\ncurrency = \"USD\"\n[[price]]\nid = \"a\"\nprovider = \"p\"\nmodel = \"m\"\n\
                  per_million = { input = 1, output = 10 }\n";
    std::fs::write(folder.path().join("prices.toml"), prices).unwrap();
    let arguments = "--qps 2 --tokens 100 --throughput 150 --prices prices.toml --provider p --model m --input-tokens 1000";
    let text = says(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
    // A call costs 0.001 + 0.001 USD.
    assert!(text.contains("a month   10512.00 USD by the token, at 2 calls a second"), "{text}");
}
