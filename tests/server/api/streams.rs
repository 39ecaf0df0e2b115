//! Streams of events and logs: followed over HTTP, cut, and gone on with.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trunkline::api;
use trunkline::blobs::Logs;
use trunkline::http::App;
use trunkline::model::{Clock as _, Role, RunId};
use trunkline::runs::Runs;
use trunkline::store::Store;
use trunkline::store::access::people::PersonRow;

use crate::deliveries::Scene;
use crate::driven::worker;
use crate::manual::{PATH, driven};
use crate::support::{Answer, Server};

const PIPELINE: &str = "\
version: 1
name: ci
on: push
stages:
  talk:
    image: none
    steps:
      - run: for i in 1 2 3 4 5 6; do echo \"line $i\"; sleep 0.3; done
      - run: printf 'no end'
  flaky:
    image: none
    retry: { max: 1, delay: 1s, on: [user] }
    run: 'echo try; exit 1'
    allow_failure: { reason: later }
";

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// A stream that is read.
pub(crate) struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    pub(crate) async fn open(server: &Server, token: &str, (path, last): (&str, &str)) -> Self {
        let mut request = server.request(Method::GET, path).bearer_auth(token);
        if !last.is_empty() {
            request = request.header("last-event-id", last);
        }
        Self::of(request).await
    }

    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let told = parse(event);
                let rest = rest.to_owned();
                self.text = rest;
                if let Some(told) = told {
                    return Some(told);
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk());
            let chunk = chunk.await.expect("nothing for 30 s").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    pub(crate) async fn rest(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await {
            all.push(told);
        }
        all
    }
}

fn parse(event: &str) -> Option<Told> {
    let mut told = Told::default();
    for line in event.lines() {
        match line.split_once(": ").or_else(|| line.split_once(':')).unwrap() {
            ("id", id) => id.clone_into(&mut told.id),
            ("event", name) => name.clone_into(&mut told.name),
            ("retry" | "", _) | ("data", "") => (),
            ("data", data) => told.data = serde_json::from_str(data).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    (!told.name.is_empty()).then_some(told)
}

/// Starts a run and drives it beside.
async fn begin(scene: &Scene) -> (String, JoinSet<()>) {
    let started = scene.server.post(&scene.token, PATH, json!({ "pipeline": "ci" })).await;
    assert_eq!(started.status, StatusCode::CREATED, "{started:?}");
    let id = started.json()["id"].as_str().unwrap().to_owned();
    let (worker, run) = (worker(scene), RunId(id.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        worker.drive(&run, &CancellationToken::new()).await.unwrap();
    });
    (id, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_followed_to_the_end_and_a_cut_loses_and_repeats_nothing() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (id, _tasks) = begin(&scene).await;
    let path = format!("/api/v1/runs/{id}/events/stream");
    let open = async |last: &str| Stream::open(&scene.server, &scene.token, (&path, last)).await;
    let mut seen: Vec<Told> = Vec::new();
    let end = loop {
        // Cut after three events each time.
        let last = seen.last().map_or(String::new(), |it| it.id.clone());
        let mut stream = open(&last).await;
        let mut told = Vec::new();
        while told.len() < 3 {
            told.extend(stream.next().await);
            if told.last().is_some_and(|it: &Told| it.name == "end") {
                break;
            }
        }
        let end = told.pop_if(|it| it.name == "end");
        seen.extend(told);
        if let Some(end) = end {
            assert_eq!(stream.next().await, None, "behind the end is nothing");
            break end;
        }
    };
    assert_eq!(end.data, json!({ "status": "passed" }));
    let stored = format!("/api/v1/runs/{id}/events?limit=200");
    let stored = scene.server.get(&scene.token, &stored).await.json();
    let stored = stored["items"].as_array().unwrap().clone();
    assert_eq!(seen.iter().map(|it| it.data.clone()).collect::<Vec<_>>(), stored);
    let ids: Vec<_> = (0..stored.len()).map(|it| it.to_string()).collect();
    assert_eq!(seen.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), ids);

    let page = format!("/api/v1/runs/{id}/events?after=2&limit=2");
    let page = scene.server.get(&scene.token, &page).await.json();
    assert_eq!((&page["items"][0], &page["next"]), (&stored[3], &json!("4")));
    let next = format!("/api/v1/runs/{id}/events?cursor=4&limit=2");
    let next = scene.server.get(&scene.token, &next).await.json();
    assert_eq!(next["items"][0], stored[5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_while_it_grows_and_a_cut_loses_and_repeats_nothing() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (id, _tasks) = begin(&scene).await;
    let path = format!("/api/v1/runs/{id}/stages/talk/log/stream");
    let (mut lines, mut last) = (Vec::new(), String::new());
    let end = loop {
        let mut stream = Stream::open(&scene.server, &scene.token, (&path, &last)).await;
        let told = stream.next().await.unwrap();
        if told.name == "end" {
            break told;
        }
        lines.extend(told.data["lines"].as_array().unwrap().clone());
        last = told.id;
    };
    assert_eq!(end.data, json!({ "attempt": 1, "status": "passed" }));
    let output = lines.iter().filter(|it| it["stream"] == "output");
    let shown: Vec<_> = output.map(|it| it["text"].as_str().unwrap()).collect();
    let wanted = ["line 1", "line 2", "line 3", "line 4", "line 5", "line 6", "no end"];
    assert_eq!(shown, wanted);
    assert_eq!(lines.last().unwrap()["step"], 1, "{lines:?}");
    let numbers: Vec<_> = lines.iter().map(|it| it["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=lines.len() as u64).collect::<Vec<_>>());

    // The same from the page of lines.
    let read = format!("/api/v1/runs/{id}/stages/talk/log");
    let page = scene.server.get(&scene.token, &read).await.json();
    assert_eq!((&page["items"], &page["is_complete"]), (&json!(lines), &json!(true)));
    let two = scene.server.get(&scene.token, &format!("{read}?from_line=-3&lines=2")).await.json();
    assert_eq!(two["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&two["items"][0], &two["next"]),
        (&lines[lines.len() - 3], &json!(lines.len().to_string()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_on_the_same_database_sees_what_happens() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let store = scene.server.app.store.clone();
    see_from_elsewhere(&scene, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_on_the_same_postgres_hears_what_happens() {
    let Some(place) = crate::backup::Place::postgres() else { return };
    let url = place.url.clone().unwrap();
    let server = Server::start_on(&url).await;
    let files = [("pipelines/ci.yml", PIPELINE)];
    let scene = Scene::start_on(server, ("git", Some(crate::remote::TOKEN)), &files).await;
    let runs = scene.server.app.runs.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { runs.share_news(&CancellationToken::new()).await });
    // Connections of its own, as another machine has.
    see_from_elsewhere(&scene, Store::open(&url).await.unwrap()).await;
}

/// Follows a run of the scene at another process, which has this store.
async fn see_from_elsewhere(scene: &Scene, store: Store) {
    // Nothing in memory is shared with the one that has the worker.
    let app = App {
        runs: Runs::new(store.clone()),
        store,
        logs: Logs::open(&scene.server.folder.path().join("logs")).unwrap(),
        ..scene.server.app.clone()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/runs", listener.local_addr().unwrap());
    let news = app.runs.clone();
    let service = api::service(app).into_make_service_with_connect_info::<SocketAddr>();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { news.share_news(&CancellationToken::new()).await });
    tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
    let follow = async |path: String| {
        Stream::of(scene.server.client.get(format!("{url}/{path}")).bearer_auth(&scene.token)).await
    };
    let mut runs = follow("stream".to_owned()).await;
    let (id, _driving) = begin(scene).await;
    assert_eq!(runs.next().await.unwrap().data["id"], json!(id));
    let mut events = follow(format!("{id}/events/stream")).await;
    let mut log = follow(format!("{id}/stages/talk/log/stream")).await;
    let (events, log) = tokio::join!(events.rest(), log.rest());
    assert_eq!(events.last().unwrap().data, json!({ "status": "passed" }));
    assert!(
        log.len() > 2 && log.iter().any(|it| it.data.to_string().contains("no end")),
        "{log:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_goes_on_through_the_tries_of_a_stage() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let (id, _tasks) = begin(&scene).await;
    let path = format!("/api/v1/runs/{id}/stages/flaky/log/stream");
    let told = Stream::open(&scene.server, &scene.token, (&path, "")).await.rest().await;
    let attempts: Vec<_> = told.iter().map(|it| it.data["attempt"].as_u64().unwrap()).collect();
    assert!(
        attempts.is_sorted() && attempts.contains(&1) && attempts.last() == Some(&2),
        "{told:?}"
    );
    assert_eq!(told.last().unwrap().data, json!({ "attempt": 2, "status": "failed" }));
    let first = Stream::open(&scene.server, &scene.token, (&format!("{path}?attempt=1"), "")).await;
    let first = { first }.rest().await;
    assert_eq!(first.last().unwrap().data["attempt"], 1);
    let none = format!("/api/v1/runs/{id}/stages/flaky/log?attempt=9");
    assert_eq!(scene.server.get(&scene.token, &none).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runs_of_a_person_are_watched_and_only_theirs() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let server = &scene.server;
    let away = server.team("away").await;
    server.person("eve", false).await;
    server.member(&away, "eve", Role::Admin).await;
    let eve = server.token("eve", &["admin"]).await;
    let mut hers = Stream::open(server, &eve, ("/api/v1/runs/stream", "")).await;
    let mut all = Stream::open(server, &scene.token, ("/api/v1/runs/stream?team=shop", "")).await;
    let id = driven(&scene, json!({ "pipeline": "ci" })).await;
    let mut statuses = Vec::new();
    while statuses.last().is_none_or(|it| it != "passed") {
        let told = all.next().await.unwrap();
        assert_eq!((told.name.as_str(), &told.data["id"]), ("run", &json!(id)));
        statuses.push(told.data["status"].as_str().unwrap().to_owned());
    }
    assert!(statuses.len() < 20, "what changes often is told together: {statuses:?}");
    let nothing = tokio::time::timeout(Duration::from_secs(1), hers.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let mut later = Stream::open(server, &scene.token, ("/api/v1/runs/stream", "")).await;
    assert_eq!(
        later.next().await.unwrap().data["status"],
        "passed",
        "who comes begins with what is"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_has_so_many_streams_and_no_more() {
    let server = Server::start().await;
    server.person("ada", true).await;
    let token = server.token("ada", &["owner"]).await;
    let path = "/api/v1/runs/stream";
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Stream::open(&server, &token, (path, "")).await);
    }
    let refused = server.get(&token, path).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    open.clear();
    let mut tries = 0;
    loop {
        let request = server.request(Method::GET, path).bearer_auth(&token);
        let again = Answer::without_body(&request.send().await.unwrap());
        if again.status == StatusCode::OK {
            break;
        }
        tries += 1;
        assert!(tries < 100, "a place that is left can be taken: {again:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_stream_that_makes_no_sense_is_refused_before_it_begins() {
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let started = scene.server.post(&scene.token, PATH, json!({ "pipeline": "ci" })).await.json();
    let id = started["id"].as_str().unwrap();
    for (path, last) in
        [("events/stream", "x"), ("stages/talk/log/stream", "1"), ("stages/talk/log/stream", "a:b")]
    {
        let request = scene.server.request(Method::GET, &format!("/api/v1/runs/{id}/{path}"));
        let request = request.bearer_auth(&scene.token).header("last-event-id", last);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_soon_after_its_reader_is_shut_out_and_begins_anew_with_other_rights() {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("bob", false).await;
    let shop = server.team("shop").await;
    server.member(&shop, "bob", Role::Viewer).await;
    let path = ("/api/v1/runs/stream", "");
    let token = server.token("bob", &["viewer"]).await;
    let mut changed = Stream::open(&server, &token, path).await;
    let stays = server.token("ada", &["owner"]).await;
    let mut stays = Stream::open(&server, &stays, path).await;
    server.member(&shop, "bob", Role::Developer).await;
    assert_eq!(last(&mut changed).await.name, "reconnect");

    let mut revoked = Stream::open(&server, &token, path).await;
    let bob = server.app.store.find_person("bob").await.unwrap().unwrap();
    let row = server.app.store.list_tokens(&bob.id).await.unwrap().remove(0);
    server.app.store.revoke_token(&bob.id, &row.id, server.clock.now()).await.unwrap();
    let told = last(&mut revoked).await;
    assert_eq!((told.name.as_str(), &told.data["status"]), ("problem", &json!(401)));

    let token = server.token("bob", &["viewer"]).await;
    let mut shut_out = Stream::open(&server, &token, path).await;
    let disabled = PersonRow { disabled_at: Some(server.clock.now()), ..bob };
    server.app.store.save_person(&disabled).await.unwrap();
    let told = last(&mut shut_out).await;
    assert_eq!((told.name.as_str(), &told.data["status"]), ("problem", &json!(401)));
    let nothing = tokio::time::timeout(Duration::from_millis(100), stays.next()).await;
    assert!(nothing.is_err(), "whose rights are the same reads on: {nothing:?}");
}

/// The last event, which comes within seconds.
async fn last(stream: &mut Stream) -> Told {
    let all = async {
        let mut last = None;
        while let Some(told) = stream.next().await {
            last = Some(told);
        }
        last.unwrap()
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("the stream goes on")
}
