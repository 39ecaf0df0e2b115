//! The lines of a gateway's ledger come to what the gateway itself has counted.

use super::world::{World, asks};
use crate::gateway::ledger::summed;
use crate::model::Timestamp;
use crate::store::spend::sums::{SpendBy, SpendFilter};

#[tokio::test]
async fn the_lines_of_a_ledger_come_to_what_was_counted() {
    let world = World::new("ledger = \"ledger.jsonl\"").await;
    for stream in [false, true] {
        let tags = [("x-trunkline-tags", "beta")];
        let reply = world.post("/v1/chat/completions", &asks(stream, ""), &tags).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    world.settled().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    std::fs::write(&path, world.ledger().take_lines(String::new())).unwrap();
    let counted = world.ledger().sums();
    let filter = SpendFilter { to: Timestamp(i64::MAX), limit: 10, ..SpendFilter::default() };
    let words = [(SpendBy::Model, "m1"), (SpendBy::Tag, "beta"), (SpendBy::Team, "core")];
    for (by, name) in words {
        let summed = summed::of_file(&path, by, &filter).unwrap();
        assert_eq!((summed.damaged, summed.rows.len()), (0, 1), "{by:?}");
        let (row, sum) = (&summed.rows[0], counted[0].1);
        assert_eq!((row.name.as_str(), row.attempts, row.cost), (name, 2, sum.cost));
        let tokens = [sum.input_tokens, sum.output_tokens].map(|it| i64::try_from(it).unwrap());
        assert_eq!([row.input_tokens, row.output_tokens], tokens);
    }
    assert!(counted[0].1.cost.0 > 0);
    world.end().await;
}
