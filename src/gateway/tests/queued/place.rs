//! A database that several processes share, and the key that it is sealed with.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::world::{Now, World, asks};
use crate::gateway::ledger::Ledger;
use crate::gateway::server::queue::QueueParts;
use crate::model::Clock as _;
use crate::outgoing::Outgoing;
use crate::secrets::keys::{KeyFile, KeyProvider};
use crate::secrets::{Keyring, Sealer};
use crate::store::Store;
use crate::store::spend::requests::queue::{QueueItemRow, QueueScope};

/// One call at a time, and little patience.
pub(in crate::gateway::tests) const SETTINGS: &str = "
[queue]
concurrency = 1
look_ms = 30
retry_ms = 40
budget_ms = 60
lease_ms = 600
tries = 3
";

pub(in crate::gateway::tests) struct Place {
    folder: TempDir,
}

impl Place {
    pub(in crate::gateway::tests) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(in crate::gateway::tests) async fn store(&self) -> Store {
        let file = self.folder.path().join("queue.db");
        Store::open(&format!("sqlite:{}", file.display())).await.unwrap()
    }

    /// One more process.
    pub(in crate::gateway::tests) async fn world(&self, settings: &str) -> World {
        self.world_with(settings, None).await
    }

    /// The same with a ledger that is made elsewhere.
    pub(in crate::gateway::tests) async fn world_with(
        &self,
        settings: &str,
        ledger: Option<Arc<Ledger>>,
    ) -> World {
        let store = self.store().await;
        let key = KeyFile::open(&self.folder.path().join("keys")).unwrap();
        let keyring = Keyring::new(KeyProvider::File(key), Vec::new());
        let sealer = Sealer::new(store.clone(), keyring, Arc::new(Now));
        let outgoing = Outgoing::new(["127.0.0.1".to_owned()].into()).unwrap();
        let parts = QueueParts { store, sealer, outgoing };
        World::with_parts(tempfile::tempdir().unwrap(), settings, (Some(parts), ledger)).await
    }

    #[expect(clippy::unused_self, reason = "the time of this place")]
    pub(in crate::gateway::tests) fn now(&self) -> i64 {
        Now.now().0
    }

    /// The row of an item of the team, once it has ended.
    pub(in crate::gateway::tests) async fn ended(&self, id: &str) -> QueueItemRow {
        let store = self.store().await;
        let scope = QueueScope { line: "team/core".to_owned(), project: String::new() };
        for _ in 0..1000 {
            let row = store.find_queue_item(&scope, id).await.unwrap().unwrap();
            if row.ended_at.is_some() {
                return row;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("`{id}` does not end");
    }
}

/// A submission; `fake` is what the provider is to do.
pub(in crate::gateway::tests) fn ask(fake: &str) -> Value {
    let body: Value = serde_json::from_str(&asks(false, "")).unwrap();
    json!({"path": "/v1/chat/completions", "body": body, "headers": {"x-fake": fake}})
}
