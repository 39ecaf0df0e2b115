//! Every way a stage can end badly: its failure class, and a message that says what to do.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::docker;

/// Runs the stages and gives the story; the run must fail.
#[track_caller]
fn failing(stages: &str) -> String {
    let bench = Bench::new().stages(stages);
    bench.run(&[]).expect_code(1);
    let left = docker::things_of(&bench.instance());
    assert!(left.is_empty(), "left over: {left:?}");
    bench.story()
}

#[track_caller]
fn assert_story(story: &str, parts: &[&str]) {
    for part in parts {
        assert!(story.contains(part), "`{part}` is missing in:\n{story}");
    }
}

#[test]
fn a_bad_exit_code_names_the_step() {
    if !docker::is_here() {
        return;
    }
    let story = failing(
        "  s: { steps: [{ run: 'true' }, { name: build, run: exit 7 }, { run: echo never }] }\n",
    );
    assert_eq!(story, "s: failed, user: step `build` exited with 7");
}

#[test]
fn a_command_that_is_not_there_is_said_so() {
    if !docker::is_here() {
        return;
    }
    let story = failing("  s: { run: no-such-command }\n");
    let start =
        "s: failed, user: step `no-such-command` exited with 127: a command was not found\nhelp: ";
    assert!(story.starts_with(start), "{story}");
}

#[test]
fn too_much_memory_is_out_of_memory() {
    if !docker::is_here() {
        return;
    }
    let story = failing("  s: { resources: { memory: 32Mi }, run: tail /dev/zero }\n");
    assert_story(
        &story,
        &["s: failed, out_of_memory: ", "of 32 MiB", "help: raise `resources.memory`"],
    );
}

#[test]
fn a_missing_image_is_image_pull_and_says_where_it_looked() {
    if !docker::is_here() {
        return;
    }
    let story =
        failing("  s: { image: '127.0.0.1:1/no/such:image', retry: { max: 0 }, run: 'true' }\n");
    let start = "s: failed, image_pull: image `127.0.0.1:1/no/such:image` is not on this machine";
    assert!(story.starts_with(start), "{story}");
}

#[test]
fn a_step_and_a_stage_that_take_too_long_are_timeouts() {
    if !docker::is_here() {
        return;
    }
    let story = failing(
        "  step: { steps: [{ name: slow, run: sleep infinity, timeout: 1s }] }\n  stage: { timeout: 1s, run: sleep infinity }\n",
    );
    assert_story(&story, &["step: failed, timeout: ", "`slow`", "stage: failed, timeout: "]);
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_after_the_grace() {
    if !docker::is_here() {
        return;
    }
    let started = Instant::now();
    let story =
        failing("  s: { timeout: 1s, run: \"trap '' TERM; while true; do sleep 1; done\" }\n");
    assert_story(&story, &["s: failed, timeout: "]);
    let took = started.elapsed();
    assert!(took > Duration::from_secs(10), "the grace was not waited for: {took:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
}

#[test]
fn a_process_may_clean_up_when_it_is_asked_to_end() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        "  s: { timeout: 3s, run: \"trap 'echo cleaned up; exit 0' TERM; while true; do sleep 0.1; done\" }\n",
    );
    let started = Instant::now();
    bench.run(&[]).expect_code(1);
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    assert_story(&bench.log("s"), &["cleaned up"]);
    assert_story(&bench.story(), &["s: failed, timeout: "]);
}

#[test]
fn an_image_without_a_shell_runs_a_command_and_says_so_for_steps() {
    if !docker::is_here() {
        return;
    }
    docker::image_without_shell("trunkline-test/noshell:1");
    let bench = Bench::new().stages(
        "  good: { image: 'trunkline-test/noshell:1', command: [/busybox, echo, hello] }\n  bad: { image: 'trunkline-test/noshell:1', run: echo never }\n",
    );
    bench.run(&[]).expect_code(1);
    assert_story(&bench.story(), &["good: passed", "bad: failed, user: ", "/bin/sh", "command:"]);
    assert_eq!(bench.log("good"), "hello\n");
}

#[test]
fn a_service_that_never_gets_ready_shows_its_log() {
    if !docker::is_here() {
        return;
    }
    let story = failing(
        "  s:\n    services: { db: { image: 'busybox:stable', command: [sh, -c, 'echo my disk is full; sleep 60'], ready: { tcp: 5432, timeout: 2s } } }\n    run: 'true'\n",
    );
    assert_story(&story, &["s: failed, user: service `db` did not get ready", "my disk is full"]);
}

#[test]
fn a_missing_secret_of_a_stage_that_may_not_come_fails_it() {
    if !docker::is_here() {
        return;
    }
    let story = failing(
        "  a: { run: 'true' }\n  \
         s: { needs: [a], if: \"needs.a.status == 'passed'\", secrets: [TOKEN], run: 'true' }\n",
    );
    assert_story(&story, &["s: failed, user: secret `TOKEN` is not set\nhelp: "]);
}

#[test]
fn a_service_that_dies_is_named_with_its_last_lines_and_artifacts_are_kept() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        "  s:\n    services: { db: { image: 'busybox:stable', command: [sh, -c, 'sleep 2; echo table is corrupt; exit 4'], ready: { exec: ['true'] } } }\n    run: echo part > result; sleep 60\n    artifacts: { paths: [result] }\n",
    );
    let told = bench.run(&[]).expect_code(1).stdout;
    assert_story(
        &bench.story(),
        &[
            "s: failed, user: service `db` ended with exit code 4 while the stage was running",
            "table is corrupt",
            "\nhelp: ",
        ],
    );
    assert_story(
        &told,
        &["failed in", "(user): service `db` ended with exit code 4", "  s: result (1 file"],
    );
    assert!(docker::things_of(&bench.instance()).is_empty());
}

#[test]
fn a_state_folder_that_goes_away_is_told_and_its_containers_go_too() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        "  a: { run: echo up; sleep 100 }\n  b: { run: sleep 100, services: { s: { image: 'busybox:stable', command: [sleep, '100'] } } }\n",
    );
    let run = bench.command(&["run"]).spawn().unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    let things = || {
        let instance = std::fs::read_to_string(bench.state().join("instance")).unwrap_or_default();
        if instance.is_empty() { Vec::new() } else { docker::things_of(instance.trim()) }
    };
    while things().len() < 5 {
        assert!(Instant::now() < until, "the stages do not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    let instance = bench.instance();
    std::thread::sleep(Duration::from_secs(1));
    // What is in use (a mounted overlay) may come back for a moment.
    while bench.state().exists() {
        let _again = std::fs::remove_dir_all(bench.state());
    }
    let output = run.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    let message = format!("error: the state folder `{}` is gone: ", bench.state().display());
    assert_story(&told, &[&message, "while run #1 was under way\nhelp: "]);
    assert_eq!(docker::things_of(&instance), Vec::<String>::new());
}

#[test]
fn a_builtin_of_a_later_version_is_refused_by_name() {
    if !docker::is_here() {
        return;
    }
    let story = failing("  s: { uses: builtin/sbom }\n");
    assert_story(&story, &["s: failed, user: `builtin/sbom` is not in this version"]);
}
