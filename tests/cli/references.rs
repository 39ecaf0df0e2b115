//! Which runs a command means: of which repository, and by the beginning of an id.

use std::path::Path;

use crate::{PIPELINE, World, make_repository};

fn said_in(world: &World, folder: &Path, arguments: &[&str]) -> String {
    let output = world.command(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_last_run_is_that_of_the_repository_one_stands_in() {
    let world = World::new(PIPELINE);
    let (here, outside) = (world.repository(), world.folder.path());
    let other = outside.join("other");
    make_repository(&other, PIPELINE);
    assert!(said_in(&world, &other, &["runs"]).starts_with("no runs of this repository; "));
    world.says(0, &["run", "--stage", "build"]);
    let error = world.command(&["show"]).current_dir(&other).output().unwrap();
    assert_eq!(error.status.code(), Some(2), "the other repository has no run");
    said_in(&world, &other, &["run", "--stage", "build"]);

    let last = |folder: &Path| {
        let shown = said_in(&world, folder, &["show", "last", "--json"]);
        serde_json::from_str::<serde_json::Value>(&shown).unwrap()["number"].as_i64().unwrap()
    };
    std::fs::create_dir(here.join("deep")).unwrap();
    assert_eq!([&here.join("deep"), &other, outside].map(last), [1, 2, 2]);

    let listed = |folder: &Path, arguments: &[&str]| {
        let text = said_in(&world, folder, &[&["runs"], arguments].concat());
        let has = |wanted: &str| text.contains(wanted);
        [has("#1"), has("#2"), has("  repository  "), has(&format!("  {}  ", other.display()))]
    };
    assert_eq!(listed(&here, &[]), [true, false, false, false]);
    assert_eq!(listed(&other, &[]), [false, true, false, false]);
    assert_eq!(listed(&here, &["--all"]), [true; 4]);
    assert_eq!(listed(outside, &[]), [true; 4]);
    let json = world.json(0, &["runs", "--json"]);
    assert_eq!(json[0]["repository"], here.display().to_string());
}

#[test]
fn the_beginning_of_an_id_is_enough_where_it_is_that_of_one_run() {
    let world = World::new(PIPELINE);
    world.says(0, &["run", "--stage", "build"]);
    world.says(0, &["run", "--stage", "build"]);
    let runs = world.json(0, &["runs", "--json"]);
    let [newer, older] = [0, 1].map(|it| runs[it]["id"].as_str().unwrap());
    let common = newer.bytes().zip(older.bytes()).take_while(|(one, other)| one == other).count();
    let (short, ambiguous) = (&older[..=common], &older[..common]);

    for arguments in [
        &["show", short][..],
        &["show", &short.to_uppercase()],
        &["logs", short, "build"],
        &["artifacts", older],
        &["resume", short],
        &["rerun", short, "--stage", "build"],
    ] {
        world.says(0, arguments);
    }
    assert!(world.complains(2, &["cancel", short]).contains("already finished"));
    assert!(world.complains(2, &["approve", short, "build"]).contains("already finished"));
    let told = world.complains(2, &["show", ambiguous]);
    assert_eq!(
        told,
        format!(
            "error: `{ambiguous}` is the beginning of several ids: #2 `{newer}`, #1 `{older}`\n\
             help: give more of the id, or the number of the run\n"
        )
    );
    assert!(world.complains(2, &["show", "01zzz"]).contains("there is no run `01zzz`"));
}
