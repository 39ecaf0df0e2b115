//! Deliveries of a forge: how fast they are taken, and how soon the run of a push begins.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use trunkline::engine::Event;
use trunkline::store::Store;
use trunkline::store::runs::RunFilter;

use super::database::Database;
use super::load::{self, Pace};
use super::process::Server;

/// Pushes whose start is measured.
const PUSHES: usize = 20;
const PIPELINE: &str = "version: 1\nname: ci\non: { push: {} }\ndefaults: { network: none }\nstages:\n  one: { image: \"busybox:stable\", run: \"true\" }\n";

/// A project, and what its forge signs with.
#[derive(Clone)]
struct Hook {
    path: String,
    secret: String,
}

impl Hook {
    async fn make(server: &Server, name: &str, address: &str) -> Self {
        let forge = json!({
            "team": "team-0", "name": name, "address": address, "forge": "github",
            "forge_url": "http://127.0.0.1:9", "forge_path": "shop/web",
        });
        server.send(Method::POST, "/api/v1/projects", forge).await;
        let path = format!("/api/v1/projects/team-0/{name}/hook-secret");
        let made = server.send(Method::POST, &path, json!({})).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { path: text("path"), secret: text("secret") }
    }

    /// The delivery of a push, as GitHub sends it: about 8 kB.
    fn push(&self, server: &Server, id: &str, (before, after): (&str, &str)) -> RequestBuilder {
        let body = json!({
            "ref": "refs/heads/main", "before": before, "after": after, "forced": false,
            "repository": { "full_name": "shop/web", "description": "x".repeat(7500) },
            "sender": { "id": 7, "login": "ada-at-forge" }, "delivery": id,
        })
        .to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let request = server.request(Method::POST, &self.path).body(body);
        let request = request.header("x-github-event", "push").header("x-github-delivery", id);
        request.header("x-hub-signature-256", signature)
    }
}

/// Sends that many in a minute, and some of them twice.
pub(crate) async fn measure_intake(server: &Server, count: u64) {
    let repository = repository(&server.folder.join("intake.git"));
    let hook = Hook::make(server, "intake", &format!("file://{repository}")).await;
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let pace = Pace { count, per_second: count as f64 / 60.0 };
    let before = "1".repeat(40);
    let samples = load::play(pace, |n| {
        // Every tenth is what a forge sends again when it has seen no answer.
        let n = if n % 10 == 9 { n - 1 } else { n };
        let after = format!("{n:040x}");
        let request = hook.push(server, &format!("delivery-{n}"), (&before, &after));
        async move {
            let status = request.send().await.map(|it| it.status());
            let status = status.unwrap_or(StatusCode::BAD_GATEWAY);
            (usize::from(status == StatusCode::OK), status.is_success())
        }
    })
    .await;
    load::head("deliveries, in one minute");
    load::row("new", samples.iter().filter(|it| it.kind == 0));
    load::row("sent again", samples.iter().filter(|it| it.kind == 1));
    println!("stored: {} of {}", count_deliveries(server).await, count - count / 10);
}

async fn count_deliveries(server: &Server) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let path = format!("/api/v1/projects/team-0/intake/deliveries?limit=200{cursor}");
        let page = server.send(Method::GET, &path, Value::Null).await;
        count += page["items"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

/// From the delivery of a push to the first attempt of its run, with free slots.
pub(crate) async fn measure_start(server: &Server, database: &Database) {
    let bare = server.folder.join("start.git");
    let repository = repository(&bare);
    let hook = Hook::make(server, "start", &format!("file://{repository}")).await;
    let store = Store::open(&database.url).await.unwrap();
    let (mut begun, mut stepped) = (Vec::new(), Vec::new());
    let mut before = head(&bare);
    for push in 0..PUSHES {
        let after = commit(&bare, &format!("change {push}"));
        let sent = Instant::now();
        let request = hook.push(server, &format!("push-{push}"), (&before, &after));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
        let wanted = |it: &Event| matches!(it, Event::AttemptStarted { .. });
        begun.push(wait_for(&store, &after, sent, wanted).await);
        let wanted = |it: &Event| matches!(it, Event::StepStarted { .. });
        stepped.push(wait_for(&store, &after, sent, wanted).await);
        let wanted = |it: &Event| matches!(it, Event::RunFinished { .. });
        wait_for(&store, &after, sent, wanted).await;
        before = after;
    }
    store.close().await;
    println!(
        "\n{:<44} {:>8} {:>8}",
        format!("{PUSHES} pushes, from the delivery"),
        "p50 ms",
        "max ms"
    );
    for (name, mut times) in
        [("to the attempt", begun), ("to the first step in its container", stepped)]
    {
        times.sort();
        let milliseconds = |it: &Duration| it.as_secs_f64() * 1000.0;
        let (median, slowest) =
            (milliseconds(&times[PUSHES / 2]), milliseconds(&times[PUSHES - 1]));
        println!("{name:<44} {median:>8.1} {slowest:>8.1}");
    }
}

/// How long after `since` the run of a revision had such an event.
async fn wait_for(
    store: &Store,
    revision: &str,
    since: Instant,
    wanted: impl Fn(&Event) -> bool,
) -> Duration {
    while since.elapsed() < Duration::from_mins(1) {
        let revision = Some(revision.to_owned());
        let filter = RunFilter { revision, limit: 1, ..RunFilter::default() };
        if let Some(row) = store.list_runs(&filter).await.unwrap().pop() {
            let events = store.list_events(&row.id, 0).await.unwrap();
            if events.iter().any(|it| wanted(&it.event)) {
                return since.elapsed();
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the push was not built within a minute");
}

/// A bare repository whose `main` has a pipeline; gives its folder.
pub(crate) fn repository(bare: &Path) -> String {
    let bare_text = bare.to_str().unwrap().to_owned();
    git(Path::new("/"), &["init", "-q", "--bare", "-b", "main", &bare_text]);
    let work = bare.with_extension("work");
    git(Path::new("/"), &["clone", "-q", &bare_text, work.to_str().unwrap()]);
    std::fs::write(work.join(".trunkline.yml"), PIPELINE).unwrap();
    commit(bare, "first");
    bare_text
}

/// Commits and pushes; gives the commit.
fn commit(bare: &Path, message: &str) -> String {
    let work = bare.with_extension("work");
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "--allow-empty", "-m", message]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    head(bare)
}

fn head(bare: &Path) -> String {
    git(bare, &["rev-parse", "main"])
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
