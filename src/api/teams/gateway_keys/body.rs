//! Keys of apps, as clients see them.

use crate::desk::server::app_keys::{KeyState, MadeKey};
use crate::model::Timestamp;
use crate::store::access::gateway_keys::GatewayKeyRow;

/// A key of an app.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct GatewayKeyBody {
    /// Its name.
    name: String,
    /// `valid`, `replaced` (it works until `expires_at`, and another has its name), `ended` or `revoked`.
    state: String,
    /// The project whose calls it makes, as `team/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    /// The endpoint whose calls it makes; absent where each call may say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// Patterns of the models it may call; all, without any.
    models: Vec<String>,
    /// Calls a minute; absent where that is not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_minute: Option<i64>,
    /// Login of who made it.
    created_by: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    created_at: i64,
    /// When it ends; absent where it is good until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
    /// When it was used last, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<i64>,
}

impl GatewayKeyBody {
    pub(super) fn new(row: GatewayKeyRow, now: Timestamp) -> Self {
        let state = KeyState::of(&row, now).as_str().to_owned();
        Self {
            state,
            project: row.subject.get("project").cloned(),
            endpoint: row.subject.get("endpoint").cloned(),
            name: row.name,
            models: row.models,
            per_minute: row.per_minute,
            created_by: row.created_by,
            created_at: row.created_at.0,
            expires_at: row.expires_at.map(|it| it.0),
            revoked_at: row.revoked_at.map(|it| it.0),
            used_at: row.used_at.map(|it| it.0),
        }
    }
}

/// A key that was just made.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(super) struct MadeGatewayKey {
    /// Its name.
    name: String,
    /// The key: it is not shown again.
    key: String,
    /// When it ends, in milliseconds since 1970-01-01 UTC; absent where it is good until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// Until when the one works that it has replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_until: Option<i64>,
}

impl MadeGatewayKey {
    pub(super) fn new(made: MadeKey, until: Option<Timestamp>) -> Self {
        Self {
            name: made.row.name,
            key: made.text,
            expires_at: made.row.expires_at.map(|it| it.0),
            replaced_until: until.map(|it| it.0),
        }
    }
}
