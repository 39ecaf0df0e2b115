//! The past of a large installation: one real run, and as many copies of it as are wanted.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::json;
use trunkline::blobs::Logs;
use trunkline::engine::{AttemptOutcome, Command};
use trunkline::model::{AttemptName, Clock, ProjectId, RunId, RunStatus, StageIndex};
use trunkline::pipeline::{self, Context, Selection, SourceFile};
use trunkline::runs::{CreateRun, LoadedRun, Runs};
use trunkline::store::Store;
use trunkline::worker::SystemClock;

use super::database::Database;
use super::process::Server;

/// Teams, and projects of each.
const TEAMS: u64 = 20;
const PROJECTS: u64 = 10;
/// Runs that have a log.
pub(crate) const LOGS: u64 = 500;
const LOG_LINES: usize = 2000;
/// The newest runs, which wait for people.
const WAITING: u64 = 50;

const RELEASE: &str = "\
version: 1
name: release
on: { push: {} }
stages:
  unit: { image: \"busybox:stable\", run: make test }
  go: { needs: [unit], approval: { by: [team/team-3, ada], not_author: true } }
";
const PIPELINE: &str = "\
version: 1
name: ci
on: { push: {} }
stages:
  unit: { image: \"busybox:stable\", run: make test }
  image: { needs: [unit], image: \"busybox:stable\", run: make image }
";

/// What was made.
pub(crate) struct Past {
    pub(crate) runs: u64,
    pub(crate) events: u64,
    pub(crate) projects: u64,
    /// Of somebody who is a member of one team only.
    pub(crate) member: String,
}

/// Id of the n-th copy, from 1: 26 letters that sort by n.
pub(crate) fn run_id(n: u64) -> String {
    format!("01j{:023}", 10_000_000 + n)
}

/// Fills the database of a server.
pub(crate) async fn fill(server: &Server, database: &Database, runs: u64) -> Past {
    make_projects(server, database).await;
    let store = Store::open(&database.url).await.unwrap();
    let known = Runs::new(store.clone());
    let (passed, waiting) = (play(&known, (0, PIPELINE)).await, play(&known, (1, RELEASE)).await);
    copy(database, 1..=runs - WAITING, &passed).await;
    copy(database, runs - WAITING + 1..=runs, &waiting).await;
    database.execute(&format!("UPDATE counters SET value = {runs} + 2 WHERE name = 'runs'")).await;
    database.execute(database.tidy_up()).await;
    write_logs(server, runs).await;
    store.close().await;
    let member = make_member(server);
    let events = runs * u64::try_from(passed.seq).unwrap();
    Past { runs, events, projects: TEAMS * PROJECTS, member }
}

async fn make_projects(server: &Server, database: &Database) {
    for team in 0..TEAMS {
        let body = json!({ "name": format!("team-{team}"), "title": format!("Team {team}") });
        server.send(reqwest::Method::POST, "/api/v1/teams", body).await;
    }
    // By SQL, as their ids must be countable.
    let sql = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < {})
        INSERT INTO projects (id, team, name, address, forge, forge_url, forge_path, default_branch, priority,
            poll_seconds, created_at)
        SELECT 'p' || CAST(n AS TEXT), t.id, 'project-' || CAST(n AS TEXT), 'https://git.example/x', 'git', '', '',
            'main', 0, 0, 0
        FROM numbers JOIN teams t ON t.name = 'team-' || CAST(n % {TEAMS} AS TEXT)",
        TEAMS * PROJECTS - 1
    );
    database.execute(&sql).await;
}

fn make_member(server: &Server) -> String {
    server.run(&["person", "add", "bob"]);
    server.run(&["team", "member", "team-3", "bob", "viewer"]);
    let create = ["token", "create", "bob", "--name", "bench", "--scope", "viewer", "--json"];
    let made: serde_json::Value = serde_json::from_str(&server.run(&create)).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// A run of two stages, as far as it comes without people.
async fn play(runs: &Runs, (n, text): (u64, &str)) -> LoadedRun {
    let file = SourceFile { name: "ci.yml".to_owned(), text: text.to_owned() };
    let pipeline = pipeline::check(file, &|_| Err("none".to_owned())).pipeline.unwrap();
    let context = Context { event: "push".to_owned(), ..Context::default() };
    let create = CreateRun {
        id: RunId(format!("00{}", run_id(n).split_off(2))),
        repository: "https://git.example/x".to_owned(),
        tree: "7ree".to_owned(),
        project: ProjectId(String::new()),
        cause: String::new(),
        height: 0,
        plan: pipeline.plan(&context, &Selection::All).unwrap(),
        context,
        created_at: SystemClock.now(),
    };
    runs.create(&create).await.unwrap();
    let mut loaded = runs.load(&create.id).await.unwrap();
    let mut commands =
        vec![Command::TakeLease { epoch: 1, owner: "bench".to_owned(), instance: String::new() }];
    let worked = if text == RELEASE { 0..1 } else { 0..2 };
    for stage in worked {
        let stage = StageIndex(stage);
        let attempt = AttemptName { run: create.id.clone(), stage, attempt: 1 };
        commands.push(Command::StartAttempt { stage, epoch: 1 });
        let of_step = attempt.clone();
        commands.push(Command::StartStep { attempt: of_step.clone(), step: 0, epoch: 1 });
        commands.push(Command::FinishStep { attempt: of_step, step: 0, exit_code: 0, epoch: 1 });
        let outcome = AttemptOutcome::default();
        commands.push(Command::FinishAttempt { attempt, outcome, epoch: 1 });
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (_, refused) = runs.execute_all(&mut loaded, &commands, clock.now()).await.unwrap();
    let is_waiting = loaded.run.status() == RunStatus::Waiting;
    assert!(refused.is_empty() && (is_waiting || loaded.run.status().is_finished()), "{refused:?}");
    loaded
}

/// Copies a run with its plan and events, on twenty branches. Of those that have ended nine of ten have passed;
/// those that wait are held by a worker elsewhere.
async fn copy(database: &Database, wanted: RangeInclusive<u64>, template: &LoadedRun) {
    let (first, events) = (&template.row.id.0, template.seq);
    let (from, to) = wanted.into_inner();
    let (status, ended, held) = if template.run.status() == RunStatus::Waiting {
        ("'waiting'", "NULL", "4102444800000")
    } else {
        let ends = "CASE WHEN n % 23 = 0 THEN 'failed' WHEN n % 101 = 0 THEN 'cancelled' ELSE 'passed' END";
        (ends, "1700000000000 + n * 60000 + 45000", "0")
    };
    let projects = TEAMS * PROJECTS;
    let numbers = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < {to})"
    );
    let id = "'01j000000000000000' || CAST(10000000 + n AS TEXT)";
    let copies = format!("r.id BETWEEN '{}' AND '{}'", run_id(from), run_id(to));
    for sql in [
        format!(
            "{numbers} INSERT INTO runs (id, number, pipeline, repository, event, branch, revision, tree, title, status,
                events, lease_epoch, lease_owner, lease_until, created_at, finished_at, project, cause, height, told)
            SELECT {id}, n + 2, CASE WHEN n % 50 = 0 THEN 'nightly' ELSE 'ci' END, 'https://git.example/x',
                CASE WHEN n % 50 = 0 THEN 'schedule' ELSE 'push' END,
                CASE WHEN n % 3 = 0 THEN 'feature-' || CAST(n % 19 AS TEXT) ELSE 'main' END,
                'c0ffee' || CAST(n AS TEXT), '7ree', 'Change ' || CAST(n AS TEXT),
                {status}, {events}, 1, 'bench', {held}, 1700000000000 + n * 60000, {ended},
                'p' || CAST(n % {projects} AS TEXT), '', n, {events} FROM numbers"
        ),
        format!(
            "INSERT INTO run_plans (run, plan, context) SELECT r.id, p.plan, p.context
            FROM runs r CROSS JOIN run_plans p WHERE p.run = '{first}' AND {copies}"
        ),
        format!(
            "INSERT INTO run_events (run, seq, type, version, at, body)
            SELECT r.id, e.seq, e.type, e.version, r.created_at + e.seq * 1000, e.body
            FROM runs r CROSS JOIN run_events e WHERE e.run = '{first}' AND {copies}"
        ),
    ] {
        database.execute(&sql).await;
    }
}

/// Logs of the newest runs.
async fn write_logs(server: &Server, runs: u64) {
    let logs = Logs::open(&server.folder.join("logs")).unwrap();
    let text: String = (0..LOG_LINES).map(|it| format!("line {it}: test result ok\n")).collect();
    for n in (runs.saturating_sub(LOGS) + 1)..=runs {
        let attempt = AttemptName { run: RunId(run_id(n)), stage: StageIndex(0), attempt: 1 };
        let mut writer = logs.writer(&attempt).await.unwrap();
        writer.start_section(0, 0, SystemClock.now()).await.unwrap();
        writer.write_at(0, text.as_bytes(), SystemClock.now()).await.unwrap();
        writer.finish().await.unwrap();
    }
}
