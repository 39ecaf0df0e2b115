//! The tables `runs` and `run_plans`.

use trunkline::engine::Event;
use trunkline::model::{ProjectId, RunId, RunStatus, TeamId, Timestamp};
use trunkline::store::runs::{Append, NewRun, RunFilter, RunRow};
use trunkline::store::{Store, StoreError};

use crate::databases::{Database, on_each_database};
use crate::samples::{
    insert, insert_passed, insert_project, insert_team, new_run, run_id, set_status,
};

on_each_database![
    a_new_run_is_found_by_id_and_by_number,
    a_run_is_inserted_once,
    several_runs_are_found_by_their_ids,
    numbers_count_from_one_without_a_gap_also_under_concurrency,
    the_number_of_a_deleted_run_is_not_given_again,
    runs_are_listed_newest_first_and_by_page,
    every_filter_narrows_the_list,
    runs_that_go_on_and_have_failed_already_are_found,
    a_revision_is_named_by_its_first_letters,
    runs_of_a_teams_projects_are_one_list,
    runs_of_very_many_projects_are_one_list_too,
    the_newest_run_of_each_trunk_is_listed,
    a_trunk_stands_by_pipeline_and_by_what_started_it,
    unfinished_runs_are_listed_oldest_first,
    a_deleted_run_takes_everything_along,
    only_a_finished_run_can_be_deleted,
    a_status_that_nobody_knows_is_reported_with_its_run,
];

async fn a_new_run_is_found_by_id_and_by_number(store: Store, _: &Database) {
    let number = store.insert_run(&new_run(7)).await.unwrap();

    let new = new_run(7);
    let expected = RunRow {
        id: run_id(7),
        number: 1,
        pipeline: new.pipeline,
        repository: new.repository,
        event: new.event,
        branch: new.branch,
        revision: new.revision,
        tree: new.tree,
        title: new.title,
        status: RunStatus::Queued,
        events: 0,
        lease_epoch: 0,
        lease_owner: String::new(),
        lease_until: Timestamp(0),
        created_at: Timestamp(1007),
        started_at: None,
        finished_at: None,
        project: new.project,
        cause: new.cause,
        height: 0,
        failed_stages: 0,
    };
    assert_eq!(number, 1);
    assert_eq!(store.find_run(&run_id(7)).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.find_run_by_number(1).await.unwrap(), Some(expected));
    assert_eq!(store.find_run(&run_id(8)).await.unwrap(), None);
    assert_eq!(store.find_run_by_number(2).await.unwrap(), None);
    let plan = store.find_plan(&run_id(7)).await.unwrap();
    assert_eq!(plan, Some((r#"{"stages":[]}"#.to_owned(), "{}".to_owned())));
    assert_eq!(store.find_plan(&run_id(8)).await.unwrap(), None);
}

async fn several_runs_are_found_by_their_ids(store: Store, _: &Database) {
    for number in 1..4 {
        insert(&store, number).await;
    }
    let ids = [run_id(1).0, run_id(3).0, run_id(9).0, "<b>".to_owned()];
    let mut found = store.list_runs_by_id(&ids).await.unwrap();
    found.sort_by_key(|it| it.number);
    assert_eq!(found.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [run_id(1), run_id(3)]);
    assert!(store.list_runs_by_id(&[]).await.unwrap().is_empty());
}

async fn a_run_is_inserted_once(store: Store, _: &Database) {
    insert(&store, 1).await;

    let again = store.insert_run(&new_run(1)).await;

    assert!(matches!(again, Err(StoreError::Database(_))), "{again:?}");
    assert_eq!(store.insert_run(&new_run(2)).await.unwrap(), 2);
}

async fn numbers_count_from_one_without_a_gap_also_under_concurrency(
    store: Store,
    database: &Database,
) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = if task % 2 == 0 { store.clone() } else { database.open().await };
        tasks.spawn(async move {
            let mut numbers = Vec::new();
            for n in 0..5 {
                numbers.push(store.insert_run(&new_run(task * 100 + n)).await.unwrap());
            }
            numbers
        });
    }
    let mut numbers = tasks.join_all().await.concat();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

async fn the_number_of_a_deleted_run_is_not_given_again(store: Store, _: &Database) {
    let run = insert_passed(&store, 1).await;
    store.delete_run(&run).await.unwrap();

    assert_eq!(store.insert_run(&new_run(2)).await.unwrap(), 2);
}

async fn runs_are_listed_newest_first_and_by_page(store: Store, _: &Database) {
    for n in [3, 1, 5, 2, 4] {
        insert(&store, n).await;
    }
    let page = |before: Option<u32>| RunFilter {
        before: before.map(run_id),
        limit: 2,
        ..RunFilter::default()
    };

    assert_eq!(list(&store, page(None)).await, [run_id(5), run_id(4)]);
    assert_eq!(list(&store, page(Some(4))).await, [run_id(3), run_id(2)]);
    assert_eq!(list(&store, page(Some(2))).await, [run_id(1)]);
    assert!(list(&store, page(Some(1))).await.is_empty());
    assert!(list(&store, RunFilter::default()).await.is_empty());
}

async fn every_filter_narrows_the_list(store: Store, _: &Database) {
    insert(&store, 1).await;
    let nightly = NewRun { pipeline: "nightly".into(), ..new_run(2) };
    store.insert_run(&nightly).await.unwrap();
    let other = NewRun { repository: "/srv/bank".into(), ..new_run(3) };
    store.insert_run(&other).await.unwrap();
    set_status(&store, &run_id(1), RunStatus::Failed).await;
    set_status(&store, &run_id(2), RunStatus::Running).await;
    let all = RunFilter { limit: 10, ..RunFilter::default() };

    let pipeline = RunFilter { pipeline: Some("nightly".into()), ..all.clone() };
    assert_eq!(list(&store, pipeline).await, [run_id(2)]);
    let repository = RunFilter { repository: Some("/srv/shop".into()), ..all.clone() };
    assert_eq!(list(&store, repository.clone()).await, [run_id(2), run_id(1)]);
    let prefix = |it: &str| RunFilter { id_prefix: Some(it.into()), ..all.clone() };
    assert_eq!(list(&store, prefix("01k")).await, [run_id(3), run_id(2), run_id(1)]);
    assert_eq!(list(&store, prefix(&run_id(2).0)).await, [run_id(2)]);
    assert_eq!(list(&store, prefix("01%")).await, [], "no pattern");
    let statuses = vec![RunStatus::Failed, RunStatus::Queued];
    let filter = RunFilter { statuses, ..all.clone() };
    assert_eq!(list(&store, filter.clone()).await, [run_id(3), run_id(1)]);
    let filter = RunFilter { repository: repository.repository, ..filter };
    assert_eq!(list(&store, filter).await, [run_id(1)]);
}

async fn runs_that_go_on_and_have_failed_already_are_found(store: Store, _: &Database) {
    let team = insert_team(&store, "shop").await;
    let web = insert_project(&store, &team, "web").await;
    let stands = [
        (1, RunStatus::Running, 1),
        (2, RunStatus::Waiting, 0),
        (3, RunStatus::Failed, 1),
        (4, RunStatus::Waiting, 2),
    ];
    let events = [Event::Admitted];
    for (n, status, failed_stages) in stands {
        store.insert_run(&NewRun { project: web.clone(), ..new_run(n) }).await.unwrap();
        let id = run_id(n);
        let append = Append {
            run: &id,
            seq: 0,
            events: &events,
            at: Timestamp(2000),
            status,
            finished_at: None,
            failed_stages,
            notes: &[],
        };
        store.append_events(&append).await.unwrap();
    }
    let statuses = vec![RunStatus::Running, RunStatus::Waiting];
    let anywhere =
        RunFilter { statuses, has_failed_stages: true, limit: 10, ..RunFilter::default() };
    let of_team = RunFilter { teams: Some(vec![team]), ..anywhere.clone() };
    for filter in [anywhere, of_team] {
        assert_eq!(list(&store, filter.clone()).await, [run_id(4), run_id(1)]);
        let older = RunFilter { before: Some(run_id(4)), ..filter };
        assert_eq!(list(&store, older).await, [run_id(1)]);
    }
}

async fn a_revision_is_named_by_its_first_letters(store: Store, _: &Database) {
    let team = insert_team(&store, "shop").await;
    let web = insert_project(&store, &team, "web").await;
    let (one, other) = ("abcd1".repeat(8), "abcd2".repeat(8));
    for (n, revision) in [(1, &one), (2, &other), (3, &one)] {
        let run = NewRun { revision: revision.clone(), project: web.clone(), ..new_run(n) };
        store.insert_run(&run).await.unwrap();
    }
    let of = |revision: &str, project: Option<&ProjectId>| RunFilter {
        revision: Some(revision.to_owned()),
        project: project.cloned(),
        limit: 10,
        ..RunFilter::default()
    };
    for project in [None, Some(&web)] {
        assert_eq!(list(&store, of("abcd", project)).await, [run_id(3), run_id(2), run_id(1)]);
        assert_eq!(list(&store, of("ABCD1", project)).await, [run_id(3), run_id(1)]);
        assert_eq!(list(&store, of(&other, project)).await, [run_id(2)]);
        for nothing in ["abc", "abcd3", "abcd%", "", "bcd1a"] {
            assert_eq!(list(&store, of(nothing, project)).await, [], "{nothing}");
        }
    }
}

async fn runs_of_a_teams_projects_are_one_list(store: Store, _: &Database) {
    let (shop, bank) = (insert_team(&store, "shop").await, insert_team(&store, "bank").await);
    let projects = [
        insert_project(&store, &shop, "web").await,
        insert_project(&store, &shop, "app").await,
        insert_project(&store, &bank, "vault").await,
    ];
    for (n, project) in (1..).zip(projects.iter().cycle().take(9)) {
        let branch = if n % 2 == 0 { "main" } else { "topic" }.to_owned();
        let run = NewRun { project: project.clone(), branch, ..new_run(n) };
        store.insert_run(&run).await.unwrap();
    }
    let teams = |teams: &[&TeamId]| Some(teams.iter().map(|it| (*it).clone()).collect());
    let shops = RunFilter { teams: teams(&[&shop]), limit: 3, ..RunFilter::default() };

    assert_eq!(list(&store, shops.clone()).await, [run_id(8), run_id(7), run_id(5)]);
    let next = RunFilter { before: Some(run_id(5)), ..shops.clone() };
    assert_eq!(list(&store, next).await, [run_id(4), run_id(2), run_id(1)]);
    let main = RunFilter { branch: Some("main".to_owned()), ..shops.clone() };
    assert_eq!(list(&store, main).await, [run_id(8), run_id(4), run_id(2)]);
    let app = RunFilter { project: Some(projects[1].clone()), ..shops.clone() };
    assert_eq!(list(&store, app).await, [run_id(8), run_id(5), run_id(2)]);
    let not_theirs = RunFilter { project: Some(projects[2].clone()), ..shops.clone() };
    assert_eq!(list(&store, not_theirs).await, []);
    assert_eq!(list(&store, RunFilter { teams: teams(&[]), ..shops.clone() }).await, []);
    let both = RunFilter { teams: teams(&[&bank, &shop]), ..shops };
    assert_eq!(list(&store, both).await, [run_id(9), run_id(8), run_id(7)]);
}

async fn the_newest_run_of_each_trunk_is_listed(store: Store, _: &Database) {
    let shop = insert_team(&store, "shop").await;
    let mut projects = Vec::new();
    for name in ["web", "app", "new"] {
        projects.push(insert_project(&store, &shop, name).await);
    }
    for (n, (project, branch)) in
        (1..).zip([(0, "main"), (0, "topic"), (1, "main"), (1, "main"), (1, "topic")])
    {
        let (project, branch) = (projects[project].clone(), branch.to_owned());
        store.insert_run(&NewRun { project, branch, ..new_run(n) }).await.unwrap();
    }
    let ids = async |projects: &[ProjectId]| -> Vec<RunId> {
        let runs = store.list_trunk_runs(projects).await.unwrap();
        runs.into_iter().map(|it| it.id).collect()
    };
    assert_eq!(ids(&projects).await, [run_id(4), run_id(1)]);
    assert_eq!(ids(&projects[..1]).await, [run_id(1)]);
    assert!(ids(&[]).await.is_empty());
}

async fn a_trunk_stands_by_pipeline_and_by_what_started_it(store: Store, _: &Database) {
    let shop = insert_team(&store, "shop").await;
    let web = insert_project(&store, &shop, "web").await;
    let runs = [
        ("ci", "push"),
        ("ci", "push"),
        ("nightly", "schedule"),
        ("ci", "schedule"),
        ("ci", "pull_request"),
        ("a", "manual"),
        ("a", "manual"),
    ];
    for (n, (pipeline, event)) in (1..).zip(runs) {
        let text = str::to_owned;
        let run = NewRun {
            project: web.clone(),
            pipeline: text(pipeline),
            event: text(event),
            ..new_run(n)
        };
        store.insert_run(&run).await.unwrap();
    }
    let stands = async || -> Vec<RunId> {
        let runs = store.list_trunk_runs(std::slice::from_ref(&web)).await.unwrap();
        runs.into_iter().map(|it| it.id).collect()
    };
    assert_eq!(stands().await, [run_id(7), run_id(4), run_id(3), run_id(2)]);
    // A pipeline that is pushed and scheduled is looked at for so long, and no longer.
    for n in 8..=27 {
        let run = NewRun { project: web.clone(), event: "schedule".to_owned(), ..new_run(n) };
        store.insert_run(&run).await.unwrap();
    }
    assert_eq!(stands().await, [run_id(27), run_id(7), run_id(3)]);
}

async fn runs_of_very_many_projects_are_one_list_too(store: Store, _: &Database) {
    let (shop, bank) = (insert_team(&store, "shop").await, insert_team(&store, "bank").await);
    let vault = insert_project(&store, &bank, "vault").await;
    for n in 1..=70 {
        let project = insert_project(&store, &shop, &format!("app-{n}")).await;
        store.insert_run(&NewRun { project, ..new_run(n) }).await.unwrap();
    }
    store.insert_run(&NewRun { project: vault, ..new_run(71) }).await.unwrap();
    let filter = RunFilter { teams: Some(vec![shop]), limit: 2, ..RunFilter::default() };
    assert_eq!(list(&store, filter).await, [run_id(70), run_id(69)]);
}

async fn unfinished_runs_are_listed_oldest_first(store: Store, _: &Database) {
    let statuses = [
        RunStatus::Queued,
        RunStatus::Running,
        RunStatus::Waiting,
        RunStatus::Cancelling,
        RunStatus::Passed,
        RunStatus::Failed,
        RunStatus::Cancelled,
    ];
    for (n, status) in (0..).zip(statuses) {
        let run = insert(&store, n).await;
        set_status(&store, &run, status).await;
    }

    let unfinished = store.list_unfinished_runs().await.unwrap();

    let ids: Vec<_> = unfinished.into_iter().map(|it| it.id).collect();
    assert_eq!(ids, (0..4).map(run_id).collect::<Vec<_>>());
}

async fn a_deleted_run_takes_everything_along(store: Store, _: &Database) {
    use crate::samples::{attempt, outcome_with};
    use trunkline::model::Digest;
    use trunkline::store::artifacts::ArtifactRow;

    let run = insert_passed(&store, 1).await;
    let outcome = outcome_with("f1", 0.9);
    let digest = Digest::of(b"archive");
    let row = ArtifactRow {
        attempt: attempt(&run, 0, 1),
        stage_key: "build".into(),
        path: "out".into(),
        digest: digest.clone(),
        size_bytes: 7,
        files: 1,
        expires_at: Timestamp(i64::MAX),
    };
    store.insert_artifacts(&[row]).await.unwrap();
    store.insert_result(&digest, &attempt(&run, 0, 1), &outcome, Timestamp(1)).await.unwrap();
    store.save_metrics(&run, "build", &outcome.metrics, Timestamp(1)).await.unwrap();

    store.delete_run(&run).await.unwrap();
    store.delete_run(&run).await.unwrap();

    assert_eq!(store.find_run(&run).await.unwrap(), None);
    assert_eq!(store.find_plan(&run).await.unwrap(), None);
    assert!(store.list_events(&run, 0).await.unwrap().is_empty());
    assert!(store.list_artifacts(&run).await.unwrap().is_empty());
    assert!(store.list_referenced_blobs().await.unwrap().is_empty());
    assert_eq!(store.find_result(&digest).await.unwrap(), None);
    assert!(store.find_baselines("/srv/shop", "ci", "main").await.unwrap().is_empty());
}

async fn only_a_finished_run_can_be_deleted(store: Store, _: &Database) {
    let run = insert(&store, 1).await;

    let refused = store.delete_run(&run).await;

    assert!(matches!(refused, Err(StoreError::Unfinished { .. })), "{refused:?}");
    assert!(store.find_run(&run).await.unwrap().is_some());
}

async fn a_status_that_nobody_knows_is_reported_with_its_run(store: Store, database: &Database) {
    let run = insert(&store, 1).await;
    database.execute("UPDATE runs SET status = 'dreaming'").await;

    let error = store.find_run(&run).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "`status of run 01k00000000000000000000001` in the database cannot be read"
    );
}

async fn list(store: &Store, filter: RunFilter) -> Vec<RunId> {
    store.list_runs(&filter).await.unwrap().into_iter().map(|it| it.id).collect()
}
