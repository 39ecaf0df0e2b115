//! The flow of whole runs: needs, matrix, outputs, gates, approvals, cancels, re-runs, reuse.

use std::time::{Duration, Instant};

use trunkline::model::RunStatus;

use crate::bench::{Bench, Finished, place};
use crate::docker;

#[test]
fn outputs_and_metrics_of_a_need_decide_what_follows() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r#"
  a:
    run: |
      echo colour=blue >> $TRUNKLINE_OUTPUTS
      echo '{"name": "f1", "value": 0.9}' >> $TRUNKLINE_METRICS
    gate: { f1: ">= 0.85" }
  b: { needs: [a], if: needs.a.outputs.colour == "blue" && needs.a.metrics.f1 > 0.8, run: 'true' }
  c: { needs: [a], if: needs.a.outputs.colour == "red", run: 'true' }
  d: { needs: [{ stage: c, optional: true }], run: 'true' }
"#,
    );
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.story(), "a: passed\nb: passed\nc: skipped\nd: passed");
}

#[test]
fn a_gate_that_is_missed_or_has_no_metric_fails_loudly() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r#"
  low: { run: "echo '{\"f1\": 0.5}' >> $TRUNKLINE_METRICS", gate: { f1: ">= 0.85" } }
  missing: { run: 'true', gate: { f1: ">= 0.85" } }
"#,
    );
    bench.run(&[]).expect_code(1);
    let story = bench.story();
    assert!(story.contains("low: failed, gate: ") && story.contains("0.5"), "{story}");
    assert!(story.contains("missing: failed, gate: ") && story.contains("f1"), "{story}");
}

#[test]
fn only_what_failed_runs_again_and_it_gets_its_artifacts() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r#"
  build: { run: echo made > out.txt, artifacts: { paths: [out.txt] } }
  test: { needs: [build], run: [cat out.txt, 'test "$TRUNKLINE_ATTEMPT" = 2'] }
  after: { needs: [test], run: 'true' }
"#,
    );
    bench.run(&[]).expect_code(1);
    assert!(bench.story().ends_with("after: skipped"), "{}", bench.story());
    bench.trunkline(&["rerun", "last", "--failed"]).expect_code(0);
    assert_eq!(bench.story(), "build: passed\ntest: passed\nafter: passed");
    let loaded = bench.last_run().unwrap();
    let attempts = |index| loaded.run.stage(place(index)).unwrap().attempts.len();
    assert_eq!((attempts(0), attempts(1), attempts(2)), (1, 2, 1));
    assert_eq!(bench.log("test"), "made\n");
}

#[test]
fn a_stage_with_the_same_inputs_is_not_run_again() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().file("src/a.txt", "1").file("readme", "x").stages(
        r#"
  s: { inputs: ["src/**"], run: cat /proc/sys/kernel/random/uuid > stamp, artifacts: { paths: [stamp] } }
  t: { needs: [s], run: cat stamp }
"#,
    );
    bench.run(&[]).expect_code(0);
    let first = bench.log("t");
    bench.write("readme", "y");
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.log("t"), first, "the artifact of the first run");
    bench.run(&["--no-reuse"]).expect_code(0);
    let second = bench.log("t");
    assert_ne!(second, first);
    bench.write("src/a.txt", "2");
    bench.run(&[]).expect_code(0);
    assert_ne!(bench.log("t"), second);
}

#[test]
fn a_run_waits_for_an_approval_given_by_another_process() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r"
  a: { run: 'true' }
  ok: { needs: [a], approval: { count: 1, timeout: 1h } }
  b: { needs: [ok], run: 'true' }
",
    );
    let child = bench.command(&["run"]).spawn().unwrap();
    wait_until(&bench, RunStatus::Waiting);
    bench.trunkline(&["approve", "last", "ok", "-m", "looks good"]).expect_code(0);
    Finished::from(child.wait_with_output().unwrap()).expect_code(0);
    assert_eq!(bench.story(), "a: passed\nok: passed\nb: passed");
}

#[test]
fn a_cancelled_run_ends_within_the_grace_and_cleans_up() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r"
  s: { run: sleep infinity }
  after: { needs: [s], run: 'true' }
  clean: { needs: [s], if: always(), run: echo cleaned }
",
    );
    let child = bench.command(&["run"]).spawn().unwrap();
    wait_until(&bench, RunStatus::Running);
    std::thread::sleep(Duration::from_millis(700));
    let started = Instant::now();
    bench.trunkline(&["cancel", "last"]).expect_code(0);
    Finished::from(child.wait_with_output().unwrap()).expect_code(1);
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    let story = bench.story();
    assert!(story.contains("s: cancelled") && story.contains("after: cancelled"), "{story}");
    assert!(story.contains("clean: passed"), "{story}");
    assert!(docker::things_of(&bench.instance()).is_empty());
}

#[test]
fn a_matrix_runs_every_cell_and_a_junit_report_is_counted() {
    if !docker::is_here() {
        return;
    }
    let report = r#"<testsuite tests="3" failures="0"><testcase name="a"/><testcase name="b"/><testcase name="c"><skipped/></testcase></testsuite>"#;
    let bench = Bench::new().file("junit.xml", report).stages(
        r#"
  unit:
    matrix: { n: ["1", "2"] }
    env: { N: "${{ matrix.n }}" }
    run: echo cell $N
    artifacts: { paths: [junit.xml], reports: { junit: junit.xml } }
  all: { needs: [unit], run: 'true' }
"#,
    );
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.story(), "unit (1): passed\nunit (2): passed\nall: passed");
    assert_eq!(bench.log("unit (2)"), "cell 2\n");
    let loaded = bench.last_run().unwrap();
    let tests = loaded.run.stage(place(0)).unwrap().outcome().unwrap().tests.unwrap();
    assert_eq!((tests.passed, tests.failed, tests.skipped), (2, 0, 1));
}

pub(crate) fn wait_until(bench: &Bench, status: RunStatus) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if bench.state().join("state.db").exists()
            && bench.last_run().is_some_and(|it| it.run.status() == status)
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the run does not become {status}");
}
