//! Budgets and spend from a terminal: at a server, and on its machine.

use serde_json::json;

use super::Terminal;
use crate::budgets;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_of_a_server_are_set_shown_and_removed() {
    let (server, [_, bob, _]) = budgets::server().await;
    let mut terminal = Terminal::new();
    terminal.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", bob)];
    let of_shop = ["--team", "shop"];
    let nothing = terminal.says(&[&["budget", "list"], &of_shop[..]].concat());
    assert_eq!(nothing, "there is no budget; `trunkline budget set` changes that\n");
    let set = ["budget", "set", "month", "--team", "shop", "--usd", "200", "--window", "month"];
    let line = "shop/month  200.00 USD a month of team=shop\n";
    assert_eq!(terminal.says(&set), line);
    let now = server.app.now();
    let call = budgets::call("req_1", "shop", 90, now);
    budgets::spend(&server.app.store, 1, call, "shop/month").await;
    let shown = terminal.says(&["budget", "show", "month", "--team", "shop"]);
    let used = "  team=shop: 45%: 90.00 of 200.00 USD, 100 tokens, 1 requests; 0.00 USD reserved\n";
    assert_eq!(shown, format!("{line}{used}"));
    let json = terminal.json(&["budget", "show", "month", "--team", "shop"]);
    assert_eq!(
        (&json["budget"]["usd"], &json["usage"][0]["percent"]),
        (&json!("200.00"), &json!(45))
    );
    let daily = ["budget", "set", "month", "--team", "shop", "--usd", "200", "--window", "day"];
    let changed = terminal.says(&daily);
    let day =
        "shop/month  200.00 USD a day of team=shop\n  used 90.00 USD of the window that began ";
    assert!(changed.starts_with(day), "{changed}");
    assert!(changed.ends_with(" 00:00 UTC, as the ledger says\n"), "{changed}");
    assert_eq!(terminal.json(&set)["from_ledger"]["usd"], "90.00");
    assert_eq!(terminal.says(&set), line, "nothing is counted anew");
    assert_eq!(terminal.says(&["spend"]), "claude  90.00 USD  1 attempt, 70 tokens in, 30 out\n");
    let by_day = terminal.says(&["spend", "--by", "day", "--team", "shop", "--since", "7d"]);
    assert!(by_day.contains("90.00 USD"), "{by_day}");
    let in_json = terminal.json(&["spend", "--by", "day", "--team", "shop", "--since", "7d"]);
    let day = in_json[0]["name"].as_str().unwrap();
    assert!(by_day.starts_with(day) && day.len() == "2026-11-30".len(), "{in_json}");
    assert_eq!(terminal.json(&["spend", "--by", "stage"])[0]["name"], "eval");
    let wrong = terminal.complains(2, &["spend", "--by", "planet"]);
    assert!(wrong.contains("`by` is one of"), "{wrong}");
    let refused = terminal.complains(2, &["budget", "set", "all", "--usd", "1"]);
    assert!(refused.contains("owner"), "{refused}");
    terminal.says(&["budget", "remove", "month", "--team", "shop"]);
    let gone = terminal.complains(2, &["budget", "show", "month", "--team", "shop"]);
    assert!(gone.contains("this budget does not exist"), "{gone}");
}

#[tokio::test]
async fn budgets_are_set_on_the_machine_of_the_server_too() {
    let terminal = Terminal::new();
    terminal.says(&["team", "add", "shop"]);
    let scope = ["--scope", "run=*", "--tokens", "5000", "--soft"];
    let set = [&["budget", "set", "each-run", "--team", "shop"], &scope[..]].concat();
    let line = "shop/each-run  5000 tokens of run=* team=shop, only told of\n";
    assert_eq!(terminal.says(&set), line);
    assert_eq!(terminal.says(&["budget", "list"]), line);
    let shown = terminal.says(&["budget", "show", "each-run", "--team", "shop"]);
    assert_eq!(shown, format!("{line}  nothing is used of it\n"));
    let other = ["--scope", "stage=*", "--tokens", "5000", "--soft"];
    let changed =
        terminal.says(&[&["budget", "set", "each-run", "--team", "shop"], &other[..]].concat());
    let used = "  used 0.00 USD and 0 tokens so far, as the ledger says\n";
    assert_eq!(
        changed,
        format!("shop/each-run  5000 tokens of stage=* team=shop, only told of\n{used}")
    );
    let wrong = terminal.complains(2, &["budget", "set", "none", "--team", "shop"]);
    assert!(wrong.contains("a budget limits"), "{wrong}");
    let twice = ["budget", "set", "a", "--usd", "1", "--scope", "stage=a", "--scope", "stage=b"];
    let wrong = terminal.complains(2, &twice);
    assert!(wrong.contains("the scope has `stage` twice: `a` and `b`"), "{wrong}");
    let wrong = terminal.complains(2, &["budget", "set", "a", "--usd", "1", "--team", "nobody"]);
    assert!(wrong.contains("there is no team `nobody`"), "{wrong}");
    let wrong = terminal.complains(2, &["budget", "list", "--team", "nobody"]);
    assert!(wrong.contains("there is no team `nobody`"), "{wrong}");
    let scope = ["--scope", "project=shop/web", "--usd", "1"];
    let wrong =
        terminal.complains(2, &[&["budget", "set", "a", "--team", "shop"], &scope[..]].concat());
    assert!(wrong.contains("there is no project `shop/web`"), "{wrong}");
    let nothing = terminal.says(&["spend"]);
    assert!(nothing.starts_with("no call to a model was made; "), "{nothing}");
    assert!(nothing.contains("`trunkline spend --ledger FILE`"), "{nothing}");
    let wrong = terminal.complains(2, &["spend", "--by", "tags"]);
    assert!(wrong.contains("`tag`, `day`") && wrong.contains("`x-trunkline-tags`"), "{wrong}");
    terminal.says(&["budget", "remove", "each-run", "--team", "shop"]);
    let audit = terminal.says(&["audit", "--action", "budget."]);
    assert!(audit.contains("budget.delete") && audit.contains("machine:ada"), "{audit}");
}

#[test]
fn the_ledger_of_a_gateway_alone_is_summed_up_from_its_file() {
    let mut terminal = Terminal::new();
    terminal.env = vec![("TRUNKLINE_SERVER", "https://nobody.invalid".to_owned())];
    let line = |model: &str, cost: i64, tags: &str| {
        let call = json!({
            "request": "a", "attempt": 1, "at": 86_400_000, "key": "ci", "subject": {"team": "core"},
            "operation": "chat_completions", "provider": "p", "model": model, "origin": "live",
            "usage": {"input": 70, "output": 30}, "cost": cost, "avoided": 0, "tags": tags,
        });
        json!({ "call": call }).to_string()
    };
    let lines = [line("m1", 1_500_000_000, "beta"), line("m2", 500_000_000, ""), "odd".to_owned()];
    let text = format!("{}\n{{\"call\":", lines.join("\n"));
    let file = terminal.write("ledger.jsonl", &text).display().to_string();
    let spend = ["spend", "--ledger", file.as_str(), "--since", "1970-01-01"];
    let by = |more: &[&str]| terminal.output("", &[&spend[..], more].concat());
    let (said, log, code) = super::parts(&by(&[]));
    assert_eq!(
        said,
        "m1  1.50 USD  1 attempt, 70 tokens in, 30 out\nm2  0.50 USD  1 attempt, 70 tokens in, 30 out\n"
    );
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("a line of the ledger cannot be read") && log.contains("line=3"), "{log}");
    let by_tag = terminal.json(&[&spend[..], &["--by", "tag"]].concat());
    assert_eq!((&by_tag[0]["name"], by_tag.as_array().map(Vec::len)), (&json!("beta"), Some(1)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "it is only read");
    let gone = terminal.complains(2, &["spend", "--ledger", "none.jsonl"]);
    assert!(gone.contains("none.jsonl` cannot be read"), "{gone}");
    let other = terminal.write("gateway.toml", "listen = \"127.0.0.1:1\"\n").display().to_string();
    let wrong = terminal.complains(2, &["spend", "--ledger", &other]);
    assert!(wrong.contains("is no ledger"), "{wrong}");
    let server = terminal.complains(2, &["spend", "--ledger", &file, "--server", "ci.example.org"]);
    assert!(server.contains("works on this machine"), "{server}");
}

#[test]
fn where_nothing_was_kept_spend_says_where_there_may_be_something() {
    let said = Terminal::new().complains(2, &["spend"]);
    assert!(said.contains("nothing is kept in"), "{said}");
    assert!(said.contains("`trunkline spend --ledger FILE`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_capacity_of_a_model_is_measured_from_the_ledger_of_a_server_or_of_its_machine() {
    let (server, [_, bob, _]) = budgets::server().await;
    let mut elsewhere = Terminal::new();
    elsewhere.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", bob)];
    let machine = Terminal::new();
    machine.says(&["team", "add", "shop"]);
    let own = trunkline::store::Store::open(&format!(
        "sqlite:{}",
        machine.path("state/state.db").display()
    ))
    .await
    .unwrap();
    let now = server.app.now();
    for store in [&server.app.store, &own] {
        for number in 1..=120 {
            let mut call = budgets::call(&format!("req_{number}"), "shop", 1, now);
            call.at = trunkline::model::Timestamp(now.0 - 600_000 + number * 500);
            (call.status, call.total_ms, call.output_tokens) = (Some(200), 3000, 100);
            budgets::spend(store, number, call, "shop/month").await;
        }
    }
    let measured = ["capacity", "--from-store", "--model", "claude", "--throughput", "150"];
    for terminal in [&elsewhere, &machine] {
        let answer = terminal.json(&measured);
        assert_eq!(answer["measured"]["calls"], 120, "{answer}");
        assert_eq!(answer["plan"]["load"]["tokens_per_response"], 100.0);
        let said = terminal.says(&measured);
        assert!(said.contains("measured  120 calls"), "{said}");
        let none = terminal.complains(2, &[&measured[..], &["--team", "other"]].concat());
        assert!(none.contains("has no call that a provider has answered"), "{none}");
    }
    // A server in the environment is not asked where all is said.
    let given = ["capacity", "--qps", "20", "--tokens", "350", "--throughput", "2500"];
    let said = elsewhere.says(&given);
    assert!(said.starts_with("4 replicas") && !said.contains("measured"), "{said}");
}
