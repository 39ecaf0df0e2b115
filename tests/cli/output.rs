//! What a stage prints cannot play with the terminal of the person who looks at it.

use crate::World;

/// Sets the title, moves the cursor, and prints in green.
const PIPELINE: &str = r#"version: 1
name: demo
on: { push: {} }
defaults: { image: x }
stages:
  loud: { run: 'printf "\033]0;title\007\033[2J\033[32mgreen\033[0m\r\n"' }
  calm: { run: 'echo calm' }
"#;

#[test]
fn control_sequences_of_a_stage_reach_no_terminal() {
    let world = World::new(PIPELINE);
    let run = world.says(0, &["run", "--color", "always"]);
    assert!(run.contains("\x1b[2mloud |\x1b[0m \x1b[32mgreen\x1b[0m\n"), "{run:?}");
    assert!(!run.contains("\x1b]0;") && !run.contains("\x1b[2J"), "{run:?}");
    assert_eq!(world.says(0, &["logs", "1", "loud"]), "green\n");
    let colored = ["logs", "1", "loud", "--color", "always"];
    assert_eq!(world.says(0, &colored), "\x1b[32mgreen\x1b[0m\n");
    assert!(world.says(0, &["logs", "1"]).contains("loud | green\n"));
}

#[test]
fn raw_logs_are_what_was_printed() {
    let world = World::new(PIPELINE);
    world.says(0, &["run", "--no-logs"]);
    let raw = "\x1b]0;title\x07\x1b[2J\x1b[32mgreen\x1b[0m\r\n";
    assert_eq!(world.says(0, &["logs", "1", "loud", "--raw"]), raw);
    let error = world.complains(2, &["logs", "1", "--raw"]);
    assert_eq!(error, "error: `--raw` writes one log, and these are 2\nhelp: name the stage\n");
    world.complains(2, &["logs", "1", "loud", "--raw", "--json"]);
}

#[test]
fn a_progress_bar_is_shown_as_a_terminal_leaves_it() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         a: { image: x, run: \"printf '10 %%\\\\r50 %%\\\\rdone.\\\\nlast 1\\\\rlast 2'; exit 1\" }\n",
    );
    let told = world.says(1, &["run"]);
    assert!(told.contains("a   | done.\na   | last 2\n"), "{told}");
    assert!(told.contains("  | done.\n  | last 2\n"), "{told}");
    assert_eq!(world.says(0, &["logs"]), "done.\nlast 2\n");
    assert_eq!(world.says(0, &["logs", "-f"]), "done.\nlast 2\n");
    assert_eq!(world.says(0, &["logs", "1", "a", "--raw"]), "10 %\r50 %\rdone.\nlast 1\rlast 2");
    assert!(world.says(0, &["logs", "--json"]).contains(r#""text":"10 %\r50 %\rdone.""#));
}

#[test]
fn times_say_their_zone() {
    let world = World::new(PIPELINE);
    world.says(0, &["run", "--no-logs"]);
    let shown = |arguments: &[&str], zone: &str| {
        let output = world.command(arguments).env("TZ", zone).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(shown(&["runs"], "UTC").lines().next().unwrap().contains("created (UTC)  "));
    assert!(shown(&["runs"], "XXX-5:30").contains("created (UTC+05:30)  "));
    let show = shown(&["show"], "XXX-2");
    let times = show.lines().nth(1).unwrap();
    assert!(times.starts_with("created 20") && times.ends_with(" (UTC+02:00)"), "{show}");
    assert!(times.contains(", ended 20"), "{show}");
}

#[test]
fn what_people_write_is_no_control_sequence_either() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         a: { approval: {} }\n",
    );
    world.git(&["commit", "--quiet", "--allow-empty", "--message", "\x1b]0;title\x07Second"]);
    world.write("last", "");
    let mut run = world.command(&["run", "--committed"]).spawn().unwrap();
    world.wait_until("waiting");
    world.says(0, &["approve", "1", "a", "-m", "\x1b[2Jfine"]);
    assert!(run.wait().unwrap().success());
    let told = world.says(0, &["runs"]) + &world.says(0, &["show"]);
    assert!(told.contains("Second") && !told.contains('\x1b'), "{told:?}");
}

#[test]
fn the_heading_of_a_step_stands_before_what_it_prints() {
    let steps = (1..=20).map(|it| format!("      - {{ name: s{it}, run: printf out-{it} }}\n"));
    let head =
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  a:\n    image: x\n    steps:\n";
    let world = World::new(&(head.to_owned() + &steps.collect::<String>()));
    let told = world.says(0, &["run"]);
    let lines = told.lines().filter_map(|line| {
        let step = line.split_once(" of 20: s").map(|(_, step)| format!("heading {step}"));
        step.or_else(|| line.split_once("| out-").map(|(_, step)| format!("output {step}")))
    });
    let expected = (1..=20).flat_map(|it| [format!("heading {it}"), format!("output {it}")]);
    assert_eq!(lines.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{told}");
}
