//! A fork tries to get at secrets, caches and what others run, by every route that we could think of. The
//! pipeline file is the attacker's own.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trunkline::engine::{Command, RerunScope};
use trunkline::model::{Role, RunId, RunStatus, StageIndex, StageStatus};
use trunkline::pipeline::plan::Work;
use trunkline::runs::LoadedRun;
use trunkline::secrets::SecretSource;
use trunkline::worker::{Worker, WorkerParts, WorkerSettings};

use crate::deliveries::{Scene, push_body};
use crate::driven::executor;

/// What the trunk has: forks need no look, so that every attack runs.
const TRUNK: &str = "\
version: 1
name: ci
on: { push: { branches: [main] }, pull_request: { forks: allow } }
concurrency: { group: \"ci-${{ git.branch }}\", on_new: cancel_running }
stages:
  build:
    image: none
    inputs: ['src/**']
    run: sh build.sh
    artifacts: [out.txt]
  deploy:
    needs: [build]
    image: none
    environment: production
    secrets: [DEPLOY_KEY]
    run: 'true'
";

/// What the fork makes of it.
const HOSTILE: &str = "\
version: 1
name: ci
on: { push: { branches: [main] }, pull_request: { forks: allow } }
concurrency: { group: ci-main, on_new: cancel_running }
include: [{ file: pipelines/parts/steal.yml, with: { name: DEPLOY_KEY } }]
defaults: { image: none, env: { FROM_DEFAULTS: '1' } }
stages:
  plain: { secrets: [DEPLOY_KEY], run: 'env > out.txt', artifacts: [out.txt] }
  renamed: { secrets: [{ name: DEPLOY_KEY, env: HARMLESS }], run: 'true' }
  environment: { environment: production, secrets: [DEPLOY_KEY], run: 'true' }
  identity: { environment: production, identity: sts.example, run: 'true' }
  cache: { cache: [{ key: deps, fallback: [d], paths: [.cache] }], run: 'true' }
  reuse: { inputs: ['src/**'], run: sh build.sh, artifacts: [out.txt] }
  slot: { concurrency: { group: deploy-production, limit: 1, order: oldest_first }, interruptible: false, run: 'true' }
  service: { services: { db: { image: 'db:1', env: { K: v } } }, run: 'true' }
  image:
    uses: builtin/image
    with: { context: ., tags: ['alpine:latest'], push: true, args: { HTTP_PROXY: 'http://evil.example', VERSION: '1' } }
  always: { if: always(), secrets: [DEPLOY_KEY], run: 'true' }
";

const STEAL: &str = "\
version: 1
inputs: { name: { type: string, required: true } }
stages:
  included: { image: none, secrets: [\"${{ inputs.name }}\"], run: 'true' }
";

const STEAL_PLAIN: &str = "\
version: 1
inputs: { name: { type: string, required: true } }
stages:
  included: { image: none, secrets: [DEPLOY_KEY], env: { N: \"${{ inputs.name }}\" }, run: 'true' }
";

fn request(number: u64, (branch, commit): (&str, &str)) -> Value {
    json!({
        "action": "opened", "number": number, "repository": { "full_name": "shop/web" },
        "pull_request": {
            "title": "Sell more", "user": { "id": 9, "login": "eve" }, "draft": false,
            "head": { "ref": branch, "sha": commit, "repo": { "full_name": "eve/web" } },
            "base": { "ref": "main", "repo": { "full_name": "shop/web" } },
        },
        "sender": { "id": 9, "login": "eve" },
    })
}

async fn scene(trunk: &str) -> Scene {
    let files = [("pipelines/ci.yml", trunk), ("src/shop.py", "x = 1"), ("build.sh", BUILD)];
    let scene = Scene::start("github", &files).await;
    let path = "/api/v1/projects/shop/web/secrets";
    let secret = json!({ "name": "DEPLOY_KEY", "environment": "", "value": "hunter2-hunter2" });
    let set = scene.server.call(&scene.token, reqwest::Method::PUT, (path, Some(secret))).await;
    assert!(set.status.is_success(), "{set:?}");
    scene
}

const BUILD: &str = "#!/bin/sh\necho honest > out.txt\n";

/// Opens a request of a fork with these files; its run.
async fn fork(scene: &Scene, number: u64, branch: &str, files: &[(&str, &str)]) -> LoadedRun {
    scene.remote.git(&["checkout", "-q", "-B", &format!("fork-{number}"), "main"]);
    let commit = scene.remote.commit("Sell", files);
    scene.remote.push(&format!("refs/pull/{number}/head")).await;
    scene.remote.git(&["checkout", "-q", "main"]);
    let body = request(number, (branch, &commit));
    let answer = scene.github("pull_request", &format!("fork-{number}"), &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let outcome = scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    assert!(outcome.contains("was started"), "{outcome}");
    newest(scene).await
}

async fn newest(scene: &Scene) -> LoadedRun {
    let id = scene.runs().await[0]["id"].as_str().unwrap().to_owned();
    scene.server.app.runs.load(&RunId(id)).await.unwrap()
}

async fn push(scene: &Scene, id: &str, files: &[(&str, &str)]) -> LoadedRun {
    let before = scene.remote.head();
    let after = scene.remote.commit("Work", files);
    scene.remote.push("main").await;
    let answer = scene.github("push", id, &push_body(&before, &after)).await;
    scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    newest(scene).await
}

/// A worker as a server has it: secrets of teams, tokens, and results that are used again.
fn server_worker(scene: &Scene) -> Worker<trunkline::executor::HostExecutor> {
    let app = &scene.server.app;
    let parts = WorkerParts {
        runs: app.runs.clone(),
        blobs: app.blobs.clone(),
        logs: app.logs.clone(),
        executor: executor(scene),
        clock: app.clock.clone(),
        secrets: SecretSource::Team(app.secrets.clone()),
        projects: Some(app.triggers.projects().clone()),
    };
    let settings = WorkerSettings {
        instance: "test".to_owned(),
        owner: "test".to_owned(),
        state_folder: scene.server.folder.path().to_owned(),
        slots: 2,
        look_ahead: 0,
        log_limit_bytes: 1 << 20,
        keep_failed: false,
        reuse: true,
        is_shared: false,
        lease: trunkline::worker::LEASE,
        place: None,
    };
    Worker::new(parts, settings).with_identity(app.auth.clone())
}

async fn drive(scene: &Scene, run: &LoadedRun) -> LoadedRun {
    let worker = server_worker(scene);
    worker.drive(&run.row.id, &CancellationToken::new()).await.unwrap();
    scene.server.app.runs.load(&run.row.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_fork_has_nothing_that_reaches_beyond_it() {
    let scene = scene(TRUNK).await;
    let files = [("pipelines/ci.yml", HOSTILE), ("pipelines/parts/steal.yml", STEAL_PLAIN)];
    let run = fork(&scene, 1, "topic", &files).await;
    let plan = run.run.plan();
    assert_eq!(plan.concurrency.as_ref().unwrap().group, "fork of request 1: ci-main");
    assert_eq!(plan.stages.len(), 11);
    for stage in &plan.stages {
        let key = &stage.key;
        assert!(stage.identity.is_empty(), "{key}");
        assert!(stage.inputs.is_none() && stage.environment.is_none(), "{key}");
        assert!(stage.interruptible, "{key}");
        if let Some(group) = &stage.concurrency {
            assert!(group.group.starts_with("fork of request 1: "), "{key}");
        }
        match &stage.work {
            Work::Container(work) => assert!(work.caches.is_empty(), "{key}"),
            Work::Image(work) => {
                assert!(work.tags.is_empty() && !work.push, "{key}");
                assert_eq!(work.args.keys().collect::<Vec<_>>(), ["VERSION"]);
            }
            other @ (Work::Builtin { .. } | Work::Approval(_)) => panic!("{key}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_by_a_templated_name_is_no_secret() {
    let scene = scene(TRUNK).await;
    scene.remote.git(&["checkout", "-q", "-B", "fork-1", "main"]);
    let files = [("pipelines/ci.yml", HOSTILE), ("pipelines/parts/steal.yml", STEAL)];
    let commit = scene.remote.commit("Sell", &files);
    scene.remote.push("refs/pull/1/head").await;
    let body = request(1, ("topic", &commit));
    let answer = scene.github("pull_request", "fork-1", &body).await;
    let outcome = scene.outcome(answer.json()["id"].as_str().unwrap()).await;
    // Either the file is refused, or the stage is: it never gets the secret.
    if outcome.contains("was started") {
        let driven = drive(&scene, &newest(&scene).await).await;
        refused_all(&driven);
    }
}

/// Every stage that asks for a secret has failed, and says why.
fn refused_all(driven: &LoadedRun) {
    let mut asking = 0;
    for (planned, (_, stage)) in driven.run.plan().stages.iter().zip(driven.run.stages()) {
        if planned.secrets.is_empty() || stage.status == StageStatus::Skipped {
            continue;
        }
        asking += 1;
        assert_eq!(stage.status, StageStatus::Failed, "{}", planned.key);
        let message = &stage.outcome().unwrap().message;
        let wanted = "secret `DEPLOY_KEY` may not be read here: code from a fork gets no secrets";
        assert!(message.starts_with(wanted), "{}: {message}", planned.key);
    }
    assert!(asking > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_of_a_fork_that_asks_for_a_secret_fails_with_the_reason_and_is_audited() {
    let scene = scene(TRUNK).await;
    let asks = "\
version: 1
name: ci
on: { pull_request: {} }
stages:
  plain: { image: none, run: 'true' }
  steal: { image: none, secrets: [DEPLOY_KEY, NO_SUCH_KEY], run: 'true' }
  guess: { image: none, secrets: [NO_SUCH_KEY], run: 'true' }
";
    let run = fork(&scene, 1, "topic", &[("pipelines/ci.yml", asks)]).await;
    let driven = drive(&scene, &run).await;
    let messages: Vec<_> = driven
        .run
        .stages()
        .map(|(_, it)| it.outcome().map(|it| it.message.clone()).unwrap_or_default())
        .collect();
    assert_eq!(driven.run.status(), RunStatus::Failed);
    assert!(messages[0].is_empty(), "{messages:?}");
    assert!(messages[1].contains("code from a fork gets no secrets"), "{messages:?}");
    // What there is and what there is not is refused in the same words.
    assert_eq!(messages[1].replace("DEPLOY_KEY", "NO_SUCH_KEY"), messages[2]);
    let audit = scene.server.get(&scene.token, "/api/v1/audit?action=secret.").await.json();
    let items = audit["items"].as_array().unwrap();
    let of = |action: &str| items.iter().filter(|it| it["action"] == action).count();
    assert_eq!((of("secret.refuse"), of("secret.read")), (3, 0), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_green_result_of_a_fork_never_stands_for_one_of_trunk() {
    let scene = scene(TRUNK).await;
    // The inputs of `build` are those of trunk; what the stage does with them is not.
    let evil = "#!/bin/sh\necho evil > out.txt\n";
    let run = fork(&scene, 1, "topic", &[("build.sh", evil)]).await;
    let forked = drive(&scene, &run).await;
    assert_eq!(forked.run.stage(StageIndex(0)).unwrap().status, StageStatus::Passed);

    let trunk = push(&scene, "p-1", &[("README.md", "Shop")]).await;
    let trunk = drive(&scene, &trunk).await;
    let build = trunk.run.stage(StageIndex(0)).unwrap();
    assert_eq!((build.status, &build.reused_from), (StageStatus::Passed, &None));
    let [of_fork, of_trunk] = [&forked, &trunk].map(|it| {
        it.run.stage(StageIndex(0)).unwrap().outcome().unwrap().artifacts[0].digest.clone()
    });
    assert_ne!(of_fork, of_trunk, "trunk got the artifact of the fork");

    // Trunk's own results are used again by trunk, and not by the fork.
    let again = push(&scene, "p-2", &[("README.md", "Our shop")]).await;
    let again = drive(&scene, &again).await;
    assert!(again.run.stage(StageIndex(0)).unwrap().reused_from.is_some());
    let other = fork(&scene, 2, "topic", &[("README.md", "My shop")]).await;
    let other = drive(&scene, &other).await;
    assert!(other.run.stage(StageIndex(0)).unwrap().reused_from.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_of_a_fork_that_is_called_like_trunk_neither_stops_nor_measures_trunk() {
    let measured = TRUNK.replace(
        "run: sh build.sh",
        "run: 'echo \"{\\\"f1\\\": $F1}\" >> \"$TRUNKLINE_METRICS\"; sh build.sh'",
    );
    let measured = measured.replace("inputs: ['src/**']\n", "env: { F1: '0.9' }\n");
    let scene = scene(&measured).await;
    let trunk = push(&scene, "p-1", &[("README.md", "Shop")]).await;
    let bad = measured.replace("0.9", "0.1").replace("    secrets: [DEPLOY_KEY]\n", "");
    let run = fork(&scene, 1, "main", &[("pipelines/ci.yml", &bad)]).await;
    assert_eq!(run.row.branch, "main");
    let trunk_group = &trunk.run.plan().concurrency.as_ref().unwrap().group;
    assert_ne!(trunk_group, &run.run.plan().concurrency.as_ref().unwrap().group);
    assert_eq!(drive(&scene, &run).await.run.status(), RunStatus::Passed);
    let trunk = drive(&scene, &trunk).await;
    assert_eq!(trunk.run.status(), RunStatus::Passed, "the fork's run did not stop it");

    let store = &scene.server.app.store;
    let baselines = store.find_baselines("shop/web", "ci", "main").await.unwrap();
    assert_eq!(baselines["build"]["f1"].to_string(), "0.9");
    // A request is measured against where it goes.
    let run = fork(&scene, 2, "topic", &[("src/x.py", "1")]).await;
    assert_eq!(run.run.context().baselines["build"]["f1"].to_string(), "0.9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_a_plan_that_asks_gets_neither_secrets_nor_tokens_for_a_fork() {
    // As if a plan had been stored before forks were confined.
    let scene = scene(TRUNK).await;
    let run = fork(&scene, 1, "topic", &[("src/x.py", "1")]).await;
    for what in ["secrets: [DEPLOY_KEY]", "identity: sts.example"] {
        let text = format!(
            "version: 1\nname: ci\nstages:\n  steal: {{ image: none, {what}, run: 'true' }}\n"
        );
        let create = trunkline::runs::CreateRun {
            id: RunId(scene.server.app.new_id()),
            repository: run.row.repository.clone(),
            tree: run.row.tree.clone(),
            project: run.row.project.clone(),
            cause: String::new(),
            height: 1,
            plan: crate::support::plan_of(&text),
            context: (**run.run.context()).clone(),
            created_at: scene.server.app.now(),
        };
        scene.server.app.runs.create(&create).await.unwrap();
        let loaded = scene.server.app.runs.load(&create.id).await.unwrap();
        let driven = drive(&scene, &loaded).await;
        assert_eq!(driven.run.status(), RunStatus::Failed, "{what}");
        let message = &driven.run.stage(StageIndex(0)).unwrap().outcome().unwrap().message;
        assert!(message.contains("fork"), "{what}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rerun_by_a_maintainer_gives_a_fork_no_more_than_before() {
    let scene = scene(TRUNK).await;
    // What asks is refused; what does not ask finds nothing.
    let hostile = HOSTILE.replace("plain: { secrets: [DEPLOY_KEY],", "plain: {");
    let files =
        [("pipelines/ci.yml", hostile.as_str()), ("pipelines/parts/steal.yml", STEAL_PLAIN)];
    let run = fork(&scene, 1, "topic", &files).await;
    drive(&scene, &run).await;
    let app = &scene.server.app;
    let mut loaded = app.runs.load(&run.row.id).await.unwrap();
    let rerun = Command::Rerun { scope: RerunScope::All, by: "ada".to_owned(), no_reuse: false };
    app.runs.execute(&mut loaded, &rerun, app.now()).await.unwrap();
    let driven = drive(&scene, &loaded).await;
    refused_all(&driven);
    let place = driven.run.plan().stages.iter().position(|it| it.key == "plain").unwrap();
    let plain = driven.run.stage(StageIndex(u32::try_from(place).unwrap())).unwrap();
    assert_eq!(plain.status, StageStatus::Passed);
    let artifact = &plain.outcome().unwrap().artifacts[0];
    let mut packed = app.blobs.get(&artifact.digest).await.unwrap();
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut packed, &mut bytes).await.unwrap();
    let mut text = Vec::new();
    let mut decoder =
        async_compression::tokio::bufread::ZstdDecoder::new(tokio::io::BufReader::new(&bytes[..]));
    tokio::io::AsyncReadExt::read_to_end(&mut decoder, &mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("TRUNKLINE_STAGE=plain"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("DEPLOY_KEY="), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_author_of_a_fork_cannot_let_their_own_code_in_and_nobody_what_came_after() {
    let guarded = TRUNK.replace("forks: allow", "forks: approval");
    let scene = scene(&guarded).await;
    let app = &scene.server.app;
    let team = app.store.find_team("shop").await.unwrap().unwrap().id;
    // Eve is an approver of the team, and the author.
    for (login, id) in [("eve", "9"), ("boss", "22")] {
        scene.server.person(login, false).await;
        scene.server.member(&team, login, Role::Approver).await;
        let person = app.store.find_person(login).await.unwrap().unwrap();
        app.store.save_identity(&person.id, "github:127.0.0.1", id).await.unwrap();
    }
    let run = fork(&scene, 1, "topic", &[("src/x.py", "1")]).await;
    let mut loaded = app.runs.load(&run.row.id).await.unwrap();
    let lease = Command::TakeLease { epoch: 1, owner: "test".to_owned(), instance: String::new() };
    for command in [lease, Command::Admit, Command::Tick] {
        app.runs.execute(&mut loaded, &command, app.now()).await.unwrap();
    }
    let say = async |id: &str, who: u64, seconds: i64| {
        let at =
            chrono::DateTime::<chrono::Utc>::from_timestamp_millis(app.now().0 + seconds * 1000);
        let body = json!({
            "action": "created", "issue": { "number": 1, "pull_request": {} },
            "comment": { "id": 5, "body": "/approve", "created_at": at.unwrap().to_rfc3339() },
            "repository": { "full_name": "shop/web" },
            "sender": { "id": who, "login": format!("login-{who}") },
        });
        let answer = scene.github("issue_comment", id, &body).await;
        scene.outcome(answer.json()["id"].as_str().unwrap()).await
    };
    let own = say("c-1", 9, 1).await;
    assert!(own.contains("`eve` made this change"), "{own}");
    // The maintainer wrote before this code was there.
    let early = say("c-2", 22, -60).await;
    assert_eq!(early, "processed: `/approve`: no run of the request waits for that");
    assert_eq!(say("c-3", 22, 1).await, "processed: `/approve` by `boss` on run #1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trunk_itself_gets_its_secret_so_the_tests_above_prove_something() {
    let scene = scene(TRUNK).await;
    let trunk = push(&scene, "p-1", &[("README.md", "Shop")]).await;
    let driven = drive(&scene, &trunk).await;
    assert_eq!(driven.run.status(), RunStatus::Passed);
    let audit = scene.server.get(&scene.token, "/api/v1/audit?action=secret.read").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
}
