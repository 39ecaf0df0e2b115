//! What every executor does. The steps are shell texts so plain that the fake one understands them.

use std::time::Duration;

use trunkline::executor::{AttemptState, Executor as _, Exit, LogItem, Signal};

use crate::attempt::{Attempt, archive, downloaded, log, step, story, until};
use crate::world::{World, run};

pub(crate) async fn steps_pass_one_after_the_other<W: World>(world: &W) {
    let executor = world.executor().await;
    let outcome = Attempt::new(world, &["echo hello", "echo world"]).run(&executor).await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(outcome.story(), @r"
        [start 0]
        hello
        [end 0: 0]
        [start 1]
        world
        [end 1: 0]
        exit 0
        ");
    }
}

pub(crate) async fn the_first_failing_step_gives_the_code_and_ends_the_rest<W: World>(world: &W) {
    let executor = world.executor().await;
    let mut attempt = Attempt::new(world, &["echo a\nexit 3\necho b", "echo never", "exit 4"]);
    attempt.prepare.program = trunkline::executor::ProgramSpec::Steps { images: vec![None; 4] };
    attempt.steps().push(step("echo always"));
    attempt.steps()[2].when_failed = true;
    attempt.steps()[3].when_failed = true;
    attempt.steps()[3].when_passing = false;
    let outcome = attempt.run(&executor).await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(outcome.story(), @r"
        [start 0]
        a
        [end 0: 3]
        [start 2]
        [end 2: 4]
        [start 3]
        always
        [end 3: 0]
        exit 3
        ");
    }
}

pub(crate) async fn a_step_for_failures_does_not_run_when_all_pass<W: World>(world: &W) {
    let executor = world.executor().await;
    let mut attempt = Attempt::new(world, &["true", "echo never"]);
    attempt.steps()[1].when_passing = false;
    attempt.steps()[1].when_failed = true;
    assert_eq!(attempt.run(&executor).await.story(), "[start 0]\n[end 0: 0]\nexit 0");
}

pub(crate) async fn a_begin_twice_runs_once<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["echo once"]);
    attempt.start(&executor).await;
    executor.begin(attempt.name(), &attempt.begin).await.unwrap();
    let outcome = attempt.finish(&executor).await;
    executor.begin(attempt.name(), &attempt.begin).await.unwrap();
    assert_eq!(outcome.story(), "[start 0]\nonce\n[end 0: 0]\nexit 0");
    assert_eq!(story(&log(&executor, attempt.name()).await), "[start 0]\nonce\n[end 0: 0]\n");
}

pub(crate) async fn what_steps_publish_is_read<W: World>(world: &W) {
    let executor = world.executor().await;
    let steps = [
        r#"echo '{"f1":0.9}' >> "$TRUNKLINE_METRICS""#,
        "echo key=value >> \"$TRUNKLINE_OUTPUTS\"\necho other=1 >> \"$TRUNKLINE_OUTPUTS\"",
    ];
    let attempt = Attempt::new(world, &steps);
    assert_eq!(attempt.run(&executor).await.exit.code, 0);
    let published = executor.published(attempt.name()).await.unwrap();
    assert_eq!(String::from_utf8(published.metrics).unwrap(), "{\"f1\":0.9}\n");
    assert_eq!(String::from_utf8(published.outputs).unwrap(), "key=value\nother=1\n");
}

pub(crate) async fn a_process_that_obeys_ends_at_the_first_signal<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["echo up\nsleep 60\necho never", "echo never"]);
    attempt.start(&executor).await;
    until(&executor, attempt.name(), "up\n").await;
    executor.signal(attempt.name(), Signal::Terminate).await.unwrap();
    let outcome = attempt.finish(&executor).await;
    assert_eq!(outcome.exit.code, 143);
    assert!(!outcome.text().contains("never"), "{}", outcome.text());
    executor.signal(attempt.name(), Signal::Terminate).await.unwrap();
    executor.signal(attempt.name(), Signal::Kill).await.unwrap();
}

pub(crate) async fn a_process_that_does_not_obey_is_killed<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["trap '' TERM\necho up\nsleep 60\necho never"]);
    attempt.start(&executor).await;
    until(&executor, attempt.name(), "up\n").await;
    executor.signal(attempt.name(), Signal::Terminate).await.unwrap();
    let patience = tokio::time::timeout(Duration::from_secs(1), executor.wait(attempt.name()));
    patience.await.expect_err("it ignores the first signal");
    executor.signal(attempt.name(), Signal::Kill).await.unwrap();
    let outcome = attempt.finish(&executor).await;
    assert_eq!(outcome.exit.code, 137);
    assert!(!outcome.text().contains("never"), "{}", outcome.text());
}

pub(crate) async fn an_attempt_that_was_only_prepared_can_be_removed<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["echo never"]);
    attempt.prepare(&executor).await.unwrap();
    let found = executor.list(&world.place().instance).await.unwrap();
    assert_eq!(found.iter().map(|it| &it.name).collect::<Vec<_>>(), [attempt.name()]);
    executor.remove(attempt.name()).await.unwrap();
    assert_eq!(executor.list(&world.place().instance).await.unwrap(), []);
    assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Absent);
    executor.remove(attempt.name()).await.unwrap();
}

pub(crate) async fn instances_leave_each_other_alone<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["true"]);
    attempt.prepare(&executor).await.unwrap();
    assert_eq!(executor.list("somebody else").await.unwrap(), []);
}

pub(crate) async fn a_new_process_takes_up_what_was_prepared<W: World>(world: &W) {
    let attempt = Attempt::new(world, &["echo hello"]);
    attempt.prepare(&world.executor().await).await.unwrap();
    let second = world.executor().await;
    assert_eq!(second.state(attempt.name()).await.unwrap(), AttemptState::Prepared);
    attempt.prepare(&second).await.unwrap();
    assert_eq!(attempt.run(&second).await.story(), "[start 0]\nhello\n[end 0: 0]\nexit 0");
}

pub(crate) async fn a_new_process_takes_up_what_has_begun<W: World>(world: &W) {
    let attempt = Attempt::new(world, &["echo one\nsleep 1\necho two"]);
    let first = world.executor().await;
    attempt.start(&first).await;
    until(&first, attempt.name(), "one\n").await;
    drop(first);
    let second = world.executor().await;
    assert_eq!(second.state(attempt.name()).await.unwrap(), AttemptState::Begun);
    executor_says_the_same_as(&second, &attempt, "[start 0]\none\ntwo\n[end 0: 0]\nexit 0").await;
}

pub(crate) async fn a_new_process_finds_the_end_and_the_whole_log<W: World>(world: &W) {
    let attempt = Attempt::new(world, &["echo one", "exit 5"]);
    attempt.run(&world.executor().await).await;
    let second = world.executor().await;
    let state = second.state(attempt.name()).await.unwrap();
    assert!(matches!(state, AttemptState::Exited(Exit { code: 5, .. })), "{state:?}");
    let whole = "[start 0]\none\n[end 0: 0]\n[start 1]\n[end 1: 5]\nexit 5";
    executor_says_the_same_as(&second, &attempt, whole).await;
}

async fn executor_says_the_same_as(
    executor: &impl trunkline::executor::Executor,
    attempt: &Attempt,
    whole: &str,
) {
    assert_eq!(attempt.finish(executor).await.story(), whole);
}

pub(crate) async fn files_go_in_and_come_out<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["cat 'in/a file ü.txt'\necho out > made.txt"]);
    attempt.prepare(&executor).await.unwrap();
    let files = [
        ("a file ü.txt", 0o644, "text\n"),
        ("deep/run.sh", 0o755, "#!/bin/sh\n"),
        ("link", 0o777, "->a file ü.txt"),
    ];
    executor.upload(attempt.name(), "in", archive(&files)).await.unwrap();
    executor.begin(attempt.name(), &attempt.begin).await.unwrap();
    assert_eq!(attempt.finish(&executor).await.text(), "text\n");
    let got = downloaded(&executor, attempt.name(), "in/**").await;
    let wanted =
        ["in/a file ü.txt 644 text", "in/deep/run.sh 755 #!/bin/sh", "in/link -> a file ü.txt"];
    assert_eq!(got, wanted);
    assert_eq!(downloaded(&executor, attempt.name(), "*.txt").await, ["made.txt 644 out"]);
    assert_eq!(downloaded(&executor, attempt.name(), "none/").await, ["nothing"]);
    assert_eq!(downloaded(&executor, attempt.name(), "*.none").await, ["nothing"]);
}

pub(crate) async fn a_checkout_is_seen_by_two_and_changed_by_none<W: World>(world: &W) {
    let executor = world.executor().await;
    let checkout = world.place().folder().join("a checkout, with: ü");
    std::fs::create_dir(&checkout).unwrap();
    std::fs::write(checkout.join("file.txt"), "from git\n").unwrap();
    let text = "cat file.txt\necho changed > file.txt\necho new > new.txt\ncat file.txt";
    for _ in 0..2 {
        let attempt = Attempt::new(world, &[text]).with_checkout(&checkout);
        assert_eq!(attempt.run(&executor).await.text(), "from git\nchanged\n");
        assert_eq!(downloaded(&executor, attempt.name(), "new.txt").await, ["new.txt 644 new"]);
    }
    assert_eq!(std::fs::read_to_string(checkout.join("file.txt")).unwrap(), "from git\n");
    assert_eq!(std::fs::read_dir(&checkout).unwrap().count(), 1);
}

pub(crate) async fn a_trace_that_is_gone_is_reported<W: World>(world: &W) {
    let executor = world.executor().await;
    let name = world.place().name();
    assert!(executor.wait(&name).await.unwrap_err().to_string().contains("is gone"));
    assert_eq!(executor.state(&name).await.unwrap(), AttemptState::Absent);
    executor.signal(&name, Signal::Kill).await.unwrap();
    executor.remove(&name).await.unwrap();
}

pub(crate) async fn moments_of_a_log_go_forward<W: World>(world: &W) {
    let executor = world.executor().await;
    let outcome = Attempt::new(world, &["echo a", "sleep 1\necho b"]).run(&executor).await;
    let at = |item: &LogItem| match item {
        LogItem::Output { at, .. }
        | LogItem::StepStarted { at, .. }
        | LogItem::StepFinished { at, .. } => *at,
    };
    let moments: Vec<_> = outcome.log.iter().map(at).collect();
    assert!(moments.is_sorted(), "{moments:?}");
    let whole = moments[moments.len() - 1].since(moments[0]).0;
    assert!((900..10_000).contains(&whole), "{whole} ms");
}

/// Makes a test of each function for one world.
macro_rules! hold {
    ($world:ty, $module:ident: $($test:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $test() {
            $crate::contract::run_in::<$world>(async |world| $crate::$module::$test(world).await).await;
        })*
    };
}
pub(crate) use hold;

pub(crate) async fn run_in<W: World>(test: impl AsyncFnOnce(&W)) {
    run(test).await;
}

/// All tests of this file.
macro_rules! hold_contract {
    ($world:ty) => {
        $crate::contract::hold!($world, contract:
            steps_pass_one_after_the_other,
            the_first_failing_step_gives_the_code_and_ends_the_rest,
            a_step_for_failures_does_not_run_when_all_pass,
            a_begin_twice_runs_once,
            what_steps_publish_is_read,
            a_process_that_obeys_ends_at_the_first_signal,
            a_process_that_does_not_obey_is_killed,
            an_attempt_that_was_only_prepared_can_be_removed,
            instances_leave_each_other_alone,
            a_new_process_takes_up_what_was_prepared,
            a_new_process_takes_up_what_has_begun,
            a_new_process_finds_the_end_and_the_whole_log,
            files_go_in_and_come_out,
            a_checkout_is_seen_by_two_and_changed_by_none,
            a_trace_that_is_gone_is_reported,
            moments_of_a_log_go_forward,
        );
    };
}
pub(crate) use hold_contract;
