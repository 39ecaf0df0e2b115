//! A database that several processes share, and the key that it is sealed with.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::world::{Now, World, asks};
use crate::gateway::server::queue::QueueParts;
use crate::model::Clock as _;
use crate::outgoing::Outgoing;
use crate::secrets::keys::{KeyFile, KeyProvider};
use crate::secrets::{Keyring, Sealer};
use crate::store::Store;
use crate::store::spend::requests::queue::{QueueItemRow, QueueScope};

/// One call at a time, and little patience.
pub(super) const SETTINGS: &str = "
[queue]
concurrency = 1
look_ms = 30
retry_ms = 40
budget_ms = 60
lease_ms = 600
tries = 3
";

pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) async fn store(&self) -> Store {
        let file = self.folder.path().join("queue.db");
        Store::open(&format!("sqlite:{}", file.display())).await.unwrap()
    }

    /// One more process.
    pub(super) async fn world(&self, settings: &str) -> World {
        let store = self.store().await;
        let key = KeyFile::open(&self.folder.path().join("keys")).unwrap();
        let keyring = Keyring::new(KeyProvider::File(key), Vec::new());
        let sealer = Sealer::new(store.clone(), keyring, std::sync::Arc::new(Now));
        let outgoing = Outgoing::new(["127.0.0.1".to_owned()].into()).unwrap();
        let parts = QueueParts { store, sealer, outgoing };
        World::with_queue(tempfile::tempdir().unwrap(), settings, Some(parts)).await
    }

    #[expect(clippy::unused_self, reason = "the time of this place")]
    pub(super) fn now(&self) -> i64 {
        Now.now().0
    }

    /// The row of an item of the team, once it has ended.
    pub(super) async fn ended(&self, id: &str) -> QueueItemRow {
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
pub(super) fn ask(fake: &str) -> Value {
    let body: Value = serde_json::from_str(&asks(false, "")).unwrap();
    json!({"path": "/v1/chat/completions", "body": body, "headers": {"x-fake": fake}})
}
