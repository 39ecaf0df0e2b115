//! Several state folders on one Docker daemon, as workers of one Postgres may have: they may make the same
//! attempt, one of them ahead of its turn.

use std::collections::BTreeSet;

use trunkline::executor::{
    AttemptState, DockerExecutor, DockerSettings, Executor as _, ProgramSpec, ServiceSpec,
};

use crate::attempt::Attempt;
use crate::world::{DockerWorld, World, docker, run};

/// An attempt of two segments with a service, so that it has things of all sorts.
fn attempt(world: &DockerWorld, word: &str) -> Attempt {
    let mut attempt = Attempt::new(world, &[&format!("echo {word} > file"), "cat file"]);
    attempt.prepare.program =
        ProgramSpec::Steps { images: vec![None, Some("debian:bookworm-slim".to_owned())] };
    attempt.prepare.services = vec![ServiceSpec {
        name: "db".to_owned(),
        image: world.image().to_owned(),
        env: Vec::new(),
        command: ["sleep", "1000"].map(str::to_owned).to_vec(),
        ready: None,
    }];
    attempt
}

/// The same attempt in two state folders.
fn attempts(one: &DockerWorld, other: &DockerWorld) -> [Attempt; 2] {
    let mut attempts = [attempt(one, "one"), attempt(other, "other")];
    attempts[1].prepare.name = attempts[0].name().clone();
    attempts
}

/// Prepares both at once.
async fn prepare(both: [(&Attempt, &DockerExecutor); 2]) {
    let [first, second] = both.map(|(attempt, executor)| Box::pin(attempt.prepare(executor)));
    tokio::try_join!(first, second).unwrap();
}

/// Ids of containers, names of volumes and networks.
fn things_of(world: &DockerWorld) -> BTreeSet<String> {
    let label = format!("label=trunkline.instance={}", world.place().instance);
    let found = docker(&["ps", "-aq", "--no-trunc", "--filter", &label])
        + &docker(&["volume", "ls", "--format", "volume {{.Name}}", "--filter", &label])
        + &docker(&["network", "ls", "--format", "network {{.Name}}", "--filter", &label]);
    found.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn state_folders_that_make_the_same_attempt_at_once_get_in_nobodys_way() {
    run::<DockerWorld>(async |one| {
        let beside = run::<DockerWorld>(async |other| {
            let [mine, theirs] = attempts(one, other);
            let executors = [one.executor().await, other.executor().await];
            prepare([(&mine, &executors[0]), (&theirs, &executors[1])]).await;
            // Two segments, the service, the workspace and the network.
            let (ours, others) = (things_of(one), things_of(other));
            assert_eq!((ours.len(), others.len()), (5, 5));
            assert!(ours.is_disjoint(&others), "{ours:?} {others:?}");

            assert!(Box::pin(mine.run(&executors[0])).await.text().ends_with("one\n"));
            let state = executors[1].state(theirs.name()).await.unwrap();
            assert_eq!(state, AttemptState::Prepared, "the go was not theirs");
            executors[0].remove(mine.name()).await.unwrap();
            assert_eq!(things_of(one), BTreeSet::new());
            assert_eq!(things_of(other), others);
            assert!(Box::pin(theirs.run(&executors[1])).await.text().ends_with("other\n"));
        });
        Box::pin(beside).await;
    })
    .await;
}

#[tokio::test]
async fn removing_what_was_prepared_half_leaves_the_neighbours() {
    run::<DockerWorld>(async |one| {
        let beside = run::<DockerWorld>(async |other| {
            let [mine, theirs] = attempts(one, other);
            let executors = [one.executor().await, other.executor().await];
            prepare([(&mine, &executors[0]), (&theirs, &executors[1])]).await;
            let others = things_of(other);
            // The layout is written last: without it, the attempt was prepared half.
            let attempts = one.place().state_folder().join("attempts");
            std::fs::remove_file(attempts.join(mine.name().slug()).join("layout.json")).unwrap();
            executors[0].remove(mine.name()).await.unwrap();
            assert_eq!(things_of(one), BTreeSet::new());
            assert_eq!(things_of(other), others);
        });
        Box::pin(beside).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_prepared_is_taken_up_by_another_path_of_the_same_state_folder() {
    run::<DockerWorld>(async |world| {
        let attempt = attempt(world, "same");
        attempt.prepare(&world.executor().await).await.unwrap();
        let things = things_of(world);
        let path = world.place().folder().join("another-path");
        std::os::unix::fs::symlink(world.place().state_folder(), &path).unwrap();
        let settings = DockerSettings::new(path, world.place().instance.clone());
        let executor = DockerExecutor::connect(settings).await.unwrap();
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Prepared);
        assert!(attempt.run(&executor).await.text().ends_with("same\n"));
        assert_eq!(things_of(world), things, "nothing was made anew");
    })
    .await;
}
