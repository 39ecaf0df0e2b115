//! Output that cannot be written is an error; a reader that has seen enough is none.

use std::fs::File;
use std::process::Stdio;

use crate::{PIPELINE, World};

/// A device that is always full.
fn full() -> Stdio {
    Stdio::from(File::options().write(true).open("/dev/full").unwrap())
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Stdio::from(writer)
}

/// Exit code and standard error of a command that writes there.
fn ended(world: &World, arguments: &[&str], to: Stdio) -> (Option<i32>, String) {
    let child = world.command(arguments).stdout(to).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_run_goes_on_and_says_at_its_end_that_it_could_not_be_shown() {
    let world = World::new(PIPELINE);
    world.write("fixed", "");
    for (nth, arguments) in
        [&["run", "--json"][..], &["run"], &["run", "--no-logs"]].iter().enumerate()
    {
        let (code, told) = ended(&world, arguments, full());
        let number = nth + 1;
        assert_eq!(code, Some(3), "{arguments:?}: {told}");
        let message = "the output cannot be written: No space left on device";
        let end = format!("run #{number} passed");
        assert!(told.contains(message) && told.contains(&end), "{told}");
        let number = number.to_string();
        assert_eq!(world.json(0, &["show", &number, "--json"])["status"], "passed");
    }
    for arguments in [&["run", "--json"][..], &["run"]] {
        assert_eq!(ended(&world, arguments, closed()), (Some(0), String::new()), "{arguments:?}");
    }
    std::fs::remove_file(world.repository().join("fixed")).unwrap();
    let (code, _) = ended(&world, &["run", "--json"], closed());
    assert_eq!(code, Some(1), "whether somebody reads it or not, it failed");
}

#[test]
fn every_command_that_prints_fails_when_it_cannot() {
    let world = World::new(PIPELINE);
    world.write("fixed", "");
    world.says(0, &["run", "--no-logs"]);
    for arguments in [
        &["runs"][..],
        &["runs", "--json"],
        &["show", "--json"],
        &["show"],
        &["logs"],
        &["logs", "--json"],
        &["logs", "1", "build", "--raw"],
        &["logs", "-f"],
        &["graph"],
        &["graph", "--json"],
        &["graph", "--svg", "-"],
        &["check"],
        &["check", "--json"],
        &["check", "--schema"],
        &["artifacts"],
        &["artifacts", "--json"],
        &["doctor"],
        &["gc", "--json"],
        &["completions", "bash"],
    ] {
        let (code, told) = ended(&world, arguments, full());
        assert_eq!(code, Some(3), "{arguments:?}: {told}");
        assert!(told.contains("the output cannot be written"), "{arguments:?}: {told}");
        let (code, told) = ended(&world, arguments, closed());
        assert!(code == Some(0) && told.is_empty(), "{arguments:?}: {code:?} {told}");
    }
}
