//! What only Docker does, and the contract on it.

mod contract {
    crate::contract::hold_contract!(crate::world::DockerWorld);
}

mod contract_without_overlays {
    crate::contract::hold!(crate::world::PlainDockerWorld, contract:
        steps_pass_one_after_the_other,
        files_go_in_and_come_out,
        a_checkout_is_seen_by_two_and_changed_by_none,
        a_new_process_takes_up_what_was_prepared,
        an_attempt_that_was_only_prepared_can_be_removed,
    );
}
