//! A real server with a real worker, and what people do to it from a terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use trunkline::model::ProjectId;
use trunkline::store::Store;

use crate::bench::{block_on, remove_things_of};
use crate::database::OwnDatabase;
use crate::docker;
use crate::models::{PRICES, Provider};
use crate::node;
use crate::repository::Repo;
use crate::started::{Process, trunkline};

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The file of its gateway.
const GATEWAY: &str = "gateway.toml";

/// Where rows are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    Sqlite,
    Postgres,
}

/// A server whose stages run in Docker. Gone with this value, with all that it made.
pub(crate) struct Installation {
    process: Option<Process>,
    database: Option<OwnDatabase>,
    _models: Provider,
    pub(crate) url: String,
    /// Of the owner; empty until there is one.
    token: String,
    folder: TempDir,
}

impl Installation {
    /// With nobody in it. `None` where a part is missing, which is said aloud on a laptop and fails in CI.
    pub(crate) fn empty(rows: Rows) -> Option<Self> {
        if !docker::is_here() || !node::is_here() {
            return None;
        }
        let database = match rows {
            Rows::Sqlite => None,
            Rows::Postgres => Some(OwnDatabase::make("browser")?),
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("git")).unwrap();
        let models = Provider::start();
        std::fs::write(folder.path().join(GATEWAY), models.gateway_file()).unwrap();
        std::fs::write(folder.path().join("prices.toml"), PRICES).unwrap();
        let (url, token) = (String::new(), String::new());
        Some(Self { process: None, database, _models: models, url, token, folder })
    }

    /// With the owner ada, and the team shop.
    pub(crate) fn start(rows: Rows) -> Option<Self> {
        let mut installation = Self::empty(rows)?;
        installation.here(&["person", "add", "ada", "--owner"]);
        installation.here(&["team", "add", "shop"]);
        installation.here(&["team", "member", "shop", "ada", "admin"]);
        let make = ["token", "create", "ada", "--name", "terminal", "--scope", "owner"];
        let made = installation.here(&make);
        made.trim().clone_into(&mut installation.token);
        installation.serve();
        Some(installation)
    }

    /// Somebody else of the team shop.
    pub(crate) fn member(&self, login: &str, role: &str) {
        self.here(&["person", "add", login]);
        self.here(&["team", "member", "shop", login, role]);
    }

    /// Starts the server; where it was, when it had been started before. Gives the set-up token, if there is one.
    pub(crate) fn serve(&mut self) -> Option<String> {
        let address = self.url.strip_prefix("http://").unwrap_or("127.0.0.1:0").to_owned();
        let process = Process::start(self.command(&["serve", "--listen", &address]));
        self.url.clone_from(&process.url);
        let told = process.first_lines.iter().find_map(|it| it.split_once("set-up token: "));
        let token = told.map(|(_, token)| token.trim().to_owned());
        self.process = Some(process);
        token
    }

    /// Takes the server away at once, as a power cut does.
    pub(crate) fn kill(&mut self) {
        let process = self.process.take().unwrap();
        process.signal("-KILL");
        process.wait();
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = trunkline(&self.state(), arguments);
        command.current_dir(self.folder.path()).env("TRUNKLINE_EXECUTOR", "docker");
        command.env("TRUNKLINE_REPOSITORIES", self.folder.path().join("git"));
        command.env("TRUNKLINE_DRAIN_SECONDS", "0").env("TRUNKLINE_JOBS", "4");
        command.env("TRUNKLINE_GATEWAY", self.folder.path().join(GATEWAY));
        command.env("PROVIDER_KEY", "sk-provider").env("TRUNKLINE_PRIVATE_HOSTS", "127.0.0.1");
        if let Some(database) = &self.database {
            command.env("DATABASE_URL", database.url());
        }
        command
    }

    /// What a command on the server's machine prints. Where a password is asked for, everybody has the same.
    pub(crate) fn here(&self, arguments: &[&str]) -> String {
        typed(self.command(arguments), &format!("{PASSWORD}\n"), &[0])
    }

    /// What a command of the owner prints, who is elsewhere; it may end with the code of a failed run.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        self.types("", arguments)
    }

    /// As [`Installation::says`], with this on standard input.
    pub(crate) fn types(&self, stdin: &str, arguments: &[&str]) -> String {
        typed(self.elsewhere(arguments), stdin, &[0, 1])
    }

    fn elsewhere(&self, arguments: &[&str]) -> Command {
        let mut command = trunkline(&self.folder.path().join("home"), arguments);
        std::fs::create_dir_all(self.folder.path().join("home")).unwrap();
        command.env("TRUNKLINE_SERVER", &self.url).env("TRUNKLINE_TOKEN", &self.token);
        command
    }

    /// What a command of the owner prints with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// What the API answers the owner, for whom all must go well.
    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new().request(method, format!("{}/api/v1{path}", self.url));
        let request = request.bearer_auth(&self.token).json(body);
        block_on(async move {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap_or_default()
        })
    }

    /// Somebody else lets a stage of a run through.
    pub(crate) fn approve_as(&self, login: &str, run: &str, stage: &str) {
        let make = ["token", "create", login, "--name", "browser", "--scope", "approver"];
        let token = self.here(&make).trim().to_owned();
        let url = format!("{}/api/v1/runs/{run}/stages/{stage}/approve", self.url);
        let request =
            reqwest::Client::new().post(url).bearer_auth(token).json(&serde_json::json!({}));
        let status = block_on(async move { request.send().await.unwrap().status() });
        assert!(status.is_success(), "{login} may not approve: {status}");
    }

    /// A remote repository, and a clone of it.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> (Repo, String) {
        let bare = self.folder.path().join("git").join(format!("{name}.git"));
        let bare = bare.display().to_string();
        let mut repo = Repo::new();
        for (path, text) in files {
            repo = repo.file(path, text);
        }
        let repo = repo.commit("The first commit");
        repo.git(&["clone", "-q", "--bare", ".", &bare]);
        (repo, bare)
    }

    /// A project of the team shop with a remote of its own, whose pushes the server hears of.
    pub(crate) fn project(&self, name: &str, files: &[(&str, &str)]) -> Remote {
        let (repo, bare) = self.repository(name, files);
        let slug = format!("shop/{name}");
        self.says(&["project", "create", &slug, "--address", &format!("file://{bare}")]);
        let remote = Remote { repo, bare, slug };
        self.wait_for_first_look(&remote);
        remote.install_hook(&self.url, &self.token);
        remote
    }

    /// The first look starts nothing, and is over when the remote's refs are known.
    fn wait_for_first_look(&self, remote: &Remote) {
        let shown = self.send(Method::GET, &format!("/projects/{}", remote.slug), &Value::Null);
        let project = ProjectId(shown["id"].as_str().unwrap().to_owned());
        self.says(&["project", "notify", &remote.slug]);
        let until = Instant::now() + Duration::from_mins(1);
        let look = async || {
            let store = Store::open(&self.database_url()).await.unwrap();
            while store.list_known_refs(&project).await.unwrap().is_empty() {
                assert!(Instant::now() < until, "the remote is not looked at");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            store.close().await;
        };
        block_on(look());
    }

    fn database_url(&self) -> String {
        let sqlite = || format!("sqlite:{}", self.state().join("state.db").display());
        self.database.as_ref().map_or_else(sqlite, OwnDatabase::url)
    }

    /// Waits until the owner is shown a run that stands so.
    pub(crate) fn wait_until(&self, run: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_mins(3);
        loop {
            // There may be no run yet.
            let shown = typed(self.elsewhere(&["show", run, "--json"]), "", &[0, 1, 2]);
            let shown: Value = serde_json::from_str(&shown).unwrap_or_default();
            if is_so(&shown) {
                return shown;
            }
            assert!(Instant::now() < until, "it never comes: {shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.process = None;
        // What a server that was killed has left in Docker goes with its folder.
        if let Ok(instance) = std::fs::read_to_string(self.state().join("instance")) {
            remove_things_of(instance.trim());
        }
    }
}

/// Standard output of a command that is given this and ends with one of these codes.
fn typed(mut command: Command, stdin: &str, codes: &[i32]) -> String {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Whoever asks for nothing has closed it.
    let _is_read = input.write_all(stdin.as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(codes.contains(&output.status.code().unwrap_or(-1)), "{command:?}\n{text}\n{errors}");
    text
}

/// The remote of a project, and a clone of it.
pub(crate) struct Remote {
    repo: Repo,
    bare: String,
    pub(crate) slug: String,
}

impl Remote {
    /// Has each push told to the server, as docs/webhooks.md says.
    fn install_hook(&self, url: &str, token: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = PathBuf::from(&self.bare).join("hooks/post-receive");
        let notify = format!("{url}/api/v1/projects/{}/notify", self.slug);
        let call = format!("curl -fsS -X POST '{notify}' -H 'Authorization: Bearer {token}'");
        std::fs::write(&path, format!("#!/bin/sh\n{call} >/dev/null\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes files, commits and pushes as Ada; gives the commit.
    pub(crate) fn push(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        self.push_of("Ada <ada@example.org>", (branch, message), files)
    }

    /// As [`Remote::push`], of another author.
    pub(crate) fn push_of(
        &self,
        author: &str,
        (branch, message): (&str, &str),
        files: &[(&str, &str)],
    ) -> String {
        for (path, text) in files {
            self.repo.write(path, text);
        }
        self.repo.git(&["add", "--all"]);
        self.repo.git(&["commit", "-q", "--allow-empty", "--author", author, "-m", message]);
        self.repo.git(&["push", "-q", &self.bare, &format!("HEAD:refs/heads/{branch}")]);
        self.repo.git(&["rev-parse", "HEAD"])
    }
}
