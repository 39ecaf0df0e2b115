//! `/admin`: for owners, and for nobody else.

use std::collections::BTreeMap;

use trunkline::model::Role;
use trunkline::runs::News;
use trunkline::store::fleet::workers::WorkerRow;

use super::{Browser, check_page};
use crate::streams::Stream;
use crate::support::{PASSWORD, Server};

async fn server() -> Server {
    let server = Server::start().await;
    server.person("ada", true).await;
    server.person("bob", false).await;
    let shop = server.team("shop").await;
    server.member(&shop, "bob", Role::Admin).await;
    server
}

#[tokio::test]
async fn only_owners_see_the_server() {
    let server = server().await;
    let (ada, bob) = (Browser::of(&server, "ada").await, Browser::of(&server, "bob").await);
    assert_eq!(ada.get("/admin").await.header("location"), "/admin/workers");
    for path in
        ["/admin/workers", "/admin/queue", "/admin/people", "/admin/people/bob", "/admin/audit"]
    {
        let page = ada.get(path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        check_page(&page);
        let page = bob.get(path).await;
        assert_eq!(page.status, 403, "{path}: {page:?}");
        assert!(page.text.contains("this takes an owner"), "{page:?}");
    }
    for path in ["/admin", "/live/admin/workers", "/live/admin/queue"] {
        assert_eq!(bob.get(path).await.status, 403, "{path}");
    }
    let posts = [
        "/admin/workers/drain",
        "/admin/people",
        "/admin/people/ada",
        "/admin/people/ada/password",
        "/admin/people/ada/disable",
        "/admin/people/ada/enable",
    ];
    for path in posts {
        let fields = [("login", "eve"), ("name", "x"), ("password", PASSWORD)];
        assert_eq!(bob.post(path, &fields).await.status, 403, "{path}");
        assert_eq!(ada.post_as_is(path, &fields).await.status, 403, "{path} without csrf");
    }
}

#[tokio::test]
async fn people_are_made_shut_out_and_given_passwords() {
    let server = server().await;
    let ada = Browser::of(&server, "ada").await;
    let short = ada.post("/admin/people", &[("login", "eve"), ("password", "short")]).await;
    assert_eq!(short.status, 422, "{short:?}");
    assert!(short.text.contains("value=\"eve\"") && !short.text.contains("\"short\""), "{short:?}");
    let fields = [("login", "eve"), ("name", "<b>Eve</b>"), ("password", PASSWORD)];
    let made = ada.post("/admin/people", &fields).await;
    assert_eq!(made.header("location"), "/admin/people/eve?done=created");
    let page = ada.get("/admin/people").await;
    check_page(&page);
    assert!(page.text.contains("&#60;b&#62;Eve"), "{page:?}");
    assert_eq!(ada.post("/admin/people", &fields).await.status, 422);

    let eve = Browser::of(&server, "eve").await;
    assert_eq!(ada.post("/admin/people/eve/disable", &[]).await.status, 303);
    assert_eq!(eve.get("/account").await.status, 303);
    assert_eq!(server.sign_in("eve", PASSWORD).await.status, 401);
    assert_eq!(ada.post("/admin/people/eve/enable", &[]).await.status, 303);
    let other = "a new and longer password";
    assert_eq!(ada.post("/admin/people/eve/password", &[("password", other)]).await.status, 303);
    assert_eq!(server.sign_in("eve", other).await.status, 200);
    // The log tells one change from another.
    let token = server.token("ada", &["owner"]).await;
    let log = server.get(&token, "/api/v1/audit?action=person.change").await.json();
    let details: Vec<_> = log["items"].as_array().unwrap().iter().map(|it| &it["detail"]).collect();
    assert_eq!(details[0]["new_password"], true, "{log}");
    assert_eq!(
        (&details[1]["is_disabled"], &details[2]["is_disabled"]),
        (&false.into(), &true.into())
    );
    let myself = ada.post("/admin/people/ada/disable", &[]).await;
    assert_eq!(myself.status, 422, "{myself:?}");
    assert!(myself.text.contains("cannot step down"), "{myself:?}");
    // Who saves their own name stays an owner, though the box cannot be ticked.
    assert_eq!(ada.post("/admin/people/ada", &[("name", "Ada")]).await.status, 303);
    assert_eq!(ada.get("/admin/people/ada").await.status, 200);
    // Who saves second is told what was saved meanwhile.
    let page = ada.get("/admin/people/eve").await;
    let (_, rest) = page.text.split_once("name=\"seen\" value=\"").unwrap();
    let seen = rest.split_once('"').unwrap().0;
    let owner = [("name", "Eve"), ("is_owner", "yes")];
    assert_eq!(ada.post("/admin/people/eve", &owner).await.status, 303);
    let late = ada.post("/admin/people/eve", &[("name", "Evelyn"), ("seen", seen)]).await;
    assert_eq!(late.status, 422, "{late:?}");
    let told = "now: name <code>Eve</code>, owns the server: <code>yes</code>.";
    assert!(late.text.contains(told) && late.text.contains("value=\"Evelyn\""), "{late:?}");
    let late = ada.post("/admin/people/ada", &[("name", "Ada L."), ("seen", "old")]).await;
    let box_of_hers = "name=\"is_owner\" value=\"yes\" checked disabled";
    assert!(late.status == 422 && late.text.contains(box_of_hers), "{late:?}");
    assert_eq!(ada.get("/admin/people/nobody").await.status, 404);
}

#[tokio::test]
async fn the_audit_log_is_filtered_by_the_address() {
    let server = server().await;
    let ada = Browser::of(&server, "ada").await;
    for name in ["one", "two"] {
        assert_eq!(ada.post("/teams/new", &[("name", name)]).await.status, 303);
    }
    assert_eq!(ada.post("/admin/people", &[("login", "eve")]).await.status, 303);
    let page = ada.get("/admin/audit?action=team.create&actor=ada&limit=1").await;
    check_page(&page);
    assert!(page.text.contains(">two</td>") && !page.text.contains("person.create"), "{page:?}");
    let (_, rest) = page.text.split_once("href=\"/admin/audit?").unwrap();
    let more = rest.split_once('"').unwrap().0.replace("&#38;", "&");
    let page = ada.get(&format!("/admin/audit?{more}")).await;
    assert!(page.text.contains(">one</td>") && !page.text.contains(">two</td>"), "{page:?}");
    let page = ada.get("/admin/audit?subject=%3Cscript%3E&until=2020-01-01").await;
    check_page(&page);
    assert!(page.text.contains("Nothing fits."), "{page:?}");
    let page = ada.get("/admin/audit?since=yesterday").await;
    assert!(page.text.contains("A day is written as"), "{page:?}");
    let (_, rest) = ada
        .get("/admin/audit?actor=ada")
        .await
        .text
        .split_once("href=\"/api/v1/audit")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let export = rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&");
    let csv = ada.get(&format!("/api/v1/audit{export}")).await;
    assert!(csv.status == 200 && csv.text.contains("person:ada"), "{csv:?}");
}

#[tokio::test]
async fn workers_are_shown_and_drained() {
    let server = server().await;
    let now = server.app.now();
    let row = WorkerRow {
        name: "gpu-1".to_owned(),
        instance: "i".to_owned(),
        session: "s".to_owned(),
        kind: "worker".to_owned(),
        labels: BTreeMap::from([("gpu".to_owned(), "<b>yes".to_owned())]),
        slots: 4,
        version: "0.1.0".to_owned(),
        running: BTreeMap::new(),
        started_at: now,
        seen_at: now,
        draining: false,
    };
    assert!(server.app.store.register_worker(&row).await.unwrap());
    let ada = Browser::of(&server, "ada").await;
    let page = ada.get("/admin/workers").await;
    check_page(&page);
    for wanted in ["gpu-1", "gpu=&#60;b&#62;yes", "0 of 4", "working"] {
        assert!(page.text.contains(wanted), "`{wanted}` is not in {page:?}");
    }
    let token = server.token("ada", &["owner"]).await;
    let mut stream = Stream::open(&server, &token, ("/live/admin/workers", "")).await;
    let first = stream.next().await.unwrap();
    assert!(first.data["html"].as_str().unwrap().contains("working"), "{first:?}");
    // The worker of this process hears of it at once, and not at its next sign of life.
    let mut changes = server.app.runs.subscribe();
    let drained = ada.post("/admin/workers/drain", &[("name", "gpu-1"), ("draining", "yes")]).await;
    while !matches!(changes.recv().await.unwrap().news(), News::Workers) {}
    let then = stream.next().await.unwrap();
    assert!(then.data["html"].as_str().unwrap().contains("draining</span>"), "{then:?}");
    assert_eq!(drained.header("location"), "/admin/workers?done=draining");
    assert!(ada.get("/admin/workers").await.text.contains("draining</span>"));
    assert_eq!(ada.post("/admin/workers/drain", &[("name", "gpu-1")]).await.status, 303);
    assert!(!server.app.store.list_workers().await.unwrap()[0].draining);
    assert_eq!(ada.post("/admin/workers/drain", &[("name", "no")]).await.status, 404);
    let page = ada.get("/admin/queue").await;
    assert!(page.text.contains("Nothing waits"), "{page:?}");
}
