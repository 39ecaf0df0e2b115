//! `trunkline prices` and `trunkline cassette`: what others have written down becomes ours.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn trunkline(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.env_clear().env("HOME", folder).current_dir(folder);
    command.args(arguments).output().unwrap()
}

fn says(folder: &Path, arguments: &[&str]) -> String {
    let output = trunkline(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn complains(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = trunkline(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text + &String::from_utf8_lossy(&output.stdout)
}

/// A list as `LiteLLM` has it, in which a model costs so much a token.
fn list(folder: &Path, input: f64) {
    let list = json!({
        "gpt-9": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": input, "output_cost_per_token": 1e-5 },
        "claude-x": { "litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-6 },
        "painter": { "litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.1 },
    });
    std::fs::write(folder.join("list.json"), list.to_string()).unwrap();
}

#[test]
fn a_list_comes_in_as_dated_rows_and_what_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    list(folder, 2.5e-6);
    let dry = says(folder, &["prices", "import", "list.json", "--from", "2026-11-01", "--dry-run"]);
    let said = "`prices.toml` would get 2 rows of the list of litellm from 2026-11-01 on: 2 new, 0 changed; 0 as before\n";
    assert_eq!(
        dry,
        format!("{said}  skipped, calls for `image_generation` are not metered: `painter`\n")
    );
    assert!(!folder.join("prices.toml").exists());
    says(folder, &["prices", "import", "list.json", "--from", "2026-11-01"]);
    let file = folder.join("prices.toml");
    let first = std::fs::read_to_string(&file).unwrap() + "\n# ours: not to be touched\n";
    std::fs::write(&file, &first).unwrap();
    let import = ["prices", "import", "list.json", "--from", "2026-11-15", "--provider", "openai"];
    let same = says(folder, &import);
    assert!(same.contains("has got 0 rows") && same.contains("1 as before"), "{same}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first, "nothing is written");
    list(folder, 4e-6);
    let changed = says(folder, &import);
    let row = "  changed  openai/gpt-9  from 2026-11-15  input 4, output 10 USD a million tokens\n";
    assert!(changed.contains("0 new, 1 changed") && changed.contains(row), "{changed}");
    let second = std::fs::read_to_string(&file).unwrap();
    assert!(second.starts_with(first.trim_end()), "{second}");
    let shown = says(folder, &["prices", "show", "gpt-9", "--at", "2026-11-20"]);
    let old = "  openai/gpt-9  from 2026-11-01  input 2.5, output 10 USD a million tokens\n";
    let new = "* openai/gpt-9  from 2026-11-15  input 4, output 10 USD a million tokens\n";
    assert_eq!(shown, format!("{old}{new}"));
    let before = says(folder, &["prices", "show", "gpt-9", "--at", "2026-11-14", "--json"]);
    let before: Value = serde_json::from_str(&before).unwrap();
    assert_eq!((&before[0]["holds"], &before[1]["holds"]), (&json!(true), &json!(false)));
    // It may be one of embeddings, so that alone is no failure.
    let odd = "anthropic/claude-x: it has no price of `output`: calls with an answer are refused, embeddings are not";
    let checked = format!("{odd}\n`prices.toml`: 3 rows, 1 odd\n");
    assert_eq!(says(folder, &["prices", "check"]), checked);
    let json = says(folder, &["prices", "import", "list.json", "--json", "--from", "2026-11-15"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["added"], &json["unchanged"]), (&json!([]), &json!(2)));
}

#[test]
fn what_a_filter_names_is_taken_or_told_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    list(folder, 2.5e-6);
    let said = says(folder, &["prices", "import", "list.json", "--model", "painter"]);
    let skipped = "  skipped, calls for `image_generation` are not metered: `painter`\n";
    assert!(said.contains("has got 0 rows") && said.ends_with(skipped), "{said}");
    let said = says(folder, &["prices", "import", "list.json", "--model", "claude-*"]);
    assert!(said.contains("has got 1 row ") && !said.contains("skipped"), "{said}");
    for (arguments, why, help) in [
        (["--provider", "opnai"], "`list.json` has no provider `opnai`", "the list has `openai`"),
        (["--model", "gtp*"], "`list.json` has no model `gtp*`", "the list has `gpt-9`"),
        (["--model", "zzz"], "`list.json` has no model `zzz`", "look at how the list spells it"),
    ] {
        let import = [["prices", "import", "list.json"].as_slice(), arguments.as_slice()].concat();
        let said = complains(folder, 2, &import);
        assert!(said.contains(why) && said.contains(help), "{said}");
    }
}

#[test]
fn a_new_price_with_an_id_of_its_own_is_the_one_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let row = |id: &str, model: &str, more: &str| {
        format!("[[price]]\nid = \"{id}\"\nprovider = \"openai\"\nmodel = \"{model}\"\n{more}\n")
    };
    let rows = [
        row("all", "*", "per_million = { input = 1, output = 9 }"),
        row("january", "gpt-4o", "from = \"2026-01-01\"\nper_million = { input = 2, output = 9 }"),
        row("june", "gpt-4o", "from = \"2026-06-01\"\nper_million = { input = 4, output = 9 }"),
    ];
    let text = format!("version = 1\ncurrency = \"USD\"\n{}", rows.concat());
    std::fs::write(folder.join("prices.toml"), &text).unwrap();
    assert_eq!(says(folder, &["prices", "check"]), "`prices.toml`: 3 rows, nothing is odd\n");
    let all = "  all  always  input 1, output 9 USD a million tokens  (for `*`)\n";
    let january = "january  from 2026-01-01  input 2, output 9 USD a million tokens\n";
    let june = "june  from 2026-06-01  input 4, output 9 USD a million tokens\n";
    let show = |day| says(folder, &["prices", "show", "gpt-4o", "--at", day]);
    assert_eq!(show("2026-11-01"), format!("{all}  {january}* {june}"));
    assert_eq!(show("2026-05-31"), format!("{all}* {january}  {june}"));
    let wrong = text.replace("input = 4", "input = \"four\"");
    std::fs::write(folder.join("prices.toml"), wrong).unwrap();
    let said = complains(folder, 2, &["prices", "check"]);
    let place = "`[[price]]` 3 (`june`), `per_million.input`: `four` is not an amount of dollars";
    assert!(said.contains(place), "{said}");
}

#[test]
fn how_long_the_answers_of_a_model_get_comes_with_its_price() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let price = json!({ "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-5 });
    let litellm = |tokens: Value| {
        let mut model = price.clone();
        model["max_output_tokens"] = tokens;
        std::fs::write(folder.join("list.json"), json!({ "gpt-9": model }).to_string()).unwrap();
    };
    let rows = "input 1, output 10 USD a million tokens";
    let import = |day: &str| says(folder, &["prices", "import", "list.json", "--from", day]);
    litellm(json!("as the window"));
    import("2026-11-01");
    litellm(json!(16384));
    let added = import("2026-11-02");
    assert!(added.contains("0 new, 1 changed"), "{added}");
    let old = format!("  openai/gpt-9  from 2026-11-01  {rows}\n");
    let new = format!("* openai/gpt-9  from 2026-11-02  {rows}; 16384 tokens an answer at most\n");
    assert_eq!(says(folder, &["prices", "show", "gpt-9"]), format!("{old}{new}"));
    litellm(Value::Null);
    let same = import("2026-11-03");
    assert!(same.contains("1 as before"), "a list that does not know takes nothing back: {same}");
    let dearer = json!({ "gpt-9": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-6 } });
    std::fs::write(folder.join("list.json"), dearer.to_string()).unwrap();
    import("2026-11-04");
    let shown = says(folder, &["prices", "show", "gpt-9", "--at", "2026-11-05"]);
    let last = "input 2 USD a million tokens; 16384 tokens an answer at most\n";
    assert!(shown.ends_with(last), "with a new price neither: {shown}");
    let dev = json!({ "openai": { "models": { "gpt-8": { "cost": { "input": 1, "output": 10 }, "limit": { "output": 8192 } } } } });
    std::fs::write(folder.join("list.json"), dev.to_string()).unwrap();
    import("2026-11-03");
    let shown = says(folder, &["prices", "show", "gpt-8"]);
    assert!(shown.ends_with("; 8192 tokens an answer at most\n"), "{shown}");
    let file = folder.join("prices.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("max_output = 8192", "max_output = 0")).unwrap();
    let said = complains(folder, 2, &["prices", "check"]);
    let place =
        "`[[price]]` 4 (`openai/gpt-8`), `max_output`: `0` is not a number of tokens from 1 on";
    assert!(said.contains(place), "{said}");
}

#[test]
fn a_file_in_json_gets_rows_too_and_mistakes_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    list(folder, 2.5e-6);
    says(folder, &["prices", "import", "list.json", "--into", "p.json", "--from", "2026-11-01"]);
    let shown = says(folder, &["prices", "show", "claude-x", "--prices", "p.json"]);
    assert_eq!(shown, "* anthropic/claude-x  from 2026-11-01  input 3 USD a million tokens\n");
    let none = complains(folder, 2, &["prices", "show", "gone", "--prices", "p.json"]);
    assert!(none.contains("`p.json` has no price of `gone`"), "{none}");
    let none = complains(folder, 2, &["prices", "show", "gpt-9", "--prices", "gone.toml"]);
    assert!(none.contains("`gone.toml` cannot be read"), "{none}");
    std::fs::write(folder.join("odd.json"), "{\"a\": 1}").unwrap();
    let odd = complains(folder, 2, &["prices", "import", "odd.json"]);
    assert!(odd.contains("it looks like none of the lists that are known"), "{odd}");
    std::fs::write(folder.join("prices.toml"), "version = 2\n").unwrap();
    let wrong = complains(folder, 2, &["prices", "import", "list.json"]);
    assert!(wrong.contains("the prices `prices.toml` are wrong"), "{wrong}");
    let twice = "version = 1\ncurrency = \"USD\"\n".to_owned()
        + &"[[price]]\nid = \"a\"\nprovider = \"p\"\nmodel = \"m\"\nper_million = { input = \"1\" }\n".repeat(2);
    std::fs::write(folder.join("prices.toml"), twice).unwrap();
    let odd = complains(folder, 2, &["prices", "check"]);
    assert!(odd.contains("a: it is there twice without a day: the later row counts"), "{odd}");
}

const RECORDING: &str = r#"
interactions:
- request:
    method: POST
    uri: https://api.example.com/v1/chat/completions
    body: '{"model": "m", "messages": [{"role": "user", "content": "write to ada@example.org"}]}'
    headers:
      authorization: [Bearer sk-verysecretkeyverysecretkey]
  response:
    status: {code: 200, message: OK}
    headers:
      content-type: [application/json]
    body: {string: '{"choices": []}'}
"#;

#[test]
fn a_recording_of_another_tool_becomes_a_cassette() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("chat.yaml"), RECORDING).unwrap();
    let import = ["cassette", "import", "chat.yaml", "--into", "cassettes/chat.jsonl"];
    assert_eq!(says(folder, &import), "`cassettes/chat.jsonl` has got 1 of 1 calls\n");
    let cassette = std::fs::read_to_string(folder.join("cassettes/chat.jsonl")).unwrap();
    let entry: Value = serde_json::from_str(&cassette).unwrap();
    assert_eq!(
        (&entry["path"], &entry["response"]["status"]),
        (&json!("/v1/chat/completions"), &json!(200))
    );
    assert!(!cassette.contains("sk-very") && !cassette.contains("ada@example.org"), "{cassette}");
    assert_eq!(
        says(folder, &import),
        "`cassettes/chat.jsonl` has got 0 of 1 calls, 1 were there\n"
    );
    std::fs::write(folder.join("chat.yaml"), RECORDING.replace("[]}'}", "[1]}'}")).unwrap();
    says(folder, &import);
    let cassette = std::fs::read_to_string(folder.join("cassettes/chat.jsonl")).unwrap();
    assert_eq!(cassette.lines().count(), 2, "another answer to the same call comes behind it");
    assert!(cassette.contains("\"repeat\":2"), "{cassette}");
    std::fs::write(folder.join("bad.yaml"), "a: 1").unwrap();
    let bad = complains(folder, 2, &["cassette", "import", "bad.yaml", "--into", "c.jsonl"]);
    assert!(bad.contains("there is no list of `interactions`"), "{bad}");
}
