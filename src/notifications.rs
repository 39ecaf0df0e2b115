//! Tells people and programs what became of runs and budgets: signed webhooks, Slack, mail. What is to be told is
//! written down first and sent after, again when the other side was away, and never twice by intent.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::{Clock, Milliseconds, Timestamp};
use crate::outgoing::{Outgoing, OutgoingError};
use crate::secrets::{SealError, Sealer};
use crate::store::{Store, StoreError};

mod notice;
mod message;
mod subscriptions;
mod derive;
mod budgets;
mod send;
mod mail;

pub use mail::{MailError, Mailer};
pub use notice::{AskedFacts, EventKind, FailedStage, Notice, RunFacts};
pub use subscriptions::{Form, NewSubscription, SubscriptionChange, SubscriptionError};

/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long notifications are kept, sent or not.
const KEPT: Milliseconds = Milliseconds::from_seconds(30 * 24 * 3600);
/// Between two removals of old ones.
const PURGE_EVERY: Milliseconds = Milliseconds::from_seconds(3600);

/// What notifications are made from and sent with.
#[derive(Debug, Clone)]
pub struct NotificationParts {
    /// The database.
    pub store: Store,
    /// Seals addresses and secrets.
    pub sealer: Sealer,
    /// What calls; it knows which addresses may be called.
    pub outgoing: Outgoing,
    /// What sends letters, if the operator has set it up.
    pub mailer: Option<Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where people reach the server, without a slash at the end.
    pub public_url: Option<String>,
}

/// Tells people and programs what became of runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notifications {
    parts: Arc<NotificationParts>,
}

/// Why nothing could be told.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// Something could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored notice cannot be read by this version.
    #[error("a stored notice cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl Notifications {
    /// Notifications with these parts.
    #[must_use]
    pub fn new(parts: NotificationParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Sends what is due until `shutdown`.
    pub async fn serve(&self, shutdown: &CancellationToken) {
        let mut purged_at = Timestamp(0);
        while !shutdown.is_cancelled() {
            self.pass_alerts_on().await;
            match self.send_due().await {
                Ok(true) => continue,
                Ok(false) => (),
                Err(error) => tracing::warn!(%error, "notifications could not be sent"),
            }
            let now = self.now();
            if now.since(purged_at) >= PURGE_EVERY {
                purged_at = now;
                self.purge(now).await;
            }
            tokio::select! {
                () = shutdown.cancelled() => (),
                () = tokio::time::sleep(LOOK_EVERY) => (),
            }
        }
    }

    async fn pass_alerts_on(&self) {
        if let Err(error) = self.note_alerts().await {
            tracing::warn!(%error, "alerts of budgets could not be passed on");
        }
    }

    async fn purge(&self, now: Timestamp) {
        let before = Timestamp(now.0.saturating_sub(i64::try_from(KEPT.0).unwrap_or(i64::MAX)));
        if let Err(error) = self.store().delete_alerts(before).await {
            tracing::warn!(%error, "old alerts of budgets could not be removed");
        }
        if let Err(error) = self.store().delete_notifications(before).await {
            tracing::warn!(%error, "old notifications could not be removed");
        }
    }

    fn store(&self) -> &Store {
        &self.parts.store
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }
}

/// Why a try to send did not arrive.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    /// Another try may arrive, not before this moment if there is one.
    #[error("{reason}")]
    Later {
        /// What happened.
        reason: String,
        /// The receiver's wish.
        not_before: Option<Timestamp>,
    },
    /// The receiver wants nothing any more.
    #[error("{0}")]
    Gone(String),
}

impl From<OutgoingError> for Undelivered {
    fn from(error: OutgoingError) -> Self {
        Self::Later { reason: error.to_string(), not_before: None }
    }
}
