//! Every history of a few commands, in every order: small enough to try them all.

use super::promises;
use super::world::World;

#[test]
fn every_short_history_keeps_the_promises() {
    let plan = "a; retry 1 1 infra | b <- a; group g | c <- a, b?; if always()";
    let commands = [
        "lease 1",
        "lease 2",
        "start a",
        "start b",
        "start c",
        "slot b",
        "outdated b",
        "pass a",
        "pass b",
        "pass c",
        "fail a infra",
        "fail b user",
        "pass a @1",
        "cancel",
        "rerun failed",
        "rerun all",
        "tick",
    ];
    assert!(try_all(&World::new(plan), &commands, 7) > 10_000);
}

#[test]
fn every_short_history_with_people_and_limits_keeps_the_promises() {
    let plan = "run group g | run timeout 60 | a; approval 2 | b; timeout 20; allow
        | c <- a, b; if !failed()";
    let commands = [
        "lease 1",
        "admit",
        "approve a eve",
        "approve a bob",
        "reject a bob",
        "start b",
        "pass b",
        "fail b user",
        "start c",
        "pass c",
        "cancel",
        "rerun failed",
        "tick",
    ];
    assert!(try_all(&World::new(plan), &commands, 7) > 10_000);
}

/// Tries every command after `world`, and every command after that, and so on; gives how many were
/// not refused. The clock moves 15 seconds with each command.
fn try_all(world: &World, commands: &[&str], depth: u32) -> usize {
    if depth == 0 {
        return 0;
    }
    let mut accepted = 0;
    for line in commands {
        let command = world.parse_command(line);
        let Ok(events) = world.run.decide(&command, world.now) else { continue };
        assert!(!events.is_empty() || *line == "tick", "`{line}` is neither a fact nor refused");
        let mut next = world.clone();
        next.wait(15);
        next.record(&events);
        promises::check(&next, &events);
        accepted += 1 + try_all(&next, commands, depth - 1);
    }
    accepted
}
