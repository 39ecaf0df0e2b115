//! Rows to test with.

use trunkline::engine::{AttemptOutcome, Event};
use trunkline::model::{
    AttemptName, ForgeKind, ProjectId, RunId, RunStatus, StageIndex, StageStatus, TeamId, Timestamp,
};
use trunkline::store::Store;
use trunkline::store::access::projects::ProjectRow;
use trunkline::store::access::teams::TeamRow;
use trunkline::store::runs::{Append, NewRun};

pub(crate) fn run_id(n: u32) -> RunId {
    RunId(format!("01k{n:023}"))
}

pub(crate) fn new_run(n: u32) -> NewRun {
    NewRun {
        id: run_id(n),
        pipeline: "ci".into(),
        repository: "/srv/shop".into(),
        event: "push".into(),
        branch: "main".into(),
        revision: "c0ffee".into(),
        tree: "7ree".into(),
        title: "shop: sell umbrellas, naïvely ☂".into(),
        project: ProjectId(String::new()),
        cause: String::new(),
        height: 0,
        wants: String::new(),
        plan: r#"{"stages":[]}"#.into(),
        context: "{}".into(),
        created_at: Timestamp(1000 + i64::from(n)),
    }
}

/// Inserts a queued run and gives its id.
pub(crate) async fn insert(store: &Store, n: u32) -> RunId {
    store.insert_run(&new_run(n)).await.unwrap();
    run_id(n)
}

/// Appends one event after which the run stands so.
pub(crate) async fn set_status(store: &Store, run: &RunId, status: RunStatus) {
    let row = store.find_run(run).await.unwrap().unwrap();
    let append = Append {
        run,
        seq: row.events,
        events: &[Event::RunFinished { status }],
        at: Timestamp(5000),
        status,
        finished_at: status.is_finished().then_some(Timestamp(5000)),
        failed_stages: 0,
        notes: &[],
    };
    store.append_events(&append).await.unwrap();
}

/// Inserts a run that has passed and gives its id.
pub(crate) async fn insert_passed(store: &Store, n: u32) -> RunId {
    let run = insert(store, n).await;
    pass(store, &run).await;
    run
}

/// A run passes, and a stage of it does.
pub(crate) async fn pass(store: &Store, run: &RunId) {
    let seq = store.find_run(run).await.unwrap().unwrap().events;
    let (status, at) = (RunStatus::Running, Timestamp(4000));
    let (stage, passed) = (StageIndex(0), StageStatus::Passed);
    let finished = Event::StageFinished { stage, status: passed, allowed: false, failure: None };
    let append = Append {
        run,
        seq,
        events: &[finished],
        at,
        status,
        finished_at: None,
        failed_stages: 0,
        notes: &[],
    };
    store.append_events(&append).await.unwrap();
    set_status(store, run, RunStatus::Passed).await;
}

pub(crate) fn attempt(run: &RunId, stage: u32, attempt: u32) -> AttemptName {
    AttemptName { run: run.clone(), stage: StageIndex(stage), attempt }
}

pub(crate) fn outcome_with(metric: &str, value: f64) -> AttemptOutcome {
    AttemptOutcome { metrics: [(metric.to_owned(), value)].into(), ..AttemptOutcome::default() }
}

/// A team, by its name; its id is the name behind a `t`.
pub(crate) async fn insert_team(store: &Store, name: &str) -> TeamId {
    let id = TeamId(format!("t-{name}"));
    let (name, title, created_at) = (name.to_owned(), name.to_owned(), Timestamp(1000));
    let row = TeamRow { id: id.clone(), name, title, weight: 1, created_at };
    store.insert_team(&row).await.unwrap();
    id
}

/// A project on GitHub, by its name; its id is the name behind a `p`.
pub(crate) async fn insert_project(store: &Store, team: &TeamId, name: &str) -> ProjectId {
    let row = ProjectRow {
        id: ProjectId(format!("p-{name}")),
        team: team.clone(),
        team_name: "shop".to_owned(),
        name: name.to_owned(),
        address: "https://forge.example/shop/web.git".to_owned(),
        forge: ForgeKind::Github,
        forge_url: String::new(),
        forge_path: "shop/web".to_owned(),
        default_branch: "main".to_owned(),
        priority: 0,
        poll_seconds: 0,
        created_at: Timestamp(1000),
        archived_at: None,
    };
    store.insert_project(&row).await.unwrap();
    row.id
}

/// The project `web` of the team `shop`.
pub(crate) async fn insert_shop(store: &Store) -> ProjectId {
    let team = insert_team(store, "shop").await;
    insert_project(store, &team, "web").await
}
