//! Commands on stored runs.

use trunkline::engine::{AttemptOutcome, Command, Event};
use trunkline::model::{AttemptName, RunId, StageIndex, Timestamp};
use trunkline::pipeline::{Context, Selection, SourceFile, check};
use trunkline::runs::{CreateRun, LoadedRun, Runs};
use trunkline::store::Store;

use crate::databases::{Database, on_each_database};
use crate::samples::run_id;

on_each_database![
    commands_that_came_together_are_stored_at_once,
    a_refused_command_does_not_keep_the_others_back,
    commands_are_decided_again_when_somebody_was_faster,
    who_knows_a_change_is_not_woken_by_it,
];

const AT: Timestamp = Timestamp(5000);

async fn commands_that_came_together_are_stored_at_once(store: Store, _: &Database) {
    let (runs, mut loaded) = started(store).await;
    let commands = [start_step(&loaded), finish_step(&loaded), finish_attempt(&loaded)];
    let (events, refused) = runs.execute_all(&mut loaded, &commands, AT).await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(matches!(events.first(), Some(Event::StepStarted { .. })), "{events:?}");
    let stored = runs.load(&loaded.row.id).await.unwrap();
    assert!(stored.run.status().is_finished());
    assert_eq!((stored.run.status(), stored.seq), (loaded.run.status(), loaded.seq));
}

async fn a_refused_command_does_not_keep_the_others_back(store: Store, _: &Database) {
    let (runs, mut loaded) = started(store).await;
    let again = Command::TakeLease { epoch: 1, owner: "late".to_owned(), instance: String::new() };
    let commands = [again, finish_attempt(&loaded)];
    let (_, refused) = runs.execute_all(&mut loaded, &commands, AT).await.unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(runs.load(&loaded.row.id).await.unwrap().run.status().is_finished());
}

async fn commands_are_decided_again_when_somebody_was_faster(store: Store, _: &Database) {
    let (runs, mut loaded) = started(store).await;
    let mut other = runs.load(&loaded.row.id).await.unwrap();
    let command = start_step(&other);
    runs.execute(&mut other, &command, AT).await.unwrap();
    let commands = [finish_step(&loaded), finish_attempt(&loaded)];
    let (_, refused) = runs.execute_all(&mut loaded, &commands, AT).await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(loaded.run.status().is_finished());
}

async fn who_knows_a_change_is_not_woken_by_it(store: Store, _: &Database) {
    let (runs, mut loaded) = started(store).await;
    let mut changes = runs.subscribe();
    let command = start_step(&loaded);
    let before = loaded.clone();
    runs.execute(&mut loaded, &command, AT).await.unwrap();
    let mut theirs = changes.resubscribe();
    let command = finish_step(&loaded);
    runs.execute(&mut loaded, &command, AT).await.unwrap();
    runs.changed(&mut changes, &before).await;
    assert_eq!(changes.len(), 1, "woken by the first announcement");
    runs.changed(&mut theirs, &loaded).await;
    assert!(theirs.is_empty(), "passed over what was known");
}

/// A run of one stage whose first attempt has begun.
async fn started(store: Store) -> (Runs, LoadedRun) {
    let text =
        "version: 1\nname: ci\non: { push: {} }\nstages:\n  one: { image: x, run: 'true' }\n";
    let file = SourceFile { name: ".trunkline.yml".to_owned(), text: text.to_owned() };
    let pipeline = check(file, &|_| Err("none".to_owned())).pipeline.unwrap();
    let context = Context { event: "push".to_owned(), ..Context::default() };
    let runs = Runs::new(store);
    let create = CreateRun {
        project: trunkline::model::ProjectId(String::new()),
        cause: String::new(),
        height: 0,
        id: run_id(1),
        repository: "/srv/shop".to_owned(),
        tree: "7ree".to_owned(),
        plan: pipeline.plan(&context, &Selection::default()).unwrap(),
        context,
        created_at: AT,
    };
    runs.create(&create).await.unwrap();
    let mut loaded = runs.load(&RunId::clone(&create.id)).await.unwrap();
    let lease =
        Command::TakeLease { epoch: 1, owner: "driver".to_owned(), instance: String::new() };
    let start = Command::StartAttempt { stage: StageIndex(0), epoch: 1 };
    let (_, refused) = runs.execute_all(&mut loaded, &[lease, start], AT).await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    (runs, loaded)
}

fn attempt(loaded: &LoadedRun) -> AttemptName {
    AttemptName { run: loaded.row.id.clone(), stage: StageIndex(0), attempt: 1 }
}

fn start_step(loaded: &LoadedRun) -> Command {
    Command::StartStep { attempt: attempt(loaded), step: 0, epoch: 1 }
}

fn finish_step(loaded: &LoadedRun) -> Command {
    Command::FinishStep { attempt: attempt(loaded), step: 0, exit_code: 0, epoch: 1 }
}

fn finish_attempt(loaded: &LoadedRun) -> Command {
    let outcome = AttemptOutcome { exit_code: Some(0), ..AttemptOutcome::default() };
    Command::FinishAttempt { attempt: attempt(loaded), outcome, epoch: 1 }
}
