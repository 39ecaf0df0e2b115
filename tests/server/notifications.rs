//! Notifications arrive at real receivers: an HTTP server, and a mail server that speaks SMTP.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trunkline::config::SignInSettings;
use trunkline::notifications::Mailer;

use crate::deliveries::{Scene, push_body};
use crate::driven::worker;
use crate::forge::{Asked, Forge};
use crate::remote::TOKEN;
use crate::streams::Stream;
use crate::support::{Answer, Extras, Server};

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  unit: { image: none, run: 'test -e green || { echo no; exit 3; }' }
";

const SUBSCRIPTIONS: &str = "/api/v1/teams/shop/subscriptions";

async fn run(scene: &Scene, id: &str, files: &[(&str, &str)]) {
    let before = scene.remote.head();
    let after = scene.remote.commit("Sell <umbrellas>", files);
    scene.remote.push("main").await;
    let answer = scene.github("push", id, &push_body(&before, &after)).await;
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    let run = scene.runs().await[0]["id"].as_str().unwrap().to_owned();
    let run = trunkline::model::RunId(run);
    worker(scene).drive(&run, &CancellationToken::new()).await.unwrap();
}

async fn subscribe(scene: &Scene, body: Value) -> Value {
    let answer = scene.server.post(&scene.token, SUBSCRIPTIONS, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.json()
}

/// Verifies as the specification says, with one secret.
fn is_signed(asked: &Asked, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (asked.header("webhook-id"), asked.header("webhook-timestamp"));
    mac.update(format!("{id}.{at}.{}", asked.text).as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    asked.header("webhook-signature").split(' ').any(|it| it == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_webhook_tells_of_failure_and_recovery_once_each() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let receiver = Forge::start().await;
    let target = format!("{}/hook?key=hidden", receiver.url);
    let events = ["run.failed", "run.passed", "run.recovered"];
    let new =
        json!({ "form": "webhook", "target": target, "events": events, "branches": ["main"] });
    let made = subscribe(&scene, new).await;
    let secret = made["secret"].as_str().unwrap();
    run(&scene, "d-1", &[("README.md", "Shop")]).await;
    let failed = receiver.wait_for(|it| it.body["type"] == "run.failed").await;
    assert!(is_signed(&failed, secret), "{failed:?}");
    let data = &failed.body["data"];
    assert_eq!((&data["team"], &data["project"]), (&json!("shop"), &json!("web")));
    assert_eq!((&data["run"]["number"], &data["run"]["branch"]), (&json!(1), &json!("main")));
    assert_eq!(data["failed_stages"][0]["stage"], "unit");
    let url = data["run"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://ci.example/runs/"), "{url}");

    run(&scene, "d-2", &[("green", "")]).await;
    let recovered = receiver.wait_for(|it| it.body["type"] == "run.recovered").await;
    assert_ne!(recovered.header("webhook-id"), failed.header("webhook-id"));
    run(&scene, "d-3", &[("README.md", "Our shop")]).await;
    receiver.wait_for(|it| it.body["type"] == "run.passed").await;
    assert_eq!(receiver.asked().len(), 3, "each is told once: {:#?}", receiver.asked());

    // The address is a secret: nobody reads it back.
    let list = scene.server.get(&scene.token, SUBSCRIPTIONS).await;
    assert!(!list.text.contains("hidden") && !list.text.contains("whsec_"), "{list:?}");
    assert_eq!(list.json()["items"][0]["target"], "127.0.0.1");
    let path = "/api/v1/audit?team=shop&action=subscription.";
    let audit = scene.server.get(&scene.token, path).await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "written down once: {audit}");
    assert_eq!(audit["items"][0]["action"], "subscription.create");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_secret_changes_both_sign() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let receiver = Forge::start().await;
    let new = json!({ "form": "webhook", "target": receiver.url, "events": ["run.failed"] });
    let made = subscribe(&scene, new).await;
    let path = format!("{SUBSCRIPTIONS}/{}", made["id"].as_str().unwrap());
    let old = made["secret"].as_str().unwrap();
    let rotate = format!("{path}/secret");
    let answer = scene.server.call(&scene.token, Method::POST, (&rotate, None)).await;
    let new = answer.json()["secret"].as_str().unwrap().to_owned();
    let test = format!("{path}/test");
    let id = made["id"].as_str().unwrap();
    let live = format!("/live/projects/shop/web/settings/notifications/{id}");
    let mut page = Stream::open(&scene.server, &scene.token, (&live, "")).await;
    let is_sent = |it: &str| it.contains("s-passed") && it.contains(">test<");
    assert!(!is_sent(page.next().await.unwrap().data["html"].as_str().unwrap()));
    scene.server.call(&scene.token, Method::POST, (&test, None)).await;
    // Whoever waits on the page sees that it has arrived.
    while !is_sent(page.next().await.unwrap().data["html"].as_str().unwrap()) {}
    let asked = receiver.wait_for(|it| it.body["type"] == "test").await;
    assert!(is_signed(&asked, old) && is_signed(&asked, &new), "{asked:?}");
    scene.server.clock.by_seconds(24 * 3600 + 1);
    let token = scene.server.token("ada", &["owner"]).await;
    scene.server.call(&token, Method::POST, (&test, None)).await;
    let id = asked.header("webhook-id").to_owned();
    let later = receiver.wait_for(|it| it.header("webhook-id") != id).await;
    assert!(!is_signed(&later, old) && is_signed(&later, &new), "{later:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_gets_a_line_that_names_nobody() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let receiver = Forge::start().await;
    let target = format!("{}/services/T0/B0/x", receiver.url);
    let new = json!({ "form": "slack", "target": target, "events": ["run.failed"] });
    assert!(subscribe(&scene, new).await.get("secret").is_none());
    run(&scene, "d-1", &[("README.md", "Shop")]).await;
    let asked = receiver.wait_for(|it| it.path == "/services/T0/B0/x").await;
    let text = asked.body["text"].as_str().unwrap();
    assert!(
        text.starts_with(":x: shop/web: ci #1 on main failed\n<https://ci.example/runs/"),
        "{text}"
    );
    assert!(text.contains("|Sell &lt;umbrellas&gt;>"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_is_tried_again_and_given_up_with_a_notice() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (away, works) = (Forge::start().await, Forge::start().await);
    let target = |it: &Forge, events: &[&str]| json!({ "form": "webhook", "target": it.url, "events": events });
    let broken = subscribe(&scene, target(&away, &["run.failed"])).await;
    subscribe(&scene, target(&works, &["subscription.disabled"])).await;
    let id = broken["id"].as_str().unwrap().to_owned();
    // Ill at first, and busy; then it arrives with the same id.
    away.answer_once(StatusCode::INTERNAL_SERVER_ERROR, Vec::new());
    away.answer_once(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "60".to_owned())]);
    run(&scene, "d-1", &[("README.md", "Shop")]).await;
    away.wait_for(|it| it.body["type"] == "run.failed").await;
    for (seconds, count) in [(6, 2), (61, 3)] {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        scene.server.clock.by_seconds(seconds);
        for _ in 0..200 {
            if away.asked().len() >= count {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(away.asked().len(), count);
    }
    let ids: std::collections::BTreeSet<_> =
        away.asked().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 1);

    // A receiver that says `410` wants nothing any more, and the team hears of it.
    away.answer_once(StatusCode::GONE, Vec::new());
    let token = scene.server.token("ada", &["owner"]).await;
    let test = format!("{SUBSCRIPTIONS}/{id}/test");
    scene.server.call(&token, Method::POST, (&test, None)).await;
    let notice = works.wait_for(|it| it.body["type"] == "subscription.disabled").await;
    let text = notice.body["data"]["text"].as_str().unwrap();
    assert!(text.starts_with("webhook to 127.0.0.1: the receiver answers 410 Gone"), "{text}");
    let list = scene.server.get(&token, SUBSCRIPTIONS).await.json();
    assert!(list["items"][0]["disabled_at"].is_i64(), "{list}");
    let path = format!("{SUBSCRIPTIONS}/{id}");
    let on = json!({ "enabled": true });
    let changed = scene.server.call(&token, Method::PATCH, (&path, Some(on))).await.json();
    assert!(changed.get("disabled_at").is_none(), "{changed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_called_cannot_be_subscribed() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", PIPELINE)]).await;
    for (form, target, wanted) in [
        ("webhook", "http://169.254.169.254/latest", "may not be called"),
        ("webhook", "https://10.0.0.1/", "may not be called"),
        ("webhook", "file:///etc/passwd", "may not be called"),
        ("slack", "http://hooks.slack.com/x", "may not be called"),
        ("mail", "ada@example.org", "this server sends no mail"),
        ("pigeon", "https://example.org", "`form` is"),
    ] {
        let body = json!({ "form": form, "target": target, "events": ["run.failed"] });
        let answer = scene.server.post(&scene.token, SUBSCRIPTIONS, body).await;
        assert!(answer.status.is_client_error() && answer.text.contains(wanted), "{answer:?}");
    }
    for (events, wanted) in
        [(json!([]), "`events` is empty"), (json!(["run.faild"]), "known: `run.failed`")]
    {
        let body = json!({ "form": "webhook", "target": "https://example.org", "events": events });
        let answer = scene.server.post(&scene.token, SUBSCRIPTIONS, body).await;
        assert!(answer.text.contains(wanted), "{answer:?}");
    }
}

/// A mail server that takes everything (RFC 5321), as far as a client needs it.
struct MailSink {
    url: String,
    letters: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl MailSink {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let letters: Arc<Mutex<Vec<String>>> = Arc::default();
        let (book, mut tasks) = (Arc::clone(&letters), JoinSet::new());
        tasks.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                // One client at a time is enough.
                if let Some(letter) = take_letter(socket).await {
                    book.lock().unwrap().push(letter);
                }
            }
        });
        Self { url, letters, _tasks: tasks }
    }

    async fn letter(&self) -> String {
        for _ in 0..600 {
            if let Some(letter) = self.letters.lock().unwrap().first() {
                return letter.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("no letter came");
    }
}

async fn take_letter(socket: tokio::net::TcpStream) -> Option<String> {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await.ok()?;
    let (mut letter, mut is_data) = (String::new(), false);
    while let Ok(Some(line)) = lines.next_line().await {
        if is_data {
            if line == "." {
                is_data = false;
                write.write_all(b"250 taken\r\n").await.ok()?;
            } else {
                letter.push_str(&line);
                letter.push('\n');
            }
            continue;
        }
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        let answer: &[u8] = match word.as_str() {
            "DATA" => {
                is_data = true;
                b"354 go on\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                break;
            }
            "MAIL" | "RCPT" => {
                letter.push_str(&line);
                letter.push('\n');
                b"250 fine\r\n"
            }
            _ => b"250 fine\r\n",
        };
        write.write_all(answer).await.ok()?;
    }
    (!letter.is_empty()).then_some(letter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_arrives_over_smtp() {
    let sink = MailSink::start().await;
    let mailer = Mailer::new(&sink.url, "Trunkline <ci@example.org>").unwrap();
    let extras = Extras { mailer: Some(mailer), ..Extras::default() };
    let server = Server::start_with_extras(|_| SignInSettings::default(), extras).await;
    let files = [("pipelines/ci.yml", PIPELINE)];
    let scene = Scene::start_on(server, ("github", Some(TOKEN)), &files).await;
    let bad = json!({ "form": "mail", "target": "not an address", "events": ["run.failed"] });
    let bad: Answer = scene.server.post(&scene.token, SUBSCRIPTIONS, bad).await;
    assert!(bad.text.contains("`not an address` is no mail address"), "{bad:?}");
    let new =
        json!({ "form": "mail", "target": "Ada <ada@example.org>", "events": ["run.failed"] });
    let made = subscribe(&scene, new).await;
    assert_eq!(made["target"], "ada@example.org");
    run(&scene, "d-1", &[("README.md", "Shop")]).await;
    let letter = sink.letter().await;
    for wanted in [
        "MAIL FROM:<ci@example.org>",
        "RCPT TO:<ada@example.org>",
        "Subject: shop/web: ci #1 on main failed",
        "From: Trunkline <ci@example.org>",
        "To: Ada <ada@example.org>",
        "https://ci.example/runs/",
        "unit (user): ",
    ] {
        assert!(letter.contains(wanted), "no `{wanted}` in:\n{letter}");
    }
    let id = made["id"].as_str().unwrap();
    let log = scene.server.get(&scene.token, &format!("{SUBSCRIPTIONS}/{id}/notifications")).await;
    let message_id = log.json()["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(letter.contains(&format!("Message-ID: <{message_id}@example.org>")), "{letter}");
}
