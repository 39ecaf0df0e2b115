//! The services that requests are answered with.

use std::sync::Arc;

use crate::auth::Auth;
use crate::blobs::{Archives, Blobs, Logs};
use crate::http::{Lifecycle, Streams};
use crate::model::{Clock, Timestamp};
use crate::runs::Runs;
use crate::secrets::{Sealer, TeamSecrets};
use crate::store::Store;
use crate::triggers::Triggers;

/// Everything a handler may use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The database, for reading.
    pub store: Store,
    /// The use cases on runs.
    pub runs: Runs,
    /// Artifacts and caches.
    pub blobs: Blobs,
    /// Logs.
    pub logs: Logs,
    /// Who calls.
    pub auth: Auth,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What starts runs.
    pub triggers: Triggers,
    /// The secrets of teams.
    pub secrets: TeamSecrets,
    /// Looks into artifacts.
    pub archives: Archives,
    /// Seals what is kept for clients.
    pub sealer: Sealer,
    /// Streams of events that are open.
    pub streams: Streams,
    /// Whether this process takes requests.
    pub lifecycle: Lifecycle,
}

impl App {
    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id: a ULID in lower case, whose time is the present.
    #[must_use]
    pub fn new_id(&self) -> String {
        crate::secrets::new_id(self.now())
    }
}
