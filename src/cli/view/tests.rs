use std::sync::Arc;

use super::*;
use crate::cli::output::Output;
use crate::engine::{AttemptOutcome, Command, Run, TestCounts};
use crate::model::{AttemptName, CaseOutcome, Digest, FailureClass, RunId};
use crate::pipeline::{Context, Selection, SourceFile};
use crate::runs::view::{CaseView, Surroundings};

const PIPELINE: &str = r#"
version: 1
name: assistant
on: { push: {} }
defaults: { image: "busybox:stable", retry: { max: 1, on: [infra] } }
stages:
  lint: { if: 'event == "pull_request"', run: lint }
  unit:
    matrix: { python: ["3.10", "3.11", "3.12", "3.13"] }
    steps: [{ name: install, run: pip }, { name: pytest, run: pytest }]
  eval:
    run: evaluate
    gate: { f1: ">= 0.85", cost: "<= 0.01" }
  scan: { run: scan, allow_failure: { reason: later } }
  approve: { needs: [scan], approval: { count: 1 } }
  deploy: { needs: [unit, eval, approve], run: deploy }
"#;

/// A run whose life is told by commands, one second apart.
struct World {
    run: Run,
    now: Timestamp,
    lines: Vec<String>,
    style: line::Style,
}

impl World {
    fn new() -> Self {
        Self::of(PIPELINE)
    }

    fn of(text: &str) -> Self {
        let source = SourceFile { name: "ci.yml".to_owned(), text: text.to_owned() };
        let checked = crate::pipeline::check(source, &|_| Err("none".to_owned()));
        let mut context = Context { event: "push".to_owned(), ..Context::default() };
        context.git.branch = "main".to_owned();
        context.git.sha = "3f2a1c9d00112233445566778899aabbccddeeff".to_owned();
        context.git.message = "Add retrieval".to_owned();
        let pipeline = checked.pipeline.expect("a good pipeline");
        let plan = pipeline.plan(&context, &Selection::All).expect("a plan");
        let run = Run::new(RunId("r1".to_owned()), Arc::new(plan), Arc::new(context));
        let output =
            Output { paint: Paint::default(), json: false, is_live: false, utc_offset_seconds: 0 };
        let style = line::Style::of(&RunView::new(&run, nowhere(), Timestamp(0)), "", &output);
        let mut world = Self { run, now: Timestamp(0), lines: Vec::new(), style };
        world.order(&Command::TakeLease {
            epoch: 1,
            owner: "process 1".to_owned(),
            instance: String::new(),
        });
        world
    }

    fn order(&mut self, command: &Command) {
        let events = self.run.decide(command, self.now).expect("the command is accepted");
        for event in events {
            self.run.apply(&event, self.now);
            let shown = line::of_event(&self.outline(), (&event, self.now), &self.style);
            self.lines.extend(shown);
        }
        self.now = Timestamp(self.now.0 + 1000);
    }

    fn index(&self, key: &str) -> StageIndex {
        let place = self.run.plan().stages.iter().position(|it| it.key == key);
        StageIndex(u32::try_from(place.expect("a stage")).unwrap())
    }

    fn start(&mut self, key: &str) {
        self.order(&Command::StartAttempt { stage: self.index(key), epoch: 1 });
    }

    fn step(&mut self, key: &str, step: u32) {
        let attempt = self.attempt(key);
        self.order(&Command::StartStep { attempt, step, epoch: 1 });
    }

    fn finish(&mut self, key: &str, outcome: AttemptOutcome) {
        let attempt = self.attempt(key);
        self.order(&Command::FinishAttempt { attempt, outcome, epoch: 1 });
    }

    fn attempt(&self, key: &str) -> AttemptName {
        let stage = self.index(key);
        let attempts = self.run.stage(stage).unwrap().attempts.len();
        let attempt = u32::try_from(attempts).unwrap();
        AttemptName { run: self.run.id().clone(), stage, attempt }
    }

    fn outline(&self) -> RunView {
        RunView::new(&self.run, nowhere(), self.now)
    }

    fn tree(&self, height: usize) -> String {
        let tail = "\x1b[32mcollected\x1b[0m 12 items\r\n".to_owned();
        let tails = BTreeMap::from([(self.index("unit (3.11)"), tail)]);
        let outline = self.outline();
        tree::lines(View { tails: &tails, ..view(&outline) }, height).join("\n")
    }

    fn summary(&self) -> String {
        let log = vec!["Traceback:".to_owned(), "\tFileNotFoundError: models.lock".to_owned()];
        let logs = BTreeMap::from([(self.index("scan"), log)]);
        let ends = summary::Ends { logs, ..summary::Ends::default() };
        summary::lines(view(&self.outline()), &ends).join("\n")
    }
}

fn nowhere() -> Surroundings<'static> {
    Surroundings {
        number: 12,
        project: "",
        repository: "/repository",
        created_at: Timestamp(0),
        is_interrupted: false,
        events: 0,
    }
}

static NO_TAILS: BTreeMap<StageIndex, String> = BTreeMap::new();

fn view(run: &RunView) -> View<'_> {
    let now =
        Timestamp(run.started_at.unwrap_or_default().0 + i64::try_from(run.duration_ms.0).unwrap());
    View {
        run,
        now,
        tails: &NO_TAILS,
        paint: Paint::default(),
        keeps_containers: true,
        server: "",
        given: "",
        columns: 100,
    }
}

fn passed() -> AttemptOutcome {
    AttemptOutcome { exit_code: Some(0), ..AttemptOutcome::default() }
}

/// In the middle: one cell passed, one runs, one is tried again, the scan failed and may.
fn in_the_middle() -> World {
    let mut world = World::new();
    for key in ["unit (3.10)", "unit (3.11)", "unit (3.12)", "scan"] {
        world.start(key);
    }
    world.step("unit (3.11)", 0);
    world.step("unit (3.11)", 1);
    let tests = TestCounts { passed: 42, failed: 0, skipped: 1 };
    world.finish("unit (3.10)", AttemptOutcome { tests: Some(tests), ..passed() });
    world.finish("unit (3.12)", AttemptOutcome::failed(FailureClass::Infra, "the disk is full"));
    let failed = AttemptOutcome::failed(FailureClass::User, "step `scan` exited with 2");
    world.finish("scan", AttemptOutcome { exit_code: Some(2), ..failed });
    world
}

/// At the end: the eval missed a gate.
fn at_the_end() -> World {
    let mut world = in_the_middle();
    world.finish("unit (3.11)", passed());
    world.now = Timestamp(world.now.0 + 5000);
    world.order(&Command::Tick);
    for key in ["unit (3.12)", "unit (3.13)", "eval"] {
        world.start(key);
    }
    world.finish("unit (3.12)", passed());
    world.finish("unit (3.13)", passed());
    let approve = world.index("approve");
    world.order(&Command::Approve {
        stage: approve,
        by: "ada".to_owned(),
        teams: Vec::new(),
        names: Vec::new(),
        comment: "looks good".to_owned(),
    });
    let artifact = crate::engine::ArtifactRef {
        path: "out/".to_owned(),
        digest: Digest::of(b""),
        size_bytes: 345,
        unpacked_bytes: Some(12_345),
        files: 3,
    };
    let metrics = [("f1", 0.8125), ("cost", 0.004)].map(|(name, it)| (name.to_owned(), it));
    let outcome = AttemptOutcome { metrics: metrics.into(), artifacts: vec![artifact], ..passed() };
    world.finish("eval", outcome);
    world
}

#[test]
fn the_tree_shows_what_runs_and_folds_what_does_not() {
    insta::assert_snapshot!(in_the_middle().tree(usize::MAX));
}

#[test]
fn the_tree_fits_into_a_low_terminal() {
    let world = in_the_middle();
    for height in 4..12 {
        let tree = world.tree(height);
        assert!(tree.lines().count() <= height.max(7), "{height}:\n{tree}");
    }
    insta::assert_snapshot!(world.tree(8));
}

#[test]
fn no_line_of_the_tree_is_wider_than_the_terminal() {
    let world = in_the_middle();
    let tails = BTreeMap::from([(world.index("unit (3.11)"), "模".repeat(200))]);
    for columns in [20, 41, 80] {
        let outline = world.outline();
        let view = View { columns, tails: &tails, ..view(&outline) };
        for line in tree::lines(view, usize::MAX) {
            assert!(format::width(&line) <= columns, "{columns}: {line}");
        }
    }
}

#[test]
fn the_summary_says_what_failed_and_what_to_do() {
    insta::assert_snapshot!(at_the_end().summary());
}

#[test]
fn an_interrupted_run_says_how_it_goes_on() {
    let outline = RunView { interrupted: true, ..in_the_middle().outline() };
    let view = view(&outline);
    let tree = tree::lines(view, usize::MAX);
    assert_eq!(
        tree.last().unwrap(),
        "3 of 9 done, interrupted, 1 running, 1 waiting for approval, 1 failed, 1 skipped"
    );
    let summary = summary::lines(view, &summary::Ends::default()).join("\n");
    assert!(summary.starts_with("\n■ assistant #12 was interrupted\n"), "{summary}");
    assert!(summary.contains("\n  trunkline resume 12  go on with it"), "{summary}");
    let lost = summary::Ends { lost_usd: Some("0.0006".to_owned()), ..summary::Ends::default() };
    let told = summary::lines(view, &lost).join("\n");
    let line =
        "  and up to 0.0006 USD of processes that died: `trunkline spend --run 12 --by stage`";
    assert!(told.contains("\nmodel calls:\n") && told.contains(line), "{told}");
    let json =
        |ends: &summary::Ends| serde_json::to_value(summary::Told::new(&outline, ends)).unwrap();
    let (told, none) = (json(&lost), json(&summary::Ends::default()));
    assert_eq!((&told["lost_usd"], &told["number"]), (&"0.0006".into(), &12.into()));
    assert_eq!(none, serde_json::to_value(&outline).unwrap(), "as the API has it");
    let given = View { given: " --secret API_KEY --model-calls live", ..view };
    let summary = summary::lines(given, &summary::Ends::default()).join("\n");
    let resume = "\n  trunkline resume 12 --secret API_KEY --model-calls live  go on with it";
    assert!(summary.contains(resume), "{summary}");
    assert_eq!(serde_json::to_value(&outline).unwrap()["interrupted"], true);
}

#[test]
fn a_stage_that_took_too_long_is_told_what_to_do() {
    let mut world = World::new();
    world.start("scan");
    world.finish("scan", AttemptOutcome::failed(FailureClass::Timeout, "it took longer than 3s"));
    let summary = world.summary();
    let help = "  it took longer than 3s\n  help: raise `timeout`, or see where the time went: \
                `trunkline logs 12 scan --timestamps`\n";
    assert!(summary.contains(help), "{summary}");
}

/// The text with single spaces.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_approval_that_nobody_gave_in_time_is_told_as_such() {
    for (settings, line, row) in [
        (
            "{ timeout: 1h, on_timeout: approve }",
            "approve passed without approval: nobody decided within 1h00m",
            "✓ approve passed without approval: nobody decided within 1h00m",
        ),
        (
            "{ timeout: 1h }",
            "approve failed (approval): nobody decided within 1h; approvals still missing: 1",
            "✗ approve approval: nobody decided within 1h; approvals still missing: 1",
        ),
    ] {
        let mut world = World::of(&PIPELINE.replace("{ count: 1 }", settings));
        world.start("scan");
        world.finish("scan", passed());
        world.now = Timestamp(world.now.0 + 10 * 60_000);
        let waiting = words(&world.tree(usize::MAX));
        assert!(waiting.contains("? approve 10m01s waits for 1 approval"), "{waiting}");
        world.now = Timestamp(world.now.0 + 3_600_000);
        world.order(&Command::Tick);
        let tree = words(&world.tree(usize::MAX));
        assert!(tree.contains(row), "{tree}");
        let lines = words(&world.lines.join("\n"));
        assert!(lines.contains(line), "{lines}");
        let json = serde_json::to_value(world.outline()).unwrap();
        let stages = json["stages"].as_array().unwrap();
        let undecided = stages.iter().filter(|it| it["undecided"] == true);
        assert_eq!(undecided.map(|it| &it["key"]).collect::<Vec<_>>(), ["approve"]);
    }
}

#[test]
fn what_has_not_ended_takes_no_time_that_nobody_knows() {
    let mut world = in_the_middle();
    world.now = Timestamp(world.now.0 + 3_600_000);
    let outline = RunView { interrupted: true, ..world.outline() };
    let tree = tree::lines(view(&outline), usize::MAX).join("\n");
    assert!(!tree.contains("1h"), "{tree}");
    let queued =
        Run::new(RunId("r2".to_owned()), world.run.plan().clone(), world.run.context().clone());
    let queued = RunView::new(&queued, nowhere(), Timestamp(90_000));
    let view = View { now: Timestamp(90_000), ..view(&queued) };
    let summary = summary::lines(view, &summary::Ends::default()).join("\n");
    assert!(summary.contains("● assistant #12 queued for 1m30s"), "{summary}");
}

#[test]
fn a_used_up_budget_of_the_run_itself_leads_to_a_new_run() {
    let text = "version: 1\nname: demo\non: { push: {} }\nstages: { a: { image: x, run: a } }\n";
    let (anew, again) = ("  trunkline run demo ", "  trunkline rerun --failed 12 ");
    for (budget, has, lacks) in
        [("run #12", anew, again), ("stage a of run #12", anew, again), ("shop/month", again, anew)]
    {
        let mut world = World::of(text);
        world.start("a");
        let message = format!("the budget `{budget}` has 1.00 USD");
        world.finish("a", AttemptOutcome::failed(FailureClass::Budget, message));
        let outline = world.outline();
        let summary = summary::lines(view(&outline), &summary::Ends::default()).join("\n");
        assert!(summary.contains(has) && !summary.contains(lacks), "{summary}");
    }
}

#[test]
fn events_become_plain_lines() {
    insta::assert_snapshot!(at_the_end().lines.join("\n"));
}

#[test]
fn a_finished_tree_has_every_verdict() {
    insta::assert_snapshot!(at_the_end().tree(usize::MAX));
}

#[test]
fn the_json_of_a_run_names_stages_gates_and_attempts() {
    let json = serde_json::to_value(at_the_end().outline()).unwrap();
    let eval = json["stages"].as_array().unwrap().iter().find(|it| it["key"] == "eval").unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(eval).unwrap());
}

#[test]
fn colours_do_not_change_the_text() {
    let outline = at_the_end().outline();
    let colored = View { paint: Paint { is_on: true }, ..view(&outline) };
    let lines = summary::lines(colored, &summary::Ends::default()).join("\n");
    assert!(lines.contains("\x1b["));
    let plain = summary::lines(view(&outline), &summary::Ends::default()).join("\n");
    assert_eq!(console::strip_ansi_codes(&lines), plain);
}

#[test]
fn a_key_with_spaces_is_quoted_for_the_shell() {
    assert_eq!(shell_word("unit (3.11)"), "'unit (3.11)'");
    assert_eq!(shell_word("it's"), r"'it'\''s'");
    assert_eq!(shell_word("lint"), "lint");
}

#[test]
fn a_small_price_keeps_its_digits() {
    let shown = [0.0, 1.0, 0.900_413, 0.000_042_2, -0.05, 1_234.567_89].map(format::number);
    assert_eq!(shown, ["0", "1", "0.9004", "0.0000422", "-0.05", "1234.5679"]);
}

#[test]
fn the_end_shows_warnings_and_says_nothing_twice() {
    let mut world = World::new();
    for key in ["unit (3.10)", "scan"] {
        world.start(key);
    }
    let warnings = vec!["no file matches the artifact `*.whl`".to_owned()];
    world.finish("unit (3.10)", AttemptOutcome { warnings, ..passed() });
    // Its log has nothing else than this message, as of an attempt that never began.
    let message = "service `db` did not get ready\n\tFileNotFoundError: models.lock";
    world.finish("scan", AttemptOutcome::failed(FailureClass::User, message));
    let summary = world.summary();
    assert!(summary.contains("! unit (3.10): no file matches the artifact `*.whl`"), "{summary}");
    assert_eq!(summary.matches("FileNotFoundError").count(), 1, "{summary}");
}

#[test]
fn what_a_server_answers_looks_as_what_is_here() {
    for world in [in_the_middle(), at_the_end()] {
        let here = world.outline();
        let read: RunView = serde_json::from_str(&serde_json::to_string(&here).unwrap()).unwrap();
        assert_eq!(read, here);
    }
}

#[test]
fn commands_for_a_run_of_a_server_name_it() {
    let outline = at_the_end().outline();
    let view = View { server: "ci.example.org", ..view(&outline) };
    let summary = summary::lines(view, &summary::Ends::default()).join("\n");
    assert!(summary.contains("trunkline logs 12 eval --server ci.example.org"), "{summary}");
}

#[test]
fn a_cancelled_run_says_who_has_stopped_it_and_why() {
    let mut world = World::new();
    let cancel =
        |by: &str, reason: &str| Command::Cancel { by: by.to_owned(), reason: reason.to_owned() };
    world.order(&cancel("ada", "wrong branch"));
    let summary = world.summary();
    assert!(summary.contains("\n  cancelled by ada: wrong branch"), "{summary}");
    let json = serde_json::to_value(world.outline()).unwrap();
    assert_eq!(
        (&json["cancelled_by"], &json["cancel_reason"]),
        (&"ada".into(), &"wrong branch".into())
    );
    let untouched = serde_json::to_value(at_the_end().outline()).unwrap();
    assert_eq!(untouched.get("cancelled_by"), None);
}

#[test]
fn failing_and_flaky_tests_are_named_also_where_the_stage_passed() {
    let mut world = World::new();
    world.start("unit (3.10)");
    let tests = TestCounts { passed: 42, failed: 1, skipped: 0 };
    world.finish("unit (3.10)", AttemptOutcome { tests: Some(tests), ..passed() });
    let case = |name: &str, outcome: CaseOutcome, message: &str| CaseView {
        stage: world.index("unit (3.10)"),
        stage_key: "unit (3.10)".to_owned(),
        attempt: 1,
        counts: true,
        suite: "shop".to_owned(),
        name: name.to_owned(),
        outcome,
        flaky: outcome == CaseOutcome::Flaky,
        message: message.to_owned(),
        file: String::new(),
        line: None,
        duration_ms: None,
        reused_from: None,
    };
    let cases = vec![
        case("cart::adds_up", CaseOutcome::Failed, "3 is not 4\nat cart.rs:7"),
        case("shop::opens", CaseOutcome::Flaky, ""),
        case("slow", CaseOutcome::Passed, ""),
    ];
    let ends = summary::Ends { cases, ..summary::Ends::default() };
    let outline = world.outline();
    let text = summary::lines(view(&outline), &ends).join("\n");
    let wanted = "tests:\n  unit (3.10): 42 passed, 1 failed, 0 skipped\n    \
                  ✗ shop › cart::adds_up: 3 is not 4\n    ↻ shop::opens (flaky)";
    assert!(text.contains(wanted), "{text}");
}
