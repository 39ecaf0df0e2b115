//! A server with runs, secrets and people is saved while it works, and brought back on an empty folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::started::{Process, says, trunkline};

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  unit:
    image: none
    run: 'echo umbrellas; mkdir -p out; echo 3 > out/count'
    artifacts: [out/]
";

/// A folder for everything, and the database of the server where that is Postgres.
pub(crate) struct Place {
    folder: TempDir,
    databases: Vec<String>,
    pub(crate) url: Option<String>,
}

impl Place {
    fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), databases: Vec::new(), url: None }
    }

    /// With two new databases, one of which stays empty.
    #[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
    pub(crate) fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            assert!(std::env::var("CI").is_err(), "in CI `TEST_POSTGRES_URL` must be set");
            eprintln!("SKIPPED: `TEST_POSTGRES_URL` is not set");
            return None;
        };
        let (base, _) = server.rsplit_once('/').unwrap();
        let id = format!("{}_{}", std::process::id(), fastrand::u32(..));
        let names = ["from", "to"].map(|it| format!("backup_{it}_{id}"));
        for name in &names {
            psql(&server, &format!("DROP DATABASE IF EXISTS {name}"));
            psql(&server, &format!("CREATE DATABASE {name}"));
        }
        let url = Some(format!("{base}/{}", names[0]));
        Some(Self { folder: tempfile::tempdir().unwrap(), databases: names.into(), url })
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.on(&self.state(), self.url.as_ref(), arguments)
    }

    /// On the folder that was restored.
    fn restored(&self, arguments: &[&str]) -> Command {
        let url = self.url.as_ref().map(|it| it.replace("_from_", "_to_"));
        self.on(&self.folder.path().join("restored"), url.as_ref(), arguments)
    }

    fn on(&self, state: &Path, url: Option<&String>, arguments: &[&str]) -> Command {
        let mut command = trunkline(state, arguments);
        command.current_dir(self.folder.path()).env("TRUNKLINE_DRAIN_SECONDS", "0");
        if let Some(url) = url {
            command.env("DATABASE_URL", url);
        }
        command
    }
}

impl Drop for Place {
    #[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
    fn drop(&mut self) {
        if let Ok(server) = std::env::var("TEST_POSTGRES_URL") {
            for name in &self.databases {
                psql(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            }
        }
    }
}

fn psql(url: &str, sql: &str) {
    let output = Command::new("psql").args([url, "-qc", sql]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
}

struct Api {
    client: Client,
    url: String,
    token: String,
}

impl Api {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("{}/api/v1{path}", self.url);
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.1
    }
}

/// A run with a log and an artifact in the state folder, from a terminal: its files are those of a server.
fn run(place: &Place) {
    let repository = place.folder.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join(".trunkline.yml"), PIPELINE).unwrap();
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
    ] {
        assert!(
            Command::new("git")
                .args(arguments)
                .current_dir(&repository)
                .status()
                .unwrap()
                .success()
        );
    }
    run_again(place, &place.state());
}

/// Another run of the same commit, with the files of this folder.
fn run_again(place: &Place, state: &Path) {
    let mut command = trunkline(state, &["run", "--executor", "host"]);
    command.current_dir(place.folder.path().join("repository"));
    says(command);
}

/// A copy of a backup with one bit of a blob turned; gives the blob's name.
fn with_damaged_blob(file: &str, copy: &Path) -> String {
    let mut bytes = std::fs::read(file).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let blob = archive.entries().unwrap().map(Result::unwrap).find_map(|it| {
        let name = it.path().unwrap().display().to_string();
        let is_blob = name.starts_with("blobs/sha256/") && it.header().entry_type().is_file();
        is_blob.then(|| (name, usize::try_from(it.raw_file_position()).unwrap()))
    });
    let (name, at) = blob.unwrap();
    bytes[at] ^= 1;
    std::fs::write(copy, bytes).unwrap();
    name
}

/// The restore of this file is refused for this reason, and nothing is left of it.
fn is_refused(place: &Place, file: &str, reason: &str) {
    let output = place.restored(&["restore", file]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && errors.contains(reason), "{errors}");
    assert!(!place.folder.path().join("restored").exists());
}

/// The same questions to a server give the same answers.
async fn answers(api: &Api) -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["/people", "/teams", "/teams/shop/members", "/teams/shop/secrets", "/runs"] {
        all.push(api.get(path).await);
    }
    all
}

fn start(command: Command, token: String) -> (Process, Api) {
    let process = Process::start(command);
    let (client, url) = (Client::new(), process.url.clone());
    (process, Api { client, url, token })
}

/// Restores it, with the key file, which was saved apart.
fn brought_back(place: &Place, file: &str) {
    let damaged = place.folder.path().join("damaged.tar");
    let name = with_damaged_blob(file, &damaged);
    is_refused(place, &damaged.display().to_string(), &format!("`{name}` is damaged"));
    let told = says(place.restored(&["restore", file]));
    assert!(told.contains("no secret can be read"), "{told}");
    let restored = place.folder.path().join("restored");
    std::fs::copy(place.state().join("secret.keys"), restored.join("secret.keys")).unwrap();
    let instance = |state: &Path| std::fs::read_to_string(state.join("instance")).unwrap();
    assert_ne!(instance(&restored), instance(&place.state()), "the containers are not its own");
    let rotated = says(place.restored(&["key", "rotate", "--json"]));
    let rotated: Value = serde_json::from_str(&rotated).unwrap();
    assert_eq!(rotated["unreadable"], 0, "{rotated}");
    assert!(rotated["resealed"].as_u64().unwrap() > 0, "{rotated}");
}

async fn saved_and_brought_back(place: Place) -> Place {
    run(&place);
    says(place.command(&["person", "add", "ada", "--owner", "--no-password"]));
    let make = ["token", "create", "ada", "--name", "test", "--scope", "owner"];
    let token = says(place.command(&make)).trim().to_owned();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let (process, api) = start(place.command(&serve), token.clone());
    let team = json!({ "name": "shop", "title": "Shop" });
    assert_eq!(api.call(Method::POST, "/teams", Some(team)).await.0, StatusCode::CREATED);
    let secret = json!({ "name": "TOKEN", "value": "hunter2-is-long" });
    let (status, said) = api.call(Method::PUT, "/teams/shop/secrets", Some(secret)).await;
    assert!(status.is_success(), "{said}");

    // People are added all the time; what was there before the backup has to be in it.
    let before = answers(&api).await;
    let api = Arc::new(api);
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    load.spawn({
        let (api, stop) = (Arc::clone(&api), Arc::clone(&stop));
        async move {
            let mut added = 0;
            while !stop.load(Ordering::SeqCst) {
                let person = json!({ "login": format!("p{added}") });
                let (status, said) = api.call(Method::POST, "/people", Some(person)).await;
                assert_eq!(status, StatusCode::CREATED, "{said}");
                added += 1;
            }
            added
        }
    });
    let file = place.folder.path().join("backup.tar").display().to_string();
    let backup = ["backup", &file, "--json"];
    let command = place.command(&backup);
    let packed = tokio::task::spawn_blocking(move || says(command)).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    assert!(load.join_all().await.iter().all(|it| *it > 0));
    process.signal("-TERM");
    assert!(process.wait().0.success());
    let packed: Value = serde_json::from_str(&packed).unwrap();
    assert_eq!(packed["manifest"]["has_keys"], false, "{packed}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "only its owner may read it");
    let whole = std::fs::read(&file).unwrap();
    assert!(!whole.windows(15).any(|it| it == b"hunter2-is-long"), "no secret is in it");

    brought_back(&place, &file);
    let (process, api) = start(place.restored(&serve), token);
    let after = answers(&api).await;
    for (before, after) in before.iter().zip(&after) {
        let (before, after) = (before["items"].as_array(), after["items"].as_array());
        let (before, after) = (before.unwrap(), after.unwrap());
        assert!(before.iter().all(|it| after.contains(it)), "{before:#?}\n{after:#?}");
    }
    process.signal("-TERM");
    assert!(process.wait().0.success());
    run_again(&place, &place.folder.path().join("restored"));
    let again = place.restored(&["restore", &file]).output().unwrap();
    assert!(!again.status.success(), "a folder with something in it is left alone");
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_sqlite_is_saved_while_it_works_and_brought_back() {
    let place = Place::sqlite();
    let state = place.state();
    let restored = place.folder.path().join("restored");
    let folder = place.folder.path().to_owned();
    // The place is gone with the test: what is compared by hand is read before.
    let keep = tempfile::tempdir().unwrap();
    saved_and_brought_back_with(place, |_| {
        for name in [&state, &restored] {
            let mut logs = trunkline(name, &["logs", "1", "--raw"]);
            logs.current_dir(&folder);
            let said = says(logs);
            assert!(said.contains("umbrellas"), "{said}");
            let target = keep.path().join(name.file_name().unwrap());
            let target = target.display().to_string();
            let mut artifacts = trunkline(name, &["artifacts", "1", "--download", &target]);
            artifacts.current_dir(&folder);
            says(artifacts);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_postgres_is_saved_while_it_works_and_brought_back() {
    if let Some(place) = Place::postgres() {
        saved_and_brought_back_with(place, |_| ()).await;
    }
}

async fn saved_and_brought_back_with(place: Place, look: impl FnOnce(&Place)) {
    let place = saved_and_brought_back(place).await;
    look(&place);
}

#[test]
fn a_torn_backup_is_refused_and_leaves_nothing() {
    let place = Place::sqlite();
    says(place.command(&["person", "add", "ada", "--no-password"]));
    let file = place.folder.path().join("backup.tar");
    let name = file.display().to_string();
    let told = says(place.command(&["backup", &name]));
    assert!(!told.contains("the key file is in it"), "{told}");
    assert!(!place.command(&["backup", &name]).output().unwrap().status.success(), "it is there");
    let whole = std::fs::read(&file).unwrap();
    for size in [0, 300, whole.len() / 2, whole.len() - 1600] {
        std::fs::write(&file, &whole[..size]).unwrap();
        let output = place.restored(&["restore", &name]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && errors.contains("is no whole backup"),
            "{size}: {errors}"
        );
        assert!(!place.folder.path().join("restored").exists(), "{size}");
    }
    let mut turned = whole;
    turned[8000] ^= 1;
    std::fs::write(&file, turned).unwrap();
    is_refused(&place, &name, "its files are not what was saved");
    let left: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|it| !it.to_string_lossy().contains("restoring")), "{left:?}");
}

/// Names of the files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        if entry.path().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}

#[test]
fn logs_and_blobs_of_a_shared_folder_are_saved_and_brought_back() {
    let place = Place::sqlite();
    run(&place);
    let shared = place.folder.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    for name in ["blobs", "logs"] {
        std::fs::rename(place.state().join(name), shared.join(name)).unwrap();
    }
    let with = |mut command: Command, folder: &Path| {
        command.env("TRUNKLINE_SHARED", folder);
        command
    };
    let file = place.folder.path().join("backup.tar").display().to_string();
    says(with(place.command(&["backup", &file]), &shared));
    let taken = with(place.restored(&["restore", &file]), &shared).output().unwrap();
    assert!(String::from_utf8_lossy(&taken.stderr).contains("is there already"), "{taken:?}");
    let fresh = place.folder.path().join("fresh");
    says(with(place.restored(&["restore", &file]), &fresh));
    for name in ["blobs/sha256", "logs"] {
        let count = files(&shared.join(name)).len();
        assert!(count > 0 && files(&fresh.join(name)).len() == count, "{name}");
    }
    let mut left = std::fs::read_dir(&fresh).unwrap().map(|it| it.unwrap().file_name());
    assert!(left.all(|it| it == "blobs" || it == "logs"));

    std::fs::remove_dir_all(place.folder.path().join("restored")).unwrap();
    says(place.restored(&["restore", &file]));
    let restored = place.folder.path().join("restored");
    let mut logs = trunkline(&restored, &["logs", "1", "--raw"]);
    logs.current_dir(place.folder.path());
    let said = says(logs);
    assert!(said.contains("umbrellas"), "{said}");
}

#[test]
fn a_state_that_is_not_there_is_not_made() {
    let place = Place::sqlite();
    let file = place.folder.path().join("backup.tar").display().to_string();
    let asked: [&[&str]; 5] =
        [&["backup", &file], &["audit"], &["key", "status"], &["workers"], &["gc", "--of-server"]];
    let elsewhere = format!("sqlite:{}/none.db", place.folder.path().display());
    for arguments in asked {
        for url in [None, Some(&elsewhere)] {
            let output = place.on(&place.state(), url, arguments).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let path = if url.is_some() { "none.db" } else { "state.db" };
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
            assert!(errors.contains(path) && errors.contains("--state"), "{errors}");
        }
    }
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);

    let add = |login| place.command(&["person", "add", login, "--no-password"]).output().unwrap();
    let said = |login| String::from_utf8_lossy(&add(login).stderr).into_owned();
    assert!(said("ada").contains("state.db` is new"));
    assert!(!said("eve").contains("is new"));
}
