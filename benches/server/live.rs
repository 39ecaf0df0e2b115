//! Pages that stay open: what they cost a server on which nothing happens, and one on which runs go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::deliveries::repository;
use super::past::{Past, run_id};
use super::process::Server;

/// One person may have 32 streams.
const PAGES_OF_ONE: u64 = 25;
const SECONDS: u64 = 20;

/// Opens that many pages and prints what they cost.
pub(crate) async fn measure(server: &Server, count: u64, past: &Past) {
    let people = people(server, count.div_ceil(PAGES_OF_ONE));
    make_project(server).await;
    let time = Duration::from_secs(SECONDS);
    let idle = server.cpu_over(time).await;
    let busy_alone = tokio::join!(server.cpu_over(time), disturb(server)).0;
    let before = server.mebibytes();
    let mut open = JoinSet::new();
    let pieces = Arc::new(AtomicU64::new(0));
    let client = reqwest::Client::builder().build().unwrap();
    for n in 0..count {
        let path = match n % 4 {
            0 => "/live/home".to_owned(),
            1 => "/live/runs".to_owned(),
            _ => format!("/live/runs/{}", run_id(past.runs - n % 50)),
        };
        let token = &people[usize::try_from(n / PAGES_OF_ONE).unwrap()];
        let request = client.get(format!("{}{path}", server.url)).bearer_auth(token);
        let pieces = pieces.clone();
        open.spawn(async move {
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{}: {}", answer.url(), answer.status());
            let mut stream = answer.bytes_stream();
            while let Some(Ok(_)) = stream.next().await {
                pieces.fetch_add(1, Ordering::Relaxed);
            }
            panic!("{path} has ended");
        });
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(open.try_join_next().is_none(), "a page is not open any more");
    println!("\n{count} open pages; CPU in percent of a core over {SECONDS} s, resident memory");
    println!("{:<44} {:>8} {:>10}", "", "CPU %", "MiB");
    let row = |name: &str, cpu: f64, memory: f64| println!("{name:<44} {cpu:>8.1} {memory:>10.1}");
    row("none open, nothing happens", idle, before);
    row("none open, a run every other second", busy_alone, before);
    let still = server.cpu_over(time).await;
    row("open, nothing happens", still, server.mebibytes());
    pieces.store(0, Ordering::Relaxed);
    let busy = tokio::join!(server.cpu_over(time), disturb(server)).0;
    row("open, a run every other second", busy, server.mebibytes());
    println!("pieces that the pages got meanwhile: {}", pieces.load(Ordering::Relaxed));
    assert!(open.try_join_next().is_none(), "a page is not open any more");
    open.abort_all();
    while open.join_next().await.is_some() {}
}

/// A run begins every other second, and ends soon after.
async fn disturb(server: &Server) {
    for _ in 0..SECONDS / 2 {
        let run = json!({ "pipeline": "ci" });
        server.send(Method::POST, "/api/v1/projects/team-0/busy/runs", run).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn make_project(server: &Server) {
    let address = format!("file://{}", repository(&server.folder.join("busy.git")));
    let project = json!({ "team": "team-0", "name": "busy", "address": address, "forge": "git" });
    server.send(Method::POST, "/api/v1/projects", project).await;
}

/// Tokens of that many viewers.
fn people(server: &Server, count: u64) -> Vec<String> {
    let mut tokens = Vec::new();
    for n in 0..count {
        let login = format!("viewer-{n}");
        server.run(&["person", "add", &login]);
        for team in 0..20 {
            server.run(&["team", "member", &format!("team-{team}"), &login, "viewer"]);
        }
        let create = ["token", "create", &login, "--name", "bench", "--scope", "viewer", "--json"];
        let made: serde_json::Value = serde_json::from_str(&server.run(&create)).unwrap();
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    tokens
}
