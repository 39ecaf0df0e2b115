//! An approval is shown with what it would let through.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trunkline::engine::Command;
use trunkline::model::{Role, RunId};

use crate::deliveries::{Scene, push_body};
use crate::driven::worker;
use crate::pages::{Browser, check_page};

const PIPELINE: &str = "\
version: 1
name: ci
on: push
release: { code: ['src/**'], infra: ['deploy/**'], prompts: ['src/prompts/**'] }
stages:
  eval: { image: none, run: 'cat metrics.json >> \"$TRUNKLINE_METRICS\"' }
  approve:
    needs: [eval]
    if: git.message != \"first\"
    approval: { by: [team/shop, zoe], count: 2, not_author: true, timeout: 1h }
  after: { needs: [{ stage: approve, optional: true }], image: none, run: 'true' }
";

async fn push(scene: &Scene, id: &str, message: &str, files: &[(&str, &str)]) -> RunId {
    let before = scene.remote.head();
    let after = scene.remote.commit(message, files);
    scene.remote.push("main").await;
    let answer = scene.github("push", id, &push_body(&before, &after)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    RunId(scene.runs().await[0]["id"].as_str().unwrap().to_owned())
}

/// Drives a run until it waits for people, or to its end.
async fn drive(scene: &Scene, run: &RunId) {
    let shutdown = CancellationToken::new();
    let (worker, runs) = (worker(scene), scene.server.app.runs.clone());
    let waits = async {
        loop {
            let status = runs.load(run).await.unwrap().run.status();
            if status == trunkline::model::RunStatus::Waiting {
                shutdown.cancel();
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        driven = worker.drive(run, &shutdown) => { driven.unwrap(); }
        () = async { waits.await; std::future::pending().await } => {}
    }
}

async fn shown(scene: &Scene, token: &str, run: &RunId) -> Value {
    let path = format!("/api/v1/runs/{run}/stages/approve/approval");
    let answer = scene.server.get(token, &path).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// A green run, and one after it that waits for people.
async fn two_runs() -> (Scene, RunId, RunId) {
    let files = [
        ("pipelines/ci.yml", PIPELINE),
        ("metrics.json", "{\"f1\": 0.9, \"cost\": 0.5}\n"),
        ("src/shop.py", "a\nb\nc\n"),
        ("src/prompts/sell.md", "Sell.\n"),
    ];
    let scene = Scene::start("github", &files).await;
    let first = push(&scene, "d-1", "first", &[("README.md", "Shop\n")]).await;
    drive(&scene, &first).await;
    let second = push(
        &scene,
        "d-2",
        "Sell harder",
        &[
            ("src/shop.py", "a\nB\nc\nd\n"),
            ("src/prompts/sell.md", "Sell harder.\n"),
            ("deploy/compose.yaml", "x: 1\n"),
            ("README.md", "Our shop\n"),
            ("metrics.json", "{\"f1\": 0.85, \"cost\": 0.5}\n"),
        ],
    )
    .await;
    drive(&scene, &second).await;
    (scene, first, second)
}

/// Tokens of a developer and two approvers: `dev`, `boss` and `kim`.
async fn people(scene: &Scene) -> Vec<String> {
    let app = &scene.server.app;
    let team = app.store.find_team("shop").await.unwrap().unwrap().id;
    let mut tokens = Vec::new();
    for (login, role) in
        [("dev", Role::Developer), ("boss", Role::Approver), ("kim", Role::Approver)]
    {
        scene.server.person(login, false).await;
        scene.server.member(&team, login, role).await;
        tokens.push(scene.server.token(login, &["admin"]).await);
    }
    tokens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_shows_files_by_part_metrics_and_who_may() {
    let (scene, first, second) = two_runs().await;
    let tokens = people(&scene).await;
    let body = shown(&scene, &tokens[1], &second).await;
    assert_eq!(body["status"], "waiting");
    assert_eq!(
        (&body["by"], &body["count"], &body["missing"]),
        (&json!(["team/shop", "zoe"]), &json!(2), &json!(2))
    );
    assert_eq!((&body["not_author"], &body["on_timeout"]), (&json!(true), &json!("reject")));
    assert_eq!(body["base"]["run"], json!(first));
    assert_eq!(body["you_may"], true, "{body}");
    let parts: Vec<_> = body["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["part"].as_str().unwrap(),
                it["file_count"].as_u64().unwrap(),
                it["added"].as_u64().unwrap(),
                it["removed"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        parts,
        [("code", 1, 2, 1), ("infra", 1, 1, 0), ("prompts", 1, 1, 1), ("other", 2, 2, 2)]
    );
    assert_eq!(body["changes"][2]["files"][0]["path"], "src/prompts/sell.md");
    assert_eq!(
        body["metrics"],
        json!([{ "stage": "eval", "metric": "f1", "before": 0.9, "now": 0.85 }])
    );

    assert_eq!(
        body["prompts"],
        json!([{ "path": "src/prompts/sell.md", "is_cut": false, "hunks": [[
            { "kind": "removed", "old": 1, "text": "Sell." },
            { "kind": "added", "new": 1, "text": "Sell harder." },
        ]] }])
    );
    let page = Browser::of(&scene.server, "boss").await;
    let page = page.get(&format!("/runs/{second}/stages/approve/approval")).await;
    check_page(&page);
    for wanted in
        ["<ins><span class=\"unseen\">added: </span>Sell harder.</ins>", "code", "changed</b>"]
    {
        assert!(page.text.contains(wanted), "`{wanted}` is not in {}", page.text);
    }

    let developer = shown(&scene, &tokens[0], &second).await;
    assert_eq!(developer["you_may_not"], "this takes the role `approver`");

    // What somebody says is kept whole or not at all; a browser ends lines with two characters.
    for (what, text) in [("approve", "comment"), ("reject", "comment"), ("", "reason")] {
        let path = match what {
            "" => format!("/api/v1/runs/{second}/cancel"),
            what => format!("/api/v1/runs/{second}/stages/approve/{what}"),
        };
        let mut order = json!({});
        order[text] = "x".repeat(10_001).into();
        let answer = scene.server.post(&tokens[1], &path, order).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.text.contains("has at most 10000 characters"), "{answer:?}");
    }
    let lines = "x\r\n".repeat(5000);
    let path = format!("/api/v1/runs/{second}/stages/approve/approve");
    let answer = scene.server.post(&tokens[1], &path, json!({ "comment": lines })).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let said = shown(&scene, &tokens[1], &second).await["answers"][0]["comment"].clone();
    assert_eq!(said, lines.replace('\r', ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_told_by_the_digests_of_its_parts() {
    let (scene, first, second) = two_runs().await;
    // A change of no part of the release.
    let third = push(&scene, "d-3", "first", &[("README.md", "The shop\n")]).await;
    let token = people(&scene).await.remove(0);
    let mut releases = Vec::new();
    for run in [&first, &second, &third] {
        let path = format!("/api/v1/runs/{run}/changes");
        releases.push(scene.server.get(&token, &path).await.json()["release"].clone());
    }
    let parts = |release: &Value| -> Vec<(String, bool)> {
        let parts = release["parts"].as_array().unwrap();
        let part =
            |it: &Value| (it["part"].as_str().unwrap().to_owned(), it["digest"] == it["before"]);
        parts.iter().map(part).collect()
    };
    let all = |is_same| ["code", "infra", "prompts"].map(|it| (it.to_owned(), is_same));
    assert!(releases[0]["digest"].as_str().unwrap().starts_with("sha256:"), "{releases:?}");
    assert_eq!(releases[0]["before"], Value::Null, "there is no green run before it");
    assert_eq!(parts(&releases[1]), all(false));
    assert_eq!(releases[1]["before"], releases[0]["digest"]);
    // Compared with the first, since the second is not green.
    assert_eq!(parts(&releases[2]), all(false));
    assert_eq!(releases[2]["digest"], releases[1]["digest"]);
    let page =
        Browser::of(&scene.server, "dev").await.get(&format!("/runs/{second}/changes")).await;
    check_page(&page);
    let hex = releases[1]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    for wanted in [&hex[..12], hex, "infra", "Sell harder."] {
        assert!(page.text.contains(wanted), "`{wanted}` is not in {}", page.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_shows_who_has_answered_and_that_nobody_did_in_time() {
    let (scene, _, second) = two_runs().await;
    let tokens = people(&scene).await;
    let app = &scene.server.app;
    // One says yes; they see themselves, and may not say it twice.
    let mut loaded = app.runs.load(&second).await.unwrap();
    let stage = trunkline::model::StageIndex(1);
    let approve = Command::Approve {
        stage,
        by: "boss".to_owned(),
        teams: vec!["shop".to_owned()],
        names: Vec::new(),
        comment: "reads well".to_owned(),
    };
    app.runs.execute(&mut loaded, &approve, app.now()).await.unwrap();
    let body = shown(&scene, &tokens[1], &second).await;
    assert_eq!((&body["missing"], &body["you_may"]), (&json!(1), &json!(false)));
    let answer = &body["answers"][0];
    assert_eq!(
        (&answer["by"], &answer["answer"], &answer["comment"]),
        (&json!("boss"), &json!("approved"), &json!("reads well"))
    );
    assert_eq!(shown(&scene, &tokens[2], &second).await["you_may"], true);

    let path = format!("/api/v1/runs/{second}/stages/eval/approval");
    assert_eq!(scene.server.get(&scene.token, &path).await.status, StatusCode::NOT_FOUND);

    // Nobody answers in time.
    scene.server.clock.by_seconds(3601);
    let mut loaded = app.runs.load(&second).await.unwrap();
    app.runs.execute(&mut loaded, &Command::Tick, app.now()).await.unwrap();
    let token = scene.server.token("kim", &["admin"]).await;
    let body = shown(&scene, &token, &second).await;
    assert_eq!(body["status"], "failed", "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_has_a_run_by_its_id_however_it_was_called() {
    let (scene, _, second) = two_runs().await;
    let tokens = people(&scene).await;
    let (upper, beginning) = (second.0.to_uppercase(), &second.0[..25]);
    for (token, path) in [
        (&tokens[1], "2/stages/approve/approve"),
        (&tokens[2], &format!("{upper}/stages/approve/approve")),
        (&scene.token, &format!("{beginning}/cancel")),
    ] {
        let done = scene.server.post(token, &format!("/api/v1/runs/{path}"), json!({})).await;
        assert!(done.status.is_success(), "{path}: {done:?}");
    }
    let audit = scene.server.get(&scene.token, "/api/v1/audit?team=shop").await.json();
    let subjects = |action: &str| -> Vec<String> {
        let items = audit["items"].as_array().unwrap().iter().filter(|it| it["action"] == action);
        items.map(|it| it["subject"].as_str().unwrap().to_owned()).collect()
    };
    let stage = format!("{second}/approve");
    assert_eq!(subjects("stage.approve"), [stage.clone(), stage], "{audit}");
    assert_eq!(subjects("run.cancel"), [second.0], "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_before_a_rerun_says_that_it_counts_no_more() {
    let (scene, _, second) = two_runs().await;
    let tokens = people(&scene).await;
    let stage = format!("/api/v1/runs/{second}/stages/approve");
    let said = json!({ "comment": "too dear" });
    let answer = scene.server.post(&tokens[1], &format!("{stage}/reject"), said).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    drive(&scene, &second).await;
    let path = format!("/runs/{second}/stages/approve/approval");
    let boss = Browser::of(&scene.server, "boss").await;
    let told = "before it was run again";
    assert!(!boss.get(&path).await.text.contains(told));
    assert_eq!(shown(&scene, &tokens[1], &second).await["answers"][0].get("past"), None);

    let rerun = format!("/api/v1/runs/{second}/rerun");
    let answer = scene.server.post(&scene.token, &rerun, json!({ "failed": true })).await;
    assert!(answer.status.is_success(), "{answer:?}");
    drive(&scene, &second).await;
    let said = json!({ "comment": "cheap now" });
    let answer = scene.server.post(&tokens[1], &format!("{stage}/approve"), said).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body = shown(&scene, &tokens[1], &second).await;
    let answers: Vec<_> = body["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["comment"].as_str().unwrap(), it["past"].as_bool().unwrap_or_default()))
        .collect();
    assert_eq!(answers, [("too dear", true), ("cheap now", false)]);
    let page = boss.get(&path).await;
    check_page(&page);
    assert_eq!(page.text.matches(told).count(), 1, "{page:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_shows_what_an_approval_of_a_server_would_let_through() {
    let (scene, _, _) = two_runs().await;
    let mut terminal = crate::terminal::Terminal::new();
    let (url, token) = (scene.server.url.clone(), scene.token.clone());
    terminal.env = vec![("TRUNKLINE_SERVER", url), ("TRUNKLINE_TOKEN", token)];
    let shown = terminal.says(&["show", "2"]);
    for wanted in [
        "? approve  waits for 2 approvals of team/shop, zoe, not of the author",
        "compared with run #1: first",
        "  code: 1 file, +2 -1",
        "    src/prompts/sell.md (+1 -1)",
        "  eval: f1 is 0.85, was 0.9",
        "trunkline approve 2 approve",
    ] {
        assert!(shown.contains(wanted), "`{wanted}` is missing in\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_nobody_can_give_says_why_and_what_to_do() {
    let (scene, _, second) = two_runs().await;
    let path = format!("/runs/{second}/stages/approve/approval");
    let pages = [format!("/runs/{second}"), path, "/approvals".to_owned()];
    let ada = Browser::of(&scene.server, "ada").await;
    for path in &pages {
        let page = ada.get(path).await;
        check_page(&page);
        for told in ["there is no person <code>zoe</code>", "<code>approval.by</code>"] {
            assert!(page.text.contains(told), "{path}: `{told}` is not in {}", page.text);
        }
    }
    let stuck = shown(&scene, &scene.token, &second).await["stuck"].clone();
    assert_eq!(
        stuck["why"],
        "nobody may approve it: the team `shop` has no members; there is no person `zoe`"
    );
    assert!(stuck["help"].as_str().unwrap().contains("under Members of the team"), "{stuck}");

    // Two are asked, and two may now.
    let tokens = people(&scene).await;
    for path in &pages {
        assert!(!ada.get(path).await.text.contains("there is no person"), "{path}");
    }
    assert_eq!(shown(&scene, &scene.token, &second).await["stuck"], Value::Null);
    // One has left before she has answered.
    let store = &scene.server.app.store;
    let kim = store.find_person("kim").await.unwrap().unwrap();
    let gone = Some(trunkline::model::Timestamp(1));
    let kim = trunkline::store::access::people::PersonRow { disabled_at: gone, ..kim };
    store.save_person(&kim).await.unwrap();
    let stuck = shown(&scene, &tokens[1], &second).await["stuck"].clone();
    let why = stuck["why"].as_str().unwrap();
    assert!(why.starts_with("2 are missing and only `boss` may approve it: "), "{why}");
    assert!(why.contains("`kim` is shut out"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_gives_itself_says_so_before_and_after() {
    let gate = "\
version: 1
name: ci
on: push
stages: { gate: { approval: { by: [zoe], not_author: true, timeout: 1h, on_timeout: approve } } }
";
    let scene = Scene::start("github", &[("pipelines/ci.yml", gate)]).await;
    let run = push(&scene, "d-1", "first", &[("README.md", "Shop\n")]).await;
    drive(&scene, &run).await;
    let page_of = async |path: &str| {
        let page = Browser::of(&scene.server, "ada").await.get(path).await;
        check_page(&page);
        page.text
    };
    // There is no Zoe, and nobody has to find one.
    let (show, stage) = (format!("/runs/{run}"), format!("/runs/{run}/stages/gate"));
    let page = page_of(&show).await;
    assert!(page.contains("(it is <b>approved</b> <time"), "{page}");
    for path in [&show, "/approvals", &format!("{stage}/approval")] {
        assert!(!page_of(path).await.contains("there is no person"), "{path}");
    }

    scene.server.clock.by_seconds(3601);
    let app = &scene.server.app;
    let mut loaded = app.runs.load(&run).await.unwrap();
    app.runs.execute(&mut loaded, &Command::Tick, app.now()).await.unwrap();
    let newest = trunkline::store::audit::AuditFilter { limit: 100, ..Default::default() };
    let mut rows = app.store.list_audit_events(&newest).await.unwrap();
    rows.retain(|it| it.action == "stage.approve");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&*rows[0].actor, &rows[0].subject), ("system", &format!("{run}/gate")));
    assert!(rows[0].detail.contains("by itself after 1h"), "{rows:?}");
    for path in [&show, &stage, &format!("{stage}/approval")] {
        let page = page_of(path).await;
        assert!(
            page.contains("passed without approval: nobody decided within 1 h"),
            "{path}: {page}"
        );
        assert!(!page.contains("Nobody has answered"), "{path}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_archived_project_offers_works_or_says_that_it_is_archived() {
    let (scene, first, second) = two_runs().await;
    let tokens = people(&scene).await;
    let (server, token) = (&scene.server, scene.token.as_str());
    let answer = server.call(token, Method::DELETE, ("/api/v1/projects/shop/web", None)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    let ada = Browser::of(server, "ada").await;
    let told = "shop/web is archived";
    let read = async |path: &str| {
        let page = ada.get(path).await;
        check_page(&page);
        page.text
    };
    // What ended is not run again, from nowhere.
    let page = read(&format!("/runs/{first}")).await;
    assert!(page.contains(told) && page.contains("/projects/shop/web/settings\""), "{page}");
    assert!(!page.contains("Run everything again") && !page.contains("/rerun?stage="), "{page}");
    let page = read(&format!("/runs/{first}/stages/eval")).await;
    assert!(!page.contains("Run this stage again"), "{page}");
    let page = read(&format!("/runs/{first}/rerun")).await;
    assert!(page.contains("is archived") && !page.contains("<button class=\"first\""), "{page}");
    let sent = ada.post(&format!("/runs/{first}/rerun"), &[("scope", "all")]).await;
    assert!(sent.status == 422 && sent.text.contains("restore it"), "{sent:?}");
    let sent = server.post(token, &format!("/api/v1/runs/{first}/rerun"), json!({})).await;
    assert_eq!(sent.status, StatusCode::UNPROCESSABLE_ENTITY, "{sent:?}");
    assert_eq!(sent.json()["title"], "project `shop/web` is archived");
    let page = read("/projects/shop/web/start").await;
    assert!(page.contains(told) && !page.contains("name=\"pipeline\""), "{page}");

    // What has begun goes on, and is answered about.
    let page = read(&format!("/runs/{second}")).await;
    assert!(page.contains("this run goes on to its end, with its approvals"), "{page}");
    for (login, token) in [("boss", &tokens[1]), ("kim", &tokens[2])] {
        let list = Browser::of(server, login).await.get("/approvals").await.text;
        assert!(list.contains(&format!("/runs/{second}/stages/approve")), "{list}");
        let order = format!("/api/v1/runs/{second}/stages/approve/approve");
        assert_eq!(server.post(token, &order, json!({})).await.status, StatusCode::OK);
    }
    drive(&scene, &second).await;
    let run = server.get(token, &format!("/api/v1/runs/{second}")).await.json();
    assert_eq!(run["status"], "passed", "{run}");
}

/// Gives a person this address.
async fn mail(scene: &Scene, login: &str, email: &str) {
    let store = &scene.server.app.store;
    let person = store.find_person(login).await.unwrap().unwrap();
    let person = trunkline::store::access::people::PersonRow { email: email.to_owned(), ..person };
    store.save_person(&person).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_author_of_a_commit_may_not_approve_it_whatever_their_login_is() {
    let (scene, _, second) = two_runs().await;
    let tokens = people(&scene).await;
    let path = format!("/runs/{second}/stages/approve/approval");
    let body = shown(&scene, &tokens[1], &second).await;
    // Its author was told to be Ada when the run began.
    assert_eq!((&body["you_may"], &body["authors"][0]["login"]), (&json!(true), &json!("ada")));
    let page = Browser::of(&scene.server, "boss").await.get(&path).await;
    check_page(&page);
    assert!(page.text.contains("is nobody known here"), "{}", page.text);

    // The commit is by `Ada <ada@example.com>`.
    mail(&scene, "boss", " ADA@Example.com").await;
    let body = shown(&scene, &tokens[1], &second).await;
    assert_eq!(body["authors"][0]["parts"], json!(["author", "committer"]), "{body}");
    assert!(body["you_may_not"].as_str().unwrap().contains("`boss` made this change"), "{body}");
    let order = format!("/api/v1/runs/{second}/stages/approve/approve");
    let answer = scene.server.post(&tokens[1], &order, json!({})).await;
    assert_ne!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(scene.server.get(&tokens[1], "/api/v1/approvals").await.json()["items"], json!([]));
    let answer = scene.server.post(&tokens[2], &order, json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let newest = trunkline::store::audit::AuditFilter { limit: 100, ..Default::default() };
    let rows = scene.server.app.store.list_audit_events(&newest).await.unwrap();
    let row = rows.iter().find(|it| it.action == "stage.approve").unwrap();
    assert!(row.detail.contains("\"authors\":[\"ada\"]"), "{row:?}");
    assert!(row.detail.contains("ada-at-forge"), "who has pushed is nobody known here: {row:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_pushed_is_an_author_and_stays_one() {
    let files = [("pipelines/ci.yml", PIPELINE), ("metrics.json", "{\"f1\": 0.9}\n")];
    let scene = Scene::start("github", &files).await;
    let tokens = people(&scene).await;
    let store = &scene.server.app.store;
    let project = store.list_projects().await.unwrap().remove(0);
    let provider = trunkline::forge::identity_provider(project.forge, &project.forge_url);
    let boss = store.find_person("boss").await.unwrap().unwrap();
    store.save_identity(&boss.id, &provider, "7").await.unwrap();
    mail(&scene, "kim", "ada@example.com").await;
    let run = push(&scene, "d-1", "Sell", &[("README.md", "Shop\n")]).await;
    drive(&scene, &run).await;
    // A new address makes nobody another person.
    mail(&scene, "kim", "kim@example.com").await;
    for token in &tokens[1..] {
        let body = shown(&scene, token, &run).await;
        assert_eq!(body["you_may"], false, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_is_offered_no_answer() {
    let (scene, _, second) = two_runs().await;
    people(&scene).await;
    let path = format!("/runs/{second}/stages/approve/approval");
    let page = Browser::of(&scene.server, "dev").await.get(&path).await;
    assert!(!page.text.contains("formaction"), "{}", page.text);
    assert!(page.text.contains("See why you cannot answer"), "{}", page.text);
    assert!(page.text.contains("<title>Approval of approve of run 2"), "{}", page.text);
    let page = Browser::of(&scene.server, "kim").await.get(&path).await;
    assert!(page.text.contains("formaction") && page.text.contains("Go to the answer"));
    for (login, word) in [("dev", "see"), ("kim", "answer")] {
        let run = Browser::of(&scene.server, login).await.get(&format!("/runs/{second}")).await;
        let link = format!("<a href=\"{path}\">{word}</a>");
        assert!(run.text.contains(&link), "{login}: {}", run.text);
    }
    let home = |login: &'static str| {
        let server = &scene.server;
        async move { Browser::of(server, login).await.get("/").await.text }
    };
    assert!(!home("kim").await.contains("/projects/new"));
}

const FAILING: &str = "\
version: 1
name: ci
on: push
stages:
  lint: { image: none, run: 'exit 1' }
  approve: { approval: { by: [team/shop] } }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_and_has_failed_already_says_both_wherever_it_is_listed() {
    let scene = Scene::start("github", &[("pipelines/ci.yml", FAILING)]).await;
    let run = push(&scene, "d-1", "Break it", &[("README.md", "Shop\n")]).await;
    drive(&scene, &run).await;
    let listed = &scene.runs().await[0];
    assert_eq!((&listed["status"], &listed["failed_stages"]), (&json!("waiting"), &json!(1)));
    let browser = Browser::of(&scene.server, "ada").await;
    let itself = format!("/runs/{run}");
    let pages = ["/", "/runs", "/runs?status=failed", "/projects/shop/web", "/teams/shop", &itself];
    for path in pages {
        let page = browser.get(path).await;
        check_page(&page);
        assert!(page.text.contains("waiting, 1 failed</span>"), "{path}: {}", page.text);
    }
}
