//! Calls to models from a terminal: at a server, and on its machine.

use super::Terminal;
use crate::{spans, traced};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_server_are_listed_and_shown_as_trees() {
    let (server, [_, dev, _]) = traced::server().await;
    let mut terminal = Terminal::new();
    terminal.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", dev)];
    let newest = terminal.says(&["traces", "-n", "1", "--status", "ok"]);
    let (_, line) = newest.split_once("  ").unwrap();
    assert_eq!(
        line,
        "req_4  gpt at openai  200  240 ms  70+30 tokens  0.09 USD  2 attempts  endpoint search\n"
    );
    assert_eq!(terminal.json(&["traces", "--since", "1h"]).as_array().unwrap().len(), 5);
    assert_eq!(
        terminal.says(&["traces", "--model", "x"]),
        "no such call to a model was traced, and no such span of an app\n"
    );
    insta::assert_snapshot!(terminal.says(&["traces", "req_1"]), @r"
    trace 4bf92f3577b34da6a3ce929d0e0e4736
    req_1  chat gpt  200  240 ms  first token 150 ms  70+30 tokens  0.0025 USD
      - 0.0 ms  guardrail action redact, count 2, found pii_email, rule people, way in
      - 0.5 ms  cache miss
      #1 openai  chat gpt  500  4.0 ms
      #2 openai  chat gpt  200  140 ms  finish tool_calls
        - 140 ms  tool call id call_1, name search
      > user: <b>Hi</b>
      < assistant: Hello.
      (cut)
    ");
    assert_eq!(terminal.json(&["traces", traced::TRACE])["calls"][4]["id"], "req_5");
    let gone = terminal.complains(2, &["traces", "req_6"]);
    assert!(gone.contains("this trace does not exist"), "{gone}");
    assert!(gone.contains("in a process that died leaves no trace"), "{gone}");
    let wrong = terminal.complains(2, &["traces", "--min-usd", "much"]);
    assert!(wrong.contains("`min_usd` is a number"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_an_app_stand_between_its_calls() {
    let (server, [_, dev, _]) = spans::server().await;
    let mut terminal = Terminal::new();
    terminal.env = vec![("TRUNKLINE_SERVER", server.url.clone()), ("TRUNKLINE_TOKEN", dev)];
    let newest = terminal.says(&["traces", "-n", "1"]);
    let (_, line) = newest.split_once("  ").unwrap();
    assert_eq!(
        line,
        "spn_00000000000000000000000000000004  shop-app  agent alone  12 ms  endpoint search\n"
    );
    insta::assert_snapshot!(terminal.says(&["traces", spans::OWN]), @r"
    trace 5bf92f3577b34da6a3ce929d0e0e4736
    shop-app  agent alone  12 ms
      - 0.5 ms  retry
      shop-app  retrieval SELECT more  postgresql  12 ms
        - 0.5 ms  retry
    ");
    let tree = terminal.says(&["traces", traced::TRACE]);
    let lines = tree.lines().filter(|it| it.contains("shop-app") || it.contains("req_"));
    let heads: Vec<_> = lines.map(|it| it.split("  chat gpt").next().unwrap()).collect();
    insta::assert_snapshot!(heads.join("\n"), @r"
    shop-app  agent plan  12 ms
      req_1
      shop-app  tool <b>search  12 ms
        shop-app  retrieval SELECT docs  postgresql  12 ms
      req_2
      req_3
      req_4
      req_5
    ");
    assert!(tree.contains("> user: <i>Find it</i>"), "{tree}");
}

#[tokio::test]
async fn calls_are_shown_on_the_machine_of_the_server_too() {
    let terminal = Terminal::new();
    terminal.says(&["team", "add", "shop"]);
    assert_eq!(
        terminal.says(&["traces"]),
        "no such call to a model was traced, and no such span of an app\n"
    );
    let gone = terminal.complains(2, &["traces", "req_1"]);
    assert!(gone.contains("there is no trace `req_1`"), "{gone}");
    assert!(gone.contains("`trunkline spend` a minute later, as of processes that died"), "{gone}");
}
