//! `trunkline serve` as a process, and an owner who talks to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::database::Database;

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) token: String,
    pub(crate) folder: PathBuf,
    database_url: String,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Server {
    /// Starts it on a port of its own, and makes the owner.
    pub(crate) async fn start(folder: &Path, database: &Database) -> Self {
        let mut command = command(folder, &database.url);
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = |before: &str| {
            let mut found = lines.find_map(|it| Some(it.unwrap().split_once(before)?.1.to_owned()));
            found.take().unwrap()
        };
        let setup = said("set-up token: ");
        let url = said("listening on ");
        std::thread::spawn(move || lines.for_each(drop));
        // What leads on is an answer too: it carries the cookies of a sign-in.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.pool_max_idle_per_host(64).build().unwrap();
        let token = String::new();
        let (folder, database_url) = (folder.to_owned(), database.url.clone());
        let mut server = Self { url, client, token, folder, database_url, child };
        let owner = json!({ "token": setup, "login": "ada", "password": PASSWORD });
        let made = server.send(Method::POST, "/api/v1/setup", owner).await;
        made["token"].as_str().unwrap().clone_into(&mut server.token);
        server
    }

    /// Runs another command on the same state and database; gives what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let mut command = command(&self.folder, &self.database_url);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _asked_for_none = writeln!(child.stdin.take().unwrap(), "{PASSWORD}");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request of the owner that must go well; gives the JSON that comes back.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.request(method, path).bearer_auth(&self.token).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Resident memory.
    pub(crate) fn mebibytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// Percent of a core that it uses for so long from now.
    pub(crate) async fn cpu_over(&self, time: Duration) -> f64 {
        let before = self.cpu_seconds();
        tokio::time::sleep(time).await;
        (self.cpu_seconds() - before) / time.as_secs_f64() * 100.0
    }

    /// User and system time so far; the kernel counts in hundredths of a second.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, behind_name) = stat.rsplit_once(") ").unwrap();
        let ticks = behind_name.split(' ').skip(11).take(2).map(|it| it.parse::<f64>().unwrap());
        ticks.sum::<f64>() / 100.0
    }
}

fn command(folder: &Path, database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.env("TRUNKLINE_STATE", folder).env("TRUNKLINE_REPOSITORIES", folder);
    command.env("TRUNKLINE_LOG", "error");
    if database_url.starts_with("postgres") {
        command.env("DATABASE_URL", database_url);
    }
    command
}
