//! The server as a process: how it is configured, and how it ends.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::started::{Process, says, trunkline};

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_says_that_it_stops_then_stops_and_leaves_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    file(folder.path(), "token", "scrape-me\n");
    let config = file(
        folder.path(),
        "server.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\ndrain_seconds = 2\n[log]\nformat = \"json\"\n\
         [metrics]\ntoken_file = \"token\"\n",
    );
    let config = config.display().to_string();
    let process = Process::start(trunkline(&state, &["serve", "--config", &config]));
    assert_eq!(process.first_lines.len(), 2, "the set-up token, and where it listens");
    for line in &process.first_lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["timestamp"].is_string() && line["level"] == "INFO", "{line}");
    }
    let url = process.url.clone();
    let get = async |path: &str| reqwest::get(format!("{url}{path}")).await;
    assert_eq!(get("/readyz").await.unwrap().status(), 200);
    assert_eq!(get("/metrics").await.unwrap().status(), 401);
    let client = reqwest::Client::new();
    let scraped = client.get(format!("{url}/metrics")).bearer_auth("scrape-me").send().await;
    let scraped = scraped.unwrap().text().await.unwrap();
    assert!(scraped.contains("\ntrunkline_slots "), "{scraped}");

    let began = Instant::now();
    process.signal("-TERM");
    let mut seen = Vec::new();
    while let Ok(answer) = get("/readyz").await {
        seen.push(answer.status().as_u16());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(seen.contains(&503) && *seen.last().unwrap() == 503, "{seen:?}");
    assert!(began.elapsed() >= Duration::from_millis(1900), "{:?}", began.elapsed());
    let (status, log) = process.wait();
    assert!(status.success(), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    let answered = log.lines().find(|it| it.contains("answered") && it.contains("/metrics"));
    assert!(answered.is_none(), "what watches us is not worth a line");
    assert!(!log.contains("scrape-me"), "{log}");

    let entries = says(trunkline(&state, &["audit", "--json"]));
    let actions: Vec<Value> = entries
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap()["action"].clone())
        .collect();
    assert_eq!(actions, ["server.stop", "server.start"]);
    // `USER` is not set: the name of the process's user stands for it.
    let first: Value = serde_json::from_str(entries.lines().next().unwrap()).unwrap();
    let actor = first["actor"].as_str().unwrap();
    assert!(actor.starts_with("machine:") && actor != "machine:somebody", "{actor}");
}

#[test]
fn a_server_with_a_bad_file_offers_itself_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let gateway = file(folder.path(), "gateway.toml", "[[routes]]\nmodel = \n");
    let mut command = trunkline(&state, &["serve", "--listen", "127.0.0.1:0"]);
    let output = command.env("TRUNKLINE_GATEWAY", &gateway).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("gateway.toml"), "{said}");
    assert!(!said.contains("set-up token"), "{said}");
    assert_eq!(says(trunkline(&state, &["audit", "--json"])), "", "it has not started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_being_answered_is_answered() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut command = trunkline(&state, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("TRUNKLINE_DRAIN_SECONDS", "0");
    let process = Process::start(command);
    let address = process.url.strip_prefix("http://").unwrap().to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /api/v1/sign-in HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 34\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    process.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(tokio::net::TcpStream::connect(&address).await.is_err(), "nothing new is taken");
    stream.write_all(br#"{"login":"ada","password":"wrong"}"#).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let (status, log) = process.wait();
    assert!(status.success(), "{log}");
}

#[test]
fn a_wrong_configuration_is_told_whole_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let config =
        file(folder.path(), "server.toml", "[server]\nlistn = \"x\"\n[worker]\njobs = 0\n");
    let config = config.display().to_string();
    let serve = trunkline(&state, &["serve", "--config", &config]).output().unwrap();
    let errors = String::from_utf8_lossy(&serve.stderr).into_owned();
    assert_eq!(serve.status.code(), Some(2), "{errors}");
    assert!(errors.contains("server.toml:2:1") && errors.contains("server.toml:4:8"), "{errors}");
    assert!(errors.contains("did you mean `server.listen`?"), "{errors}");
    assert!(!state.exists());

    let check =
        trunkline(&state, &["check", "--server-config", &config, "--json"]).output().unwrap();
    assert_eq!(check.status.code(), Some(2));
    let told: Value = serde_json::from_slice(&check.stdout).unwrap();
    let problems = told[0]["problems"].as_array().unwrap();
    let codes: Vec<_> = problems.iter().map(|it| it["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["config/unknown-key", "config/wrong-value"], "{told}");
    let missing = trunkline(&state, &["serve", "--config", "/nowhere.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_key_of_a_provider_that_is_not_set_is_told_before_the_first_call() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let gateway = "[[provider]]\nname = \"far\"\ndialect = \"openai\"\nurl = \"http://127.0.0.1:9\"\n\
                   key_variables = [\"ABSENT_MODEL_KEY\"]\n";
    file(folder.path(), "gateway.toml", gateway);
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[gateway]\nfile = \"gateway.toml\"\n";
    let config = file(folder.path(), "server.toml", config).display().to_string();
    let check = trunkline(&state, &["check", "--server-config", &config]).output().unwrap();
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(0), "{told}");
    let said = "warning[config/missing-key]: `ABSENT_MODEL_KEY`, with the key of the provider `far`, is not set here";
    assert!(told.contains(said) && told.contains("gateway.toml:5:18"), "{told}");

    let process = Process::start(trunkline(&state, &["serve", "--config", &config]));
    process.signal("-TERM");
    let (status, log) = process.wait();
    assert!(status.success(), "{log}");
    let said =
        "no key for the provider `far`: `ABSENT_MODEL_KEY` is not set, and its calls are refused";
    assert!(log.contains("WARN") && log.contains(said), "{log}");
}

#[test]
fn a_second_server_on_one_sqlite_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let process = Process::start(trunkline(&state, &serve));
    let second = trunkline(&state, &serve).output().unwrap();
    let errors = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{errors}");
    let holder = format!("process {} on {}", process.id(), process.url);
    let told = format!("the state folder `{}` is served by {holder}\n", state.display());
    assert!(errors.contains(&told), "{errors}");
    assert!(errors.contains("help: stop that one"), "{errors}");
    assert_eq!(String::from_utf8_lossy(&second.stdout), "");
    // The first one does not mind, and leaves the folder to the next.
    process.signal("-KILL");
    process.wait();
    Process::start(trunkline(&state, &serve));
}

const ONE_STAGE: &str = "\
version: 1
name: ci
on: { push: {}, manual: {} }
stages:
  unit: { image: none, run: 'true' }
";

/// A bare repository with a pipeline, and the address of it.
fn repository(folder: &Path) -> String {
    let work = folder.join("git/web");
    std::fs::create_dir_all(work.join("pipelines")).unwrap();
    file(&work.join("pipelines"), "ci.yml", ONE_STAGE);
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ] {
        let git = Command::new("git").args(arguments).current_dir(&work).status().unwrap();
        assert!(git.success());
    }
    format!("file://{}", work.display())
}

#[test]
fn a_server_without_slots_answers_and_drives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (state, home) = (folder.path().join("state"), folder.path().join("home"));
    std::fs::create_dir(&home).unwrap();
    let address = repository(folder.path());
    says(trunkline(&state, &["person", "add", "ada", "--owner", "--no-password"]));
    says(trunkline(&state, &["team", "add", "shop"]));
    let make = ["token", "create", "ada", "--name", "test", "--scope", "owner"];
    let token = says(trunkline(&state, &make)).trim().to_owned();
    let serve = |slots: &str, executor: &str| {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--slots", slots];
        let mut command = trunkline(&state, &arguments);
        command.env("TRUNKLINE_REPOSITORIES", folder.path().join("git"));
        command.env("TRUNKLINE_DRAIN_SECONDS", "0");
        // No Docker is there.
        command.env("TRUNKLINE_EXECUTOR", executor).env("DOCKER_HOST", "unix:///nowhere");
        Process::start(command)
    };
    let ask = |process: &Process, arguments: &[&str]| {
        let mut command = trunkline(&home, arguments);
        command.env("TRUNKLINE_SERVER", &process.url).env("TRUNKLINE_TOKEN", &token);
        says(command)
    };
    let status = |process: &Process| -> Value {
        let shown = ask(process, &["show", "1", "--json"]);
        serde_json::from_str::<Value>(&shown).unwrap()["status"].clone()
    };

    let idle = serve("0", "docker");
    ask(&idle, &["project", "create", "shop/web", "--address", &address]);
    ask(&idle, &["run", "ci", "--project", "shop/web", "--detach"]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(status(&idle), "queued");
    assert_eq!(says(trunkline(&state, &["workers", "--json"])).trim(), "[]");
    idle.signal("-TERM");
    let (ended, log) = idle.wait();
    assert!(ended.success(), "{log}");

    let driving = serve("1", "host");
    let until = Instant::now() + Duration::from_mins(1);
    while status(&driving) != "passed" {
        assert!(Instant::now() < until, "nobody drives it: {}", status(&driving));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn serve_and_worker_offer_only_what_means_something_there() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for command in ["serve", "worker"] {
        let help = says(trunkline(&state, &[command, "--help"]));
        for option in ["--keep", "--logs", "--plain", "--secret", "--server"] {
            assert!(!help.contains(&format!("{option} ")), "`{command}` offers {option}:\n{help}");
        }
        assert!(help.contains("--slots <N>") && help.contains("--executor <EXECUTOR>"), "{help}");
        let odd = trunkline(&state, &[command, "--secret", "A=b"]).output().unwrap();
        assert_eq!(odd.status.code(), Some(2), "{odd:?}");
    }
    let named = trunkline(&state, &["serve", "--server", "ci.example"]).output().unwrap();
    let errors = String::from_utf8_lossy(&named.stderr);
    assert!(errors.contains("works on this machine, and not on a server"), "{errors}");
    let drained = trunkline(&state, &["worker", "drain", "builder"]).output().unwrap();
    let errors = String::from_utf8_lossy(&drained.stderr);
    assert_eq!(drained.status.code(), Some(2), "{errors}");
    assert!(errors.contains("no server has kept anything in"), "{errors}");
    assert!(!state.exists(), "a question makes no database");
}
