//! Every example, as somebody runs it who has just cloned it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trunkline::model::RunStatus;

use crate::bench::{Bench, Finished};
use crate::docker;
use crate::flow::wait_until;

const KEY: &str = "MODEL_API_KEY=only-for-the-stand-in";

#[test]
fn hello_greets_and_hands_its_greeting_on() {
    if !docker::is_here() {
        return;
    }
    let bench = bench_of("hello");
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.story(), "greet: passed\nread: passed");
    assert!(bench.log("greet").starts_with("Hello from "));
    assert_eq!(bench.log("read"), bench.log("greet"));
}

#[test]
fn the_assistant_is_released_when_it_was_approved_and_what_has_not_changed_is_reused() {
    if !docker::has_image("trunkline/python:local") {
        return;
    }
    let bench = bench_of("assistant");
    let child = bench.command(&["run", "--event", "push", "--secret", KEY]).spawn().unwrap();
    wait_until(&bench, RunStatus::Waiting);
    let approval = ["approve", "last", "approve", "--team", "team/assistant", "-m", "go"];
    bench.trunkline(&approval).expect_code(0);
    let first = Finished::from(child.wait_with_output().unwrap()).expect_code(0);
    let story = bench.story();
    assert!(story.lines().all(|it| it.ends_with(": passed")), "{story}");
    assert_eq!(story.lines().count(), 13, "{story}");
    assert!(first.stdout.contains("unit (42): 114 passed, 0 failed"), "{}", first.stdout);
    assert!(first.stdout.contains("eval: f1 is 0.9"), "{}", first.stdout);
    // Replayed: metered, for nothing.
    let calls = first.stdout.lines().find(|it| it.contains("eval: 69 calls,"));
    let calls = calls.unwrap_or_else(|| panic!("no calls in {}", first.stdout));
    assert!(calls.contains(", 0 USD, 0.00") && calls.ends_with("USD avoided"), "{calls}");

    let second = bench.run(&["--secret", KEY]).expect_code(0).stdout;
    assert_eq!(second.matches("unchanged: an earlier result is reused").count(), 3, "{second}");
    assert!(bench.story().contains("approve: skipped"), "{}", bench.story());
    let left = docker::things_of(&bench.instance());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_assistant_that_cites_no_more_is_not_released() {
    if !docker::has_image("trunkline/python:local") {
        return;
    }
    let bench = bench_of("assistant");
    let prompt = bench.repository().join("prompts/answer.md");
    let text = std::fs::read_to_string(prompt).unwrap();
    assert!(text.contains("cite"), "{text}");
    bench.write("prompts/answer.md", &text.replace("cite", "mention"));
    bench.run(&["--stage", "release", "--secret", KEY]).expect_code(1);
    let story = bench.story();
    for part in [
        "eval: failed, user: step `golden questions` exited with 1",
        "this call was not recorded in `cassettes/assistant/eval.jsonl`",
        "messages[0].content: recorded ",
    ] {
        assert!(story.contains(part), "no `{part}` in {story}");
    }

    // Another prompt is asked anew, and only what is new.
    let model = ModelServer::start(&bench);
    let again = ["--stage", "release", "--secret", KEY, "--model-calls", "replay_or_record"];
    let run = bench.run(&again).expect_code(1);
    drop(model);
    assert!(run.stdout.contains("citation_coverage"), "{}", run.stdout);
    let story = bench.story();
    assert!(story.contains("eval: failed, gate: "), "{story}");
    assert!(story.contains("release: skipped"), "{story}");
    let calls = bench.last_run().unwrap();
    let eval = calls.run.plan().stages.iter().position(|it| it.key == "eval").unwrap();
    let metrics = &calls.run.stage(crate::bench::place(eval)).unwrap().outcome().unwrap().metrics;
    assert!(metrics["llm_cost_usd"] > 0.0 && metrics["llm_avoided_usd"] > 0.0, "{metrics:?}");
    let cassette = bench.repository().join("cassettes/assistant/eval.jsonl");
    assert!(std::fs::read_to_string(cassette).unwrap().contains("mention"));
}

/// The example's stand-in for a vendor, on this machine.
struct ModelServer(std::process::Child);

impl ModelServer {
    fn start(bench: &Bench) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = bench.repository().join("trunkline.gateway.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let own = text.replace("127.0.0.1:8000", &format!("127.0.0.1:{port}"));
        bench.write("trunkline.gateway.toml", &own);
        let mut command = Command::new("python3");
        command.args(["-m", "model_server"]).current_dir(bench.repository());
        command.env("PORT", port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().unwrap());
        let started = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed().as_secs() < 30, "the model server does not start");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        server
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_python_library_of_strangers_goes_through_a_pipeline() {
    let address = "https://pypi.org/simple/toolz/";
    if !docker::has_image("trunkline/python:local") || !is_reachable(address) {
        return;
    }
    let told = run_third_party("python");
    for flags in ["-X utf8", "-X dev", "-bb"] {
        let counts = format!("unit ({flags}): 180 passed, 0 failed, 0 skipped");
        assert!(told.contains(&counts), "no `{counts}` in {told}");
    }
    assert!(told.contains("✓ lint: findings is "), "{told}");
}

#[test]
fn a_rust_library_of_strangers_goes_through_a_pipeline() {
    let address = "https://index.crates.io/se/mv/semver";
    if !docker::has_image("trunkline/rust:local") || !is_reachable(address) {
        return;
    }
    let told = run_third_party("rust");
    for features in ["--features default", "--no-default-features", "--features serde"] {
        let counts = format!("unit ({features}): 34 passed, 0 failed, 0 skipped");
        assert!(told.contains(&counts), "no `{counts}` in {told}");
    }
}

/// A repository with a copy of an example.
fn bench_of(example: &str) -> Bench {
    let bench = Bench::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(from.join(".")).arg(bench.repository());
    assert!(copy.status().unwrap().success(), "{copy:?}");
    bench.git(&["add", "-A"]);
    bench.git(&["commit", "-q", "-m", example]);
    bench
}

/// Runs the example's own script, and gives what it said.
fn run_third_party(kind: &str) -> String {
    let work = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("third-party-{kind}"));
    let state = tempfile::tempdir().unwrap();
    let mut script = Command::new("examples/third-party/run");
    script.arg(kind).env("TRUNKLINE", env!("CARGO_BIN_EXE_trunkline")).env("WORK", work);
    script.env("TRUNKLINE_STATE", state.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
    Finished::from(script.stdin(Stdio::null()).output().unwrap()).expect_code(0).stdout
}

/// Whether a registry answers; without one there is nothing to fetch, on a laptop as in CI.
fn is_reachable(address: &str) -> bool {
    let mut curl = Command::new("curl");
    curl.args(["-sf", "--retry", "2", "--max-time", "20", "-o", "/dev/null", address]);
    let is_reachable = curl.status().is_ok_and(|it| it.success());
    if !is_reachable {
        eprintln!("SKIPPED: `{address}` cannot be reached");
    }
    is_reachable
}
