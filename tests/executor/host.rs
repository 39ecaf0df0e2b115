//! What only the host does, and the contract on it.

use trunkline::executor::{Executor as _, ServiceSpec};

use crate::attempt::Attempt;
use crate::world::{HostWorld, World as _, run};

mod contract {
    crate::contract::hold_contract!(crate::world::HostWorld);
}

mod shell {
    crate::shell::hold_shell_contract!(crate::world::HostWorld);
}

#[tokio::test]
async fn services_are_refused_with_a_way_out() {
    run::<HostWorld>(async |world| {
        let mut attempt = Attempt::new(world, &["true"]);
        attempt.prepare.services = vec![ServiceSpec {
            name: "db".to_owned(),
            image: "postgres:16".to_owned(),
            env: Vec::new(),
            command: Vec::new(),
            ready: None,
        }];
        let error = attempt.prepare(&world.executor().await).await.unwrap_err();
        insta::assert_snapshot!(error, @"service `db` cannot be had on the host executor. Run the pipeline with Docker");
    })
    .await;
}

#[tokio::test]
async fn the_engines_environment_is_not_inherited() {
    run::<HostWorld>(async |world| {
        let executor = world.executor().await;
        let attempt = Attempt::new(world, &["env | grep -c CARGO || true"]);
        assert_eq!(attempt.run(&executor).await.text(), "0\n");
        executor.remove(attempt.name()).await.unwrap();
    })
    .await;
}
