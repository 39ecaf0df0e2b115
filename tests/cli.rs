//! The built binary, as a person or a script uses it. Stages run on the host, so no Docker is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "cli/capacity.rs"]
mod capacity;
#[path = "cli/lists.rs"]
mod lists;
#[path = "cli/references.rs"]
mod references;
#[path = "cli/endings.rs"]
mod endings;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/committed.rs"]
mod committed;
#[path = "cli/unwritable.rs"]
mod unwritable;

const PIPELINE: &str = r#"version: 1
name: demo
on: { push: {} }
defaults: { image: "busybox:stable" }
stages:
  build:
    run: mkdir out && echo made > out/a.txt && echo building
    artifacts: { paths: [out/], expire: 1d }
  unit:
    matrix: { kind: ["fast", "slow"] }
    steps:
      - run: echo preparing
      - { name: tests, run: 'echo testing; echo "{\"f1\": 0.9}" >> $TRUNKLINE_METRICS' }
  bad:
    needs: [build]
    run: test -e fixed || { echo oh no; exit 3; }
  after: { needs: [bad], run: cat fixed }
"#;

/// A repository and a state folder of its own.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new(pipeline: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        make_repository(&world.repository(), pipeline);
        world
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.repository().join(path), text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        git(&self.repository(), arguments);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.args(arguments).current_dir(self.repository()).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("USER", "ada");
        command.env("TRUNKLINE_STATE", self.folder.path().join("state"));
        command.env("TRUNKLINE_EXECUTOR", "host");
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that must end with this exit code.
    fn says(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}\n{errors}");
        text
    }

    /// Standard error of a command that must end with this exit code.
    fn complains(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
        text.replace(&self.folder.path().display().to_string(), "<folder>")
    }

    fn json(&self, code: i32, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(code, arguments)).unwrap()
    }

    /// Waits until a run of the list stands so.
    fn wait_until(&self, status: &str) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !self.says(0, &["runs"]).contains(status) {
            assert!(std::time::Instant::now() < until, "no run is ever `{status}`");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

fn make_repository(folder: &Path, pipeline: &str) {
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join(".trunkline.yml"), pipeline).unwrap();
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message", "First"]);
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    assert!(git.args(arguments).current_dir(folder).status().unwrap().success());
}

#[test]
fn a_good_file_passes_the_check() {
    let world = World::new(PIPELINE);
    assert_eq!(world.says(0, &["check"]), "✓ .trunkline.yml: fine, 4 stages\n");
    let json = world.json(0, &["check", "--json"]);
    assert_eq!(json[0]["pipeline"], "demo");
    assert_eq!(json[0]["problems"], serde_json::json!([]));
}

#[test]
fn a_bad_file_shows_every_problem_and_no_run_begins() {
    let world =
        World::new("version: 1\nname: demo\nstages:\n  a: { rn: x }\n  b: { neds: [a], run: x }\n");
    let checked = world.says(2, &["check"]);
    assert!(checked.contains("unknown key `rn`"), "{checked}");
    assert!(checked.contains("did you mean `needs`?"), "{checked}");
    let problems = world.json(2, &["check", "--json"])[0]["problems"].clone();
    for key in ["code", "severity", "message", "help", "file", "line", "column", "span"] {
        assert!(problems[0].get(key).is_some(), "no `{key}` in {problems}");
    }
    assert!(world.complains(2, &["run"]).contains("unknown key `rn`"));
    assert_eq!(world.says(0, &["runs", "--all"]), "no runs; `trunkline run` makes one\n");
}

#[test]
fn a_file_that_is_no_text_is_a_problem_and_the_others_are_checked_all_the_same() {
    let world = World::new(PIPELINE);
    std::fs::create_dir(world.repository().join("pipelines")).unwrap();
    std::fs::write(world.repository().join("pipelines/a.yml"), b"name: gr\xfcn\n").unwrap();
    let told = world.says(2, &["check"]);
    assert!(told.contains("the byte 0xFC at offset 8 is not UTF-8 text"), "{told}");
    assert!(told.contains("--> pipelines/a.yml:1:9"), "{told}");
    assert!(told.contains("✓ .trunkline.yml: fine, 4 stages"), "{told}");
    let told = world.says(2, &["check", "nothing.yml", ".trunkline.yml"]);
    assert!(told.contains("`nothing.yml` cannot be read: No such file"), "{told}");
    assert!(told.contains("✓ .trunkline.yml: fine, 4 stages"), "{told}");
}

#[test]
fn two_pipelines_of_one_name_are_refused_by_check_and_run() {
    let world = World::new(PIPELINE);
    std::fs::create_dir(world.repository().join("pipelines")).unwrap();
    world.write("pipelines/demo.yml", "stages: { a: { image: busybox, run: 'true' } }\n");
    let told = world.says(2, &["check"]);
    assert!(told.contains("`pipelines/demo.yml` is called `demo` too"), "{told}");
    assert!(told.contains("--> .trunkline.yml:2:7"), "{told}");
    assert!(told.contains("`.trunkline.yml` is called `demo` too"), "{told}");
    assert!(world.complains(2, &["run", ".trunkline.yml"]).contains("is called `demo` too"));
}

#[test]
fn the_schema_is_json() {
    let schema = World::new(PIPELINE).json(0, &["check", "--schema"]);
    assert!(schema.get("properties").is_some(), "{schema}");
}

#[test]
fn the_graph_is_text_or_a_drawing() {
    let world = World::new(PIPELINE);
    let text = world.says(0, &["graph"]);
    assert!(text.contains("bad") && text.contains("← build"), "{text}");
    assert!(world.says(0, &["graph", "--svg", "-"]).starts_with("<svg"));
}

#[test]
fn the_graph_of_a_pipeline_that_looks_at_files_reads_the_last_commit() {
    let stages = "stages:
  a: { cache: [{ key: \"k-${{ hash('*.txt') }}\", paths: [c] }], run: 'true' }
  b: { if: changed('*.txt'), run: 'true' }
";
    let head = "version: 1\nname: demo\ndefaults: { image: x }\n";
    let world = World::new(&format!("{head}{stages}"));
    world.write("a.txt", "a");
    world.git(&["add", "."]);
    world.git(&["commit", "--quiet", "--message", "Second"]);
    let text = world.says(0, &["graph"]);
    assert!(text.contains('a') && text.contains('b'), "{text}");
}

#[test]
fn only_a_person_gives_inputs() {
    let who = "on: { push: {}, manual: { inputs: { who: { type: string, required: true } } } }";
    let stage = "stages:\n  a: { image: 'busybox:stable', run: 'true' }";
    let world = World::new(&format!("version: 1\nname: greet\n{who}\n{stage}\n"));
    let told = world.complains(2, &["run", "--executor", "host"]);
    assert!(told.contains("`who`"), "{told}");
    world.says(0, &["run", "--executor", "host", "--event", "push"]);
}

#[test]
fn a_repository_without_a_commit_has_no_committed_state() {
    let world = World::new(PIPELINE);
    std::fs::remove_dir_all(world.repository().join(".git")).unwrap();
    git(&world.repository(), &["init", "--quiet"]);
    let told = world.complains(2, &["run", "--committed"]);
    assert!(told.contains("the repository has no commit yet"), "{told}");
}

#[test]
fn a_pipeline_file_is_no_way_to_other_files_of_the_machine() {
    let world = World::new(PIPELINE);
    let secret = world.folder.path().join("secret.yml");
    std::fs::write(&secret, "root:x:0:0").unwrap();
    std::fs::create_dir_all(world.repository().join("pipelines")).unwrap();
    std::os::unix::fs::symlink(&secret, world.repository().join("pipelines/link.yml")).unwrap();
    let told = world.says(2, &["check", "pipelines/link.yml"]);
    assert!(told.contains("it links to a place outside of the repository"), "{told}");
    assert!(!told.contains("root:x"), "{told}");
}

#[test]
fn mistakes_name_what_is_known() {
    let world = World::new(PIPELINE);
    let told = [
        world.complains(2, &["run", "nope"]),
        world.complains(2, &["run", "--stage", "buidl"]),
        world.complains(2, &["run", "--input", "level=1"]),
        world.complains(2, &["run", "--env", "X"]),
        world.complains(2, &["run", "--env", "A B=c"]),
        world.complains(2, &["run", "--secrets-file", "nowhere.env"]),
        world.says(2, &["check", "nowhere.yml"]),
        world.complains(2, &["run", "--secret", "TOKEN"]),
        world.complains(2, &["show", "7"]),
        world.complains(2, &["logs"]),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn outside_of_a_repository_the_error_says_what_to_do() {
    let world = World::new(PIPELINE);
    let mut command = world.command(&["run"]);
    let output = command.current_dir(world.folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    let text = text.replace(&world.folder.path().display().to_string(), "<folder>");
    assert_eq!(
        text,
        "error: `<folder>` is not inside a git repository\n\
         help: run `git init`, or go to a folder of a repository\n"
    );
}

#[test]
fn a_failed_run_is_shown_read_and_tried_again() {
    let world = World::new(PIPELINE);
    let told = world.says(1, &["run"]);
    for line in [
        "build        passed in",
        "unit (fast)  step 2 of 2: tests",
        "bad         | oh no",
        "skipped: `bad` failed",
        "✗ bad  user, exit code 3",
        "build: out/ (1 file,",
        "trunkline rerun --failed 1",
    ] {
        let line = line.trim_start();
        assert!(told.contains(line), "no `{line}` in:\n{told}");
    }
    assert_eq!(world.says(0, &["logs", "last", "bad"]), "oh no\n");
    assert_eq!(world.says(0, &["logs"]), "oh no\n", "the failed stage is the default");
    assert_eq!(world.says(0, &["logs", "1", "unit (fast)", "--step", "1"]), "preparing\n");
    assert!(world.says(0, &["runs"]).contains("#1  failed"));

    let error = world.complains(2, &["rerun", "1", "--stage", "nope"]);
    assert!(error.contains("known") || error.contains("its stages are"), "{error}");
    let again = world.says(1, &["rerun", "--failed", "1"]);
    assert!(!again.contains("unit (fast)  started"), "green stages are not run again:\n{again}");
    let show = world.json(0, &["show", "1", "--json"]);
    let bad = show["stages"].as_array().unwrap().iter().find(|it| it["key"] == "bad").unwrap();
    assert_eq!(bad["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn artifacts_are_listed_and_unpacked() {
    let world = World::new(PIPELINE);
    world.says(0, &["run", "--stage", "build"]);
    let listed = world.json(0, &["artifacts", "--json"]);
    assert_eq!(listed[0]["stage_key"], "build");
    assert_eq!(listed[0]["files"], 1);
    assert_eq!(listed[0]["unpacked_bytes"], 5, "the size of the file, not of its archive");
    assert!(world.says(0, &["artifacts"]).contains("out/  1 file, 5 B, kept until "));
    assert!(world.says(0, &["show"]).contains("build: out/ (1 file, 5 B)"));
    world.says(0, &["artifacts", "last", "build", "--download", "got"]);
    let file = world.repository().join("got/build/out/a.txt");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "made\n");
}

#[test]
fn the_working_tree_is_run_as_it_is_and_committed_is_not() {
    let world = World::new(PIPELINE);
    world.write("fixed", "now\n");
    let told = world.says(0, &["run", "--stage", "after"]);
    assert!(told.contains("after | now"), "uncommitted files are part of it:\n{told}");
    world.says(1, &["run", "--stage", "after", "--committed"]);
}

#[test]
fn json_is_one_event_a_line_and_the_run_at_the_end() {
    let world = World::new(PIPELINE);
    let told = world.says(0, &["run", "--stage", "unit", "--json", "--logs"]);
    let lines: Vec<Value> = told.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let (last, events) = lines.split_last().unwrap();
    let types: Vec<_> = events.iter().map(|it| it["type"].as_str().unwrap()).collect();
    for wanted in ["attempt_started", "step_finished", "log", "attempt_finished", "run_finished"] {
        assert!(types.contains(&wanted), "no `{wanted}` in {types:?}");
    }
    let started = events.iter().find(|it| it["type"] == "attempt_started").unwrap();
    assert_eq!(started["stage_key"], "unit (fast)");
    assert!(started["at"].is_i64() && started["seq"].is_i64(), "{started}");
    assert_eq!((&last["type"], &last["status"]), (&"run".into(), &"passed".into()));
}

#[test]
fn secrets_that_are_missing_are_told_before_anything_runs() {
    let stages = "a: { run: echo ran }\n  \
                  b: { needs: [a], secrets: [KEY, TOKEN], run: 'true' }\n  \
                  c: { secrets: [KEY], run: 'true' }\n  \
                  d: { if: \"event == 'manual'\", secrets: [OTHER], run: 'true' }";
    let head = "version: 1\nname: demo\non: { push: {} }\ndefaults: { image: x }\nstages:\n  ";
    let world = World::new(&format!("{head}{stages}\n"));
    assert_eq!(
        world.complains(2, &["run"]),
        "error: 2 secrets are missing: `KEY` (for stages `b`, `c`), `TOKEN` (for stage `b`)\n\
         help: give them with `--secret KEY=…` (`--secret KEY` takes it from the environment), or \
         with `--secrets-file FILE`, which has `NAME=value` lines\n"
    );
    assert_eq!(world.says(0, &["runs", "--all"]), "no runs; `trunkline run` makes one\n");
    let told = world.complains(2, &["run", "--secret", "KEY=1"]);
    assert!(told.starts_with("error: a secret is missing: `TOKEN` (for stage `b`)\n"), "{told}");
    world.says(0, &["run", "--secret", "KEY=1", "--secret", "TOKEN=2"]);
    world.says(0, &["run", "--stage", "a"]);
}

#[test]
fn a_secret_reaches_the_stage_and_never_the_log() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         a: { image: x, secrets: [TOKEN], run: 'echo \"token $TOKEN\"; test \"$TOKEN\" = hunter22' }\n",
    );
    let told = world.says(0, &["run", "--secret", "TOKEN=hunter22"]);
    assert!(told.contains("token ***") && !told.contains("hunter22"), "{told}");
    world.write("secrets.env", "TOKEN='hunter22'\n");
    world.says(0, &["run", "--secrets-file", "secrets.env"]);
}

#[test]
fn an_approval_waits_for_a_person() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         ok: { approval: { by: [team/ops], count: 1 } }\n  \
         go: { needs: [ok], image: x, run: echo went }\n",
    );
    let mut run = world.command(&["run"]).stdout(Stdio::piped()).spawn().unwrap();
    world.wait_until("waiting");
    let refused = world.complains(2, &["approve", "last", "ok"]);
    assert!(refused.contains("ada") || refused.contains("ops"), "{refused}");
    world.says(0, &["approve", "last", "ok", "--team", "ops", "-m", "fine"]);
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(world.says(0, &["show"]).contains("approved by ada"));
    let late = world.complains(2, &["reject", "last", "ok", "--team", "ops"]);
    assert!(late.starts_with("error: "), "{late}");
}

#[test]
fn interrupting_cancels_and_terminating_leaves_the_run_to_be_resumed() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         a: { image: x, run: 'echo one; while [ ! -e go ]; do sleep 0.1; done; echo two' }\n",
    );
    let cancelled = started(&world, "one");
    signal(&cancelled, "INT");
    assert_eq!(ended(cancelled), Some(1));
    assert!(world.says(0, &["runs"]).contains("cancelled"));

    let left = started(&world, "one");
    signal(&left, "TERM");
    assert_eq!(ended(left), Some(143));
    assert!(world.says(0, &["runs"]).contains("interrupted"));
    world.says(0, &["cancel", "last"]);
    assert_eq!(world.json(0, &["show", "last", "--json"])["status"], "cancelled");
}

#[test]
fn an_approval_by_two_says_after_the_first_that_one_more_is_needed() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  ok: { approval: { count: 2 } }\n",
    );
    let mut run = world.command(&["run"]).stdout(Stdio::piped()).spawn().unwrap();
    world.wait_until("waiting");
    let told = world.says(0, &["approve", "last", "ok", "--by", "ada"]);
    assert_eq!(told, "`ok` of run #1 has 1 of 2 approvals; needs one more\n");
    let told = world.json(0, &["approve", "last", "ok", "--by", "bob", "--json"]);
    assert_eq!(told["missing_approvals"], 0);
    assert_eq!(told["approvals"], serde_json::json!(["ada", "bob"]));
    assert_eq!(run.wait().unwrap().code(), Some(0));
}

#[test]
fn a_rerun_reuses_what_is_unchanged_unless_that_is_forbidden() {
    let world = World::new(
        "version: 1\nname: demo\non: { push: {} }\nstages:\n  \
         a: { image: x, inputs: ['*.yml'], run: echo once }\n",
    );
    world.says(0, &["run"]);
    assert!(world.says(0, &["rerun", "1"]).contains("an earlier result is reused"));
    assert!(world.says(0, &["rerun", "1", "--no-reuse"]).contains("a   | once"));
}

/// A run whose stage has printed `text`.
fn started(world: &World, text: &str) -> std::process::Child {
    use std::io::{BufRead as _, BufReader};
    let mut run = world.command(&["run"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|it| it.unwrap().ends_with(text)), "`{text}` is never printed");
    run
}

fn signal(run: &std::process::Child, name: &str) {
    let pid = run.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

fn ended(run: std::process::Child) -> Option<i32> {
    run.wait_with_output().unwrap().status.code()
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let world = World::new(PIPELINE);
    world.says(0, &["run", "--stage", "build"]);
    let script =
        format!("{} logs last build | head -c 1 >/dev/null", env!("CARGO_BIN_EXE_trunkline"));
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(world.repository());
    command.env("TRUNKLINE_STATE", world.folder.path().join("state"));
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn garbage_is_counted_before_it_is_removed() {
    let world = World::new(PIPELINE);
    world.says(0, &["run", "--stage", "build"]);
    let dry = world.json(0, &["gc", "--dry-run", "--runs-older-than", "0", "--json"]);
    assert_eq!((&dry["runs"], &dry["dry_run"]), (&1.into(), &true.into()));
    assert_eq!(world.json(0, &["gc", "--runs-older-than", "0", "--json"])["runs"], 1);
    assert_eq!(world.says(0, &["runs", "--all"]), "no runs; `trunkline run` makes one\n");
}

#[test]
fn the_doctor_says_what_is_wrong_with_docker() {
    let world = World::new(PIPELINE);
    let mut command = world.command(&["doctor", "--json"]);
    let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings[0]["subject"], "docker");
    assert_eq!(findings[0]["level"], "failure");
    assert!(findings[0]["fix"].as_str().unwrap().contains("docker.io"), "{findings}");
}

#[test]
fn the_state_folder_belongs_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(PIPELINE);
    world.says(0, &["runs"]);
    let state: &Path = &world.folder.path().join("state");
    assert_eq!(std::fs::metadata(state).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn completions_know_the_subcommands() {
    assert!(World::new(PIPELINE).says(0, &["completions", "bash"]).contains("rerun"));
}
