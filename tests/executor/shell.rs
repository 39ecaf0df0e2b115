//! What executors with a real shell do.

use std::time::Duration;

use futures_util::StreamExt as _;
use trunkline::executor::{AttemptState, Executor as _, ExecutorError, GivenFile, LogItem, Signal};

use crate::attempt::{Attempt, bytes, log};
use crate::world::World;

pub(crate) async fn the_environment_arrives_whole<W: World>(world: &W) {
    let executor = world.executor().await;
    let value = "a 'b' \"c\" $HOME `id` \\ \n\ttab ü €";
    let mut attempt = Attempt::new(
        world,
        &["printf '%s|%s|%s' \"$ONE\" \"$TWO\" \"${THREE-none}\"", "printf '%s' \"$TWO\""],
    )
    .with_env(&[("ONE", value), ("TWO", "attempt's")]);
    attempt.steps()[0].env = vec![("TWO".to_owned(), "step's".to_owned())];
    let outcome = attempt.run(&executor).await;
    assert_eq!(outcome.text(), format!("{value}|step's|noneattempt's"));
}

pub(crate) async fn a_given_file_is_there_to_read_and_not_in_the_workspace<W: World>(world: &W) {
    let executor = world.executor().await;
    let mut attempt = Attempt::new(world, &["cat \"$TOKEN_FILE\"; ls -A", "cat \"$TOKEN_FILE\""]);
    attempt.begin.files =
        vec![GivenFile { variable: "TOKEN_FILE".to_owned(), content: "it's me\n".to_owned() }];
    assert_eq!(attempt.run(&executor).await.text(), "it's me\nit's me\n");
}

pub(crate) async fn a_program_reads_a_given_file<W: World>(world: &W) {
    let executor = world.executor().await;
    let mut attempt = Attempt::program(world, &["/bin/sh", "-c", "cat \"$TOKEN_FILE\""]);
    attempt.begin.files =
        vec![GivenFile { variable: "TOKEN_FILE".to_owned(), content: "it's me\n".to_owned() }];
    assert_eq!(attempt.run(&executor).await.text(), "it's me\n");
}

pub(crate) async fn a_variable_without_a_valid_name_is_refused<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["true"]).with_env(&[("a-b", "1")]);
    attempt.prepare(&executor).await.unwrap();
    let error = executor.begin(attempt.name(), &attempt.begin).await.unwrap_err();
    assert!(matches!(error, ExecutorError::Rejected(_)), "{error}");
    assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Prepared);
}

pub(crate) async fn steps_see_no_input_and_end_at_the_first_error<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["cat\nfalse\necho never"]);
    assert_eq!(attempt.run(&executor).await.story(), "[start 0]\n[end 0: 1]\nexit 1");
}

pub(crate) async fn a_step_may_handle_an_interrupt<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["trap 'echo caught' INT\nkill -INT $$\necho on"]);
    assert_eq!(attempt.run(&executor).await.text(), "caught\non\n");
}

pub(crate) async fn output_of_both_kinds_keeps_its_order<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["echo a; echo b >&2; echo c > /dev/stderr; echo d"]);
    assert_eq!(attempt.run(&executor).await.text(), "a\nb\nc\nd\n");
}

pub(crate) async fn bytes_that_are_not_text_survive<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &[r"printf 'a\377\000\036b\n\r\033[1mpartial'"]);
    let outcome = attempt.run(&executor).await;
    assert_eq!(bytes(&outcome.log), b"a\xff\x00\x1eb\n\r\x1b[1mpartial");
    assert!(matches!(outcome.log.last(), Some(LogItem::StepFinished { exit_code: 0, .. })));
}

pub(crate) async fn a_process_that_prints_much_is_read_to_the_end<W: World>(world: &W) {
    const SIZE: usize = 50_000_000;
    let executor = world.executor().await;
    let text = format!("tr '\\0' x < /dev/zero | head -c {SIZE}; echo; echo the end");
    let attempt = Attempt::new(world, &[&text]);
    attempt.start(&executor).await;
    let mut items = executor.follow(attempt.name()).await.unwrap();
    let (mut length, mut last) = (0, Vec::new());
    while let Some(item) = items.next().await {
        if let LogItem::Output { bytes, .. } = item.unwrap() {
            length += bytes.len();
            last = bytes.to_vec();
        }
    }
    assert_eq!(length, SIZE + "\nthe end\n".len());
    assert!(last.ends_with(b"the end\n"));
}

pub(crate) async fn long_lines_keep_their_ends<W: World>(world: &W) {
    let executor = world.executor().await;
    let line = "head -c $length /dev/zero | tr '\\0' x";
    let first = format!("for length in 16383 16384 16385 32768 40000; do {line}; echo; done");
    let attempt = Attempt::new(world, &[&first, &format!("length=20000; {line}"), "exit 3"]);
    let outcome = attempt.run(&executor).await;
    let lengths: Vec<usize> = outcome.text().split('\n').map(str::len).collect();
    assert_eq!(lengths, [16383, 16384, 16385, 32768, 40000, 20000]);
    assert!(outcome.story().ends_with("[end 1: 0]\n[start 2]\n[end 2: 3]\nexit 3"));
}

pub(crate) async fn a_child_that_is_left_behind_does_not_keep_the_attempt<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["sleep 300 &\necho done"]);
    let whole = tokio::time::timeout(Duration::from_secs(20), attempt.run(&executor));
    assert_eq!(whole.await.unwrap().story(), "[start 0]\ndone\n[end 0: 0]\nexit 0");
}

pub(crate) async fn a_signal_reaches_processes_in_groups_of_their_own<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["echo up\ntimeout 300 sleep 200\necho never"]);
    attempt.start(&executor).await;
    crate::attempt::until(&executor, attempt.name(), "up\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    executor.signal(attempt.name(), Signal::Terminate).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), executor.wait(attempt.name()));
    assert_eq!(end.await.unwrap().unwrap().code, 143);
}

pub(crate) async fn a_stop_before_the_go_means_that_no_step_runs<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::new(world, &["echo never"]);
    attempt.prepare(&executor).await.unwrap();
    executor.signal(attempt.name(), Signal::Kill).await.unwrap();
    drop(executor.begin(attempt.name(), &attempt.begin).await);
    let exit = executor.wait(attempt.name()).await.unwrap();
    assert!([143, 137].contains(&exit.code), "{exit:?}");
    assert_eq!(log(&executor, attempt.name()).await, []);
}

pub(crate) async fn a_marker_without_its_go_is_gone_by_a_new_process<W: World>(world: &W) {
    let attempt = Attempt::new(world, &["echo once"]);
    let first = world.executor().await;
    attempt.start(&first).await;
    drop(first); // and with it the open end of the FIFO, perhaps before the container has opened its own
    let second = world.executor().await;
    let end = tokio::time::timeout(Duration::from_secs(20), attempt.finish(&second));
    assert_eq!(end.await.unwrap().story(), "[start 0]\nonce\n[end 0: 0]\nexit 0");
}

pub(crate) async fn a_program_runs_without_steps<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::program(world, &["/bin/sh", "-c", "echo \"$ONE\"; pwd; exit 4"])
        .with_env(&[("ONE", "it's $1")]);
    let outcome = attempt.run(&executor).await;
    assert_eq!(outcome.exit.code, 4);
    assert!(outcome.text().starts_with("it's $1\n/"), "{}", outcome.text());
    executor.begin(attempt.name(), &attempt.begin).await.unwrap();
    assert_eq!(attempt.finish(&executor).await.story(), outcome.story());
}

pub(crate) async fn a_program_gets_its_files<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt = Attempt::program(world, &["/bin/cat", "in/file"]);
    attempt.prepare(&executor).await.unwrap();
    let files = crate::attempt::archive(&[("file", 0o600, "text")]);
    executor.upload(attempt.name(), "in", files).await.unwrap();
    executor.begin(attempt.name(), &attempt.begin).await.unwrap();
    assert_eq!(attempt.finish(&executor).await.text(), "text");
}

pub(crate) async fn what_lies_behind_a_link_stays_there<W: World>(world: &W) {
    let executor = world.executor().await;
    let attempt =
        Attempt::new(world, &["ln -s /etc out; ln -s / root; mkdir d; ln -s /etc/passwd d/p"]);
    attempt.run(&executor).await;
    for pattern in ["out/passwd", "out/*", "root/etc/passwd", "root/etc/**"] {
        let got = crate::attempt::downloaded(&executor, attempt.name(), pattern).await;
        assert_eq!(got, ["nothing"], "{pattern}");
    }
    let got = crate::attempt::downloaded(&executor, attempt.name(), "d/*").await;
    assert_eq!(got, ["d/p -> /etc/passwd"]);
}

/// All tests of this file.
macro_rules! hold_shell_contract {
    ($world:ty) => {
        $crate::contract::hold!($world, shell:
            the_environment_arrives_whole,
            a_given_file_is_there_to_read_and_not_in_the_workspace,
            a_program_reads_a_given_file,
            a_variable_without_a_valid_name_is_refused,
            steps_see_no_input_and_end_at_the_first_error,
            a_step_may_handle_an_interrupt,
            output_of_both_kinds_keeps_its_order,
            bytes_that_are_not_text_survive,
            a_process_that_prints_much_is_read_to_the_end,
            long_lines_keep_their_ends,
            a_child_that_is_left_behind_does_not_keep_the_attempt,
            a_signal_reaches_processes_in_groups_of_their_own,
            a_stop_before_the_go_means_that_no_step_runs,
            a_marker_without_its_go_is_gone_by_a_new_process,
            a_program_runs_without_steps,
            a_program_gets_its_files,
            what_lies_behind_a_link_stays_there,
        );
    };
}
pub(crate) use hold_shell_contract;
