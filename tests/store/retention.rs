//! What may go, and what may not.

use trunkline::engine::{AttemptOutcome, Event};
use trunkline::model::{ForgeKind, ProjectId, RunId, RunStatus, StageIndex, TeamId, Timestamp};
use trunkline::store::Store;
use trunkline::store::audit::{AuditFilter, AuditRow};
use trunkline::store::intake::deliveries::{DeliveryStatus, NewDelivery};
use trunkline::store::retention::{RunAge, RunFamily};
use trunkline::store::runs::{Append, RunFilter};

use crate::databases::{Database, on_each_database};
use crate::samples::{
    attempt, insert, insert_passed, insert_shop, new_run, pass, run_id, set_status,
};

on_each_database![
    families_are_projects_and_repositories,
    old_runs_of_a_family_are_found_page_by_page,
    the_last_green_runs_of_trunk_are_known,
    runs_that_unfinished_ones_have_reused_are_known,
    only_what_was_processed_long_ago_goes_and_only_so_much,
    a_project_says_how_long_it_keeps_runs,
    what_is_ready_and_what_waits_is_known,
];

const NOW: Timestamp = Timestamp(1000);

async fn family(store: &Store, project: &str) -> RunFamily {
    let all = store.list_run_families().await.unwrap();
    all.into_iter().find(|it| it.project.0 == project).unwrap()
}

async fn families_are_projects_and_repositories(store: Store, _: &Database) {
    insert_shop(&store).await;
    insert(&store, 1).await;
    insert(&store, 2).await;
    let families = store.list_run_families().await.unwrap();
    let shown: Vec<_> =
        families.iter().map(|it| (&*it.project.0, &*it.repository, &*it.trunk)).collect();
    assert_eq!(shown, [("p-web", "", "main"), ("", "/srv/shop", "")]);
    assert!(families.iter().all(|it| it.keep_days == -1 && it.keep_count == -1));
}

async fn old_runs_of_a_family_are_found_page_by_page(store: Store, _: &Database) {
    for n in 1..=6 {
        insert_passed(&store, n).await;
    }
    insert(&store, 7).await;
    let family = family(&store, "").await;
    let cutoff = store.find_cutoff(&family, 3).await.unwrap();
    assert_eq!(cutoff, Some(run_id(5)), "5, 6 and 7 are the newest three");
    assert_eq!(store.find_cutoff(&family, 8).await.unwrap(), None);
    let age = |before, after: &str, limit| RunAge {
        before: Timestamp(before),
        cutoff: run_id(5),
        after: RunId(after.to_owned()),
        limit,
    };
    let list = async |age: RunAge| store.list_old_runs(&family, &age).await.unwrap();
    assert_eq!(list(age(5000, "", 9)).await, [], "they ended at 5000");
    assert_eq!(list(age(5001, "", 3)).await, [run_id(1), run_id(2), run_id(3)]);
    assert_eq!(list(age(5001, &run_id(3).0, 3)).await, [run_id(4)]);
    assert_eq!(store.has_ended_before(&run_id(1), Timestamp(5001)).await.unwrap(), Some(true));
    assert_eq!(store.has_ended_before(&run_id(7), Timestamp(5001)).await.unwrap(), Some(false));
    assert_eq!(store.has_ended_before(&run_id(8), Timestamp(5001)).await.unwrap(), None);
}

async fn the_last_green_runs_of_trunk_are_known(store: Store, _: &Database) {
    let project = insert_shop(&store).await;
    for (n, pipeline, branch, event) in [
        (1, "ci", "main", "push"),
        (2, "ci", "main", "push"),
        (3, "ci", "topic", "push"),
        (4, "nightly", "main", "push"),
        (5, "ci", "main", "skipped"),
        (6, "ci", "main", "pull_request"),
    ] {
        let mut new = new_run(n);
        (new.project, new.pipeline, new.branch, new.event) =
            (project.clone(), pipeline.to_owned(), branch.to_owned(), event.to_owned());
        store.insert_run(&new).await.unwrap();
        if event == "skipped" {
            set_status(&store, &run_id(n), RunStatus::Passed).await;
        } else {
            pass(&store, &run_id(n)).await;
        }
    }
    let family = family(&store, "p-web").await;
    let mut green = store.list_last_green_runs(&family).await.unwrap();
    green.sort();
    assert_eq!(green, [run_id(2), run_id(4)]);
    let filter = RunFilter { is_green: true, limit: 9, ..RunFilter::default() };
    let listed = store.list_runs(&filter).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|it| it.id).collect();
    assert_eq!(listed, [4, 3, 2, 1].map(run_id), "what approvals compare with");
    for (n, is_last) in [(1, false), (2, true), (3, false), (4, true), (5, false), (6, false)] {
        assert_eq!(store.is_last_green(&run_id(n)).await.unwrap(), is_last, "{n}");
    }
}

async fn runs_that_unfinished_ones_have_reused_are_known(store: Store, _: &Database) {
    let (first, second) = (insert_passed(&store, 1).await, insert(&store, 2).await);
    let reused = Event::StageReused {
        stage: StageIndex(0),
        from: attempt(&first, 0, 1),
        outcome: AttemptOutcome::default(),
    };
    let append = Append {
        run: &second,
        seq: 0,
        events: &[reused],
        at: NOW,
        status: RunStatus::Running,
        finished_at: None,
        failed_stages: 0,
        notes: &[],
    };
    store.append_events(&append).await.unwrap();
    assert_eq!(store.list_reused_runs().await.unwrap(), [first]);
    set_status(&store, &second, RunStatus::Passed).await;
    assert_eq!(store.list_reused_runs().await.unwrap(), []);
}

async fn only_what_was_processed_long_ago_goes_and_only_so_much(store: Store, _: &Database) {
    let project = insert_shop(&store).await;
    for n in 1..=5 {
        let new = NewDelivery {
            id: format!("d{n}"),
            project: project.clone(),
            forge: ForgeKind::Github,
            delivery: n.to_string(),
            digest: n.to_string(),
            event: "push".to_owned(),
            body: "{}".to_owned(),
            next_at: NOW,
            received_at: NOW,
        };
        store.insert_delivery(&new).await.unwrap();
    }
    for (n, at) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
        let outcome = (DeliveryStatus::Ignored, "");
        store.save_outcome(&format!("d{n}"), outcome, NOW, Timestamp(at)).await.unwrap();
    }
    let delete =
        async |before, limit| store.delete_old_deliveries(Timestamp(before), limit).await.unwrap();
    assert_eq!(delete(40, 2).await, 2);
    assert_eq!(delete(40, 2).await, 1);
    assert_eq!(delete(40, 2).await, 0);
    let left = store.list_deliveries(&project, None, 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(left, ["d5", "d4"], "one waits, one is too young");

    let event = |n: i64| AuditRow {
        id: format!("a{n}"),
        at: Timestamp(n),
        actor: "system".to_owned(),
        address: String::new(),
        action: "x.y".to_owned(),
        team: TeamId(String::new()),
        project: ProjectId(String::new()),
        subject: String::new(),
        detail: "{}".to_owned(),
    };
    store.insert_audit_events(&[event(1), event(2), event(3)]).await.unwrap();
    assert_eq!(store.delete_audit_events(Timestamp(3), 1).await.unwrap(), 1);
    assert_eq!(store.delete_audit_events(Timestamp(3), 9).await.unwrap(), 1);
    let filter = AuditFilter { limit: 9, ..AuditFilter::default() };
    assert_eq!(store.list_audit_events(&filter).await.unwrap(), [event(3)]);
}

async fn a_project_says_how_long_it_keeps_runs(store: Store, _: &Database) {
    let project = insert_shop(&store).await;
    assert_eq!(store.find_run_retention(&project).await.unwrap(), (None, None));
    store.save_run_retention(&project, Some(7), None).await.unwrap();
    assert_eq!(store.find_run_retention(&project).await.unwrap(), (Some(7), None));
    let own = family(&store, "p-web").await;
    assert_eq!((own.keep_days, own.keep_count), (7, -1));
    store.save_run_retention(&project, None, Some(3)).await.unwrap();
    let own = family(&store, "p-web").await;
    assert_eq!((own.keep_days, own.keep_count), (-1, 3));
}

async fn what_is_ready_and_what_waits_is_known(store: Store, database: &Database) {
    store.check_ready().await.unwrap();
    insert(&store, 1).await;
    insert_passed(&store, 2).await;
    let stock = store.take_stock(Timestamp(5001)).await.unwrap();
    assert_eq!(stock.runs, [("queued", 1)]);
    assert_eq!(stock.oldest_queued_milliseconds, 4000);
    assert_eq!((stock.deliveries, stock.statuses), (0, 0));
    database.execute("DELETE FROM _sqlx_migrations WHERE version = 1").await;
    let error = store.check_ready().await.unwrap_err().to_string();
    assert!(error.contains("migrations"), "{error}");
}
