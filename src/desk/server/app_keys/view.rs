//! Keys of apps, as clients see them: JSON and the command line.

use super::{KeyState, MadeKey};
use crate::model::Timestamp;
use crate::store::access::gateway_keys::GatewayKeyRow;

/// A key of an app.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct GatewayKeyView {
    /// Its name.
    pub name: String,
    /// `valid`, `replaced` (it works until `expires_at`, and another has its name), `ended` or `revoked`.
    pub state: String,
    /// The project whose calls it makes, as `team/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The endpoint whose calls it makes; absent where each call may say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Patterns of the models it may call; all, without any.
    pub models: Vec<String>,
    /// Calls a minute; absent where that is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<i64>,
    /// Login of who made it.
    pub created_by: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// When it ends; absent where it is good until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    /// When it was used last, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<i64>,
}

impl GatewayKeyView {
    /// Of what is known of it.
    #[must_use]
    pub fn new(row: GatewayKeyRow, now: Timestamp) -> Self {
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
#[derive(Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct MadeKeyView {
    /// Its name.
    pub name: String,
    /// The key: it is not shown again.
    pub key: String,
    /// When it ends, in milliseconds since 1970-01-01 UTC; absent where it is good until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Until when the one works that it has replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_until: Option<i64>,
}

impl MadeKeyView {
    /// Of what is known of it.
    #[must_use]
    pub fn new(made: MadeKey, until: Option<Timestamp>) -> Self {
        Self {
            name: made.row.name,
            key: made.text,
            expires_at: made.row.expires_at.map(|it| it.0),
            replaced_until: until.map(|it| it.0),
        }
    }
}

impl std::fmt::Debug for MadeKeyView {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKeyView").field("name", &self.name).finish_non_exhaustive()
    }
}
