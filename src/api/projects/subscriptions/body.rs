//! Subscriptions as clients see them: without addresses and secrets.

use crate::store::intake::outbox::NotificationRow;
use crate::store::intake::subscriptions::SubscriptionRow;

/// A subscription.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct SubscriptionBody {
    /// Its id.
    id: String,
    /// Id of the only project; absent for every project of the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// `webhook`, `slack` or `mail`.
    form: String,
    /// The host, or the mail address.
    target: String,
    /// What is told.
    events: Vec<String>,
    /// Globs of branches; none for all.
    branches: Vec<String>,
    /// Notifications that were given up in a row.
    failures: i64,
    /// Since when nothing is sent any more, in milliseconds since 1970-01-01 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<i64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    /// Login of who has made it.
    created_by: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
}

impl From<SubscriptionRow> for SubscriptionBody {
    fn from(row: SubscriptionRow) -> Self {
        Self {
            id: row.id,
            project: Some(row.project.0).filter(|it| !it.is_empty()),
            form: row.form,
            target: row.shown_target,
            events: serde_json::from_str(&row.events).unwrap_or_default(),
            branches: serde_json::from_str(&row.branches).unwrap_or_default(),
            failures: row.failures,
            disabled_at: row.disabled_at.map(|it| it.0),
            disabled_reason: Some(row.disabled_reason).filter(|it| !it.is_empty()),
            created_by: row.created_by,
            created_at: row.created_at.0,
        }
    }
}

/// A secret that webhooks are signed with.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct SigningSecret {
    /// The secret. Shown this once.
    pub(super) secret: String,
}

/// A notification that was sent, or is to be.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct NotificationBody {
    /// Its id: the `webhook-id`.
    id: String,
    /// What is told.
    event: String,
    /// The run, or empty.
    run: String,
    /// `waiting`, `sent` or `failed`.
    status: String,
    /// Tries so far.
    attempts: i64,
    /// Why the last try failed, or empty.
    error: String,
    /// When it is tried again, in milliseconds since 1970-01-01 UTC; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<i64>,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
}

impl From<NotificationRow> for NotificationBody {
    fn from(row: NotificationRow) -> Self {
        Self {
            next_at: (row.status == "waiting").then_some(row.next_at.0),
            id: row.id,
            event: row.event,
            run: row.run.0,
            status: row.status,
            attempts: row.attempts,
            error: row.error,
            created_at: row.created_at.0,
        }
    }
}
