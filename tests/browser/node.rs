//! A journey through the pages: a script that Node.js runs, with Chromium in its hands.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::bench::setting;
use crate::docker;

/// What `deploy/setup browser` records.
const PARTS: [&str; 3] = ["TEST_CHROMIUM", "TEST_NODE", "TEST_BROWSER_MODULES"];

/// Whether there is a browser. What is not there is skipped aloud on a laptop and fails in CI.
pub(crate) fn is_here() -> bool {
    let is_there = |name: &&str| {
        setting::<String>(name).is_some_and(|path| std::path::Path::new(&path).exists())
    };
    let Some(missing) = PARTS.iter().find(|it| !is_there(it)) else { return true };
    assert!(!docker::is_ci(), "`{missing}` is not set; run `deploy/setup browser`");
    eprintln!("SKIPPED: `{missing}` is not set; `deploy/setup browser` installs a browser");
    false
}

/// Runs `tests/browser/journeys/<name>.mjs`, which knows `facts`; `answer` does what it asks for outside of the browser.
#[track_caller]
pub(crate) fn travel(name: &str, facts: &Value, mut answer: impl FnMut(&[Value]) -> Value) {
    let pictures = format!("{}/browser/{name}", env!("CARGO_TARGET_TMPDIR"));
    let mut command = Command::new(setting::<String>("TEST_NODE").unwrap());
    command.arg(format!("tests/browser/journeys/{name}.mjs"));
    command.env("JOURNEY", facts.to_string()).env("JOURNEY_FOLDER", pictures);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    talk(&mut child, &mut answer);
    let status = child.wait().unwrap();
    assert!(status.success(), "the journey `{name}` went wrong; what was seen is told above");
}

/// Until it has nothing more to ask.
fn talk(child: &mut Child, answer: &mut impl FnMut(&[Value]) -> Value) {
    let mut stdin = child.stdin.take().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(question) = line.strip_prefix("ask ") else {
            println!("{line}");
            continue;
        };
        let question: Vec<Value> = serde_json::from_str(question).unwrap();
        let said = answer(&question);
        writeln!(stdin, "{said}").unwrap();
    }
}

/// For journeys that ask for nothing.
pub(crate) fn asks_nothing(question: &[Value]) -> Value {
    panic!("nobody answers {question:?}")
}
