//! Services that end while their attempt runs; only Docker has services.

use std::time::{Duration, Instant};

use trunkline::executor::{AttemptState, DockerExecutor, Executor as _, ProbeSpec, ServiceSpec};
use trunkline::model::Milliseconds;

use crate::attempt::{Attempt, until};
use crate::world::{DockerWorld, World as _, container_of, docker, run};

#[derive(Clone, Copy, PartialEq)]
enum Ready {
    AtOnce,
    Unasked,
}

/// An attempt beside a service that runs this text.
fn attempt(world: &DockerWorld, steps: &[&str], (service, ready): (&str, Ready)) -> Attempt {
    let mut attempt = Attempt::new(world, steps);
    let probe = ProbeSpec::Exec(vec!["true".to_owned()]);
    attempt.prepare.services = vec![ServiceSpec {
        name: "db".to_owned(),
        image: world.image().to_owned(),
        env: Vec::new(),
        command: ["sh", "-c", service].map(str::to_owned).to_vec(),
        ready: (ready == Ready::AtOnce).then_some((probe, Milliseconds(30_000))),
    }];
    attempt
}

fn service_of(attempt: &Attempt) -> String {
    container_of(attempt.name(), "service-db")
}

/// Waits until the service has ended.
fn end_of_service(attempt: &Attempt) {
    docker(&["wait", &service_of(attempt)]);
}

async fn failed_service(executor: &DockerExecutor, attempt: &Attempt) -> String {
    let exit = executor.wait(attempt.name()).await.unwrap();
    exit.failed_service.unwrap_or_default()
}

#[tokio::test]
async fn a_service_that_ends_too_early_ends_the_attempt_and_is_told() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let service = "echo starting; sleep 2; echo no space left; exit 3";
        let attempt = attempt(world, &["echo up; sleep 100"], (service, Ready::AtOnce));
        attempt.start(&executor).await;
        let start = Instant::now();
        insta::assert_snapshot!(failed_service(&executor, &attempt).await, @r"
        service `db` ended with exit code 3 while the stage was running. Its last lines:
        starting
        no space left
        help: look for the reason in its last lines; a stage needs its services until it has ended
        ");
        assert!(start.elapsed() < Duration::from_mins(1), "the attempt is not waited for");
        // What it printed up to then is there.
        assert!(attempt.finish(&executor).await.text().starts_with("up\n"));
    })
    .await;
}

#[tokio::test]
async fn a_service_may_end_well_if_nobody_asks_whether_it_is_ready() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        for (service, ready, fails) in [
            ("exit 0", Ready::Unasked, false),
            ("exit 1", Ready::Unasked, true),
            ("sleep 2; exit 0", Ready::AtOnce, true),
            ("sleep 100", Ready::AtOnce, false),
        ] {
            let attempt = attempt(world, &["sleep 4"], (service, ready));
            attempt.start(&executor).await;
            let said = failed_service(&executor, &attempt).await;
            assert_eq!(!said.is_empty(), fails, "{service}: {said}");
            executor.remove(attempt.name()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_comes_later_says_the_same() {
    run::<DockerWorld>(async |world| {
        let first = world.executor().await;
        let service = ("sleep 2; exit 3", Ready::AtOnce);
        let attempt = attempt(world, &["echo up; sleep 4; echo end"], service);
        attempt.start(&first).await;
        until(&first, attempt.name(), "end\n").await;
        drop(first);
        let second = world.executor().await;
        let outcome = attempt.finish(&second).await;
        assert_eq!(outcome.exit.code, 0, "nobody ended it");
        assert!(outcome.exit.failed_service.unwrap().contains("exit code 3"));
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_was_ended_for_its_service_is_not_lost() {
    run::<DockerWorld>(async |world| {
        let first = world.executor().await;
        let attempt = attempt(world, &["sleep 100"], ("sleep 2; exit 3", Ready::AtOnce));
        attempt.start(&first).await;
        let said = failed_service(&first, &attempt).await;
        drop(first);
        let second = world.executor().await;
        let state = second.state(attempt.name()).await.unwrap();
        assert!(matches!(state, AttemptState::Exited(_)), "{state:?}");
        assert_eq!(failed_service(&second, &attempt).await, said);
    })
    .await;
}

#[tokio::test]
async fn what_becomes_of_a_service_after_the_attempt_does_not_count() {
    run::<DockerWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = attempt(world, &["true"], ("sleep 100", Ready::AtOnce));
        attempt.run(&executor).await;
        docker(&["kill", &service_of(&attempt)]);
        end_of_service(&attempt);
        assert_eq!(failed_service(&executor, &attempt).await, "");
    })
    .await;
}
