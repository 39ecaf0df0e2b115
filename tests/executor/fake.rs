//! What only the fake executor does, and the contract on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trunkline::executor::fake::{Fault, Operation};
use trunkline::executor::{AttemptState, Executor as _, ExecutorError};

use crate::attempt::Attempt;
use crate::world::{FakeWorld, World as _, run};

mod contract {
    crate::contract::hold_contract!(crate::world::FakeWorld);
}

fn lost() -> ExecutorError {
    ExecutorError::Infra { operation: "asking".to_owned(), reason: "no answer".to_owned() }
}

#[tokio::test]
async fn a_lost_answer_is_a_begin_all_the_same() {
    run::<FakeWorld>(async |world| {
        let executor = world.executor().await;
        let faulty = executor.clone().with_faults(Arc::new(|operation, _| {
            if operation == Operation::Begin { Fault::LoseAnswer(lost()) } else { Fault::None }
        }));
        let attempt = Attempt::new(world, &["sleep 5\nprint hi\nmetric f1 0.9"]);
        attempt.prepare(&faulty).await.unwrap();
        faulty.begin(attempt.name(), &attempt.begin).await.unwrap_err();
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Begun);
        assert_eq!(attempt.finish(&executor).await.text(), "hi\n");
        assert_eq!(executor.begun(), [attempt.name().clone()]);
    })
    .await;
}

#[tokio::test]
async fn a_late_answer_comes_late() {
    run::<FakeWorld>(async |world| {
        let late = |_, _: Option<&_>| Fault::LateAnswer(Duration::from_secs(30));
        let executor = world.executor().await.with_faults(Arc::new(late));
        let before = Instant::now();
        Attempt::new(world, &["true"]).prepare(&executor).await.unwrap();
        assert_eq!(before.elapsed().as_secs(), 30);
    })
    .await;
}

#[tokio::test]
async fn what_vanishes_is_lost() {
    run::<FakeWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["sleep 5\nvanish\nsleep 5"]);
        attempt.start(&executor).await;
        let error = executor.wait(attempt.name()).await.unwrap_err();
        assert!(matches!(error, ExecutorError::Gone(_)), "{error}");
        assert_eq!(executor.state(attempt.name()).await.unwrap(), AttemptState::Lost);
    })
    .await;
}
