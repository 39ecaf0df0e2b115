//! Secrets as clients see them: without their values.

use crate::secrets::rules::Rules;
use crate::store::sealed::secrets::SecretRow;

/// A secret.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct SecretBody {
    /// Its name.
    name: String,
    /// The environment whose stages get it; empty for all.
    environment: String,
    /// Who may read it.
    rules: Rules,
    /// Counts its values and rules.
    version: i64,
    /// Login of who changed it last.
    changed_by: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    changed_at: i64,
}

impl From<SecretRow> for SecretBody {
    fn from(row: SecretRow) -> Self {
        Self {
            name: row.name,
            environment: row.environment,
            rules: serde_json::from_str(&row.rules).unwrap_or_default(),
            version: row.version,
            changed_by: row.changed_by,
            changed_at: row.changed_at.0,
        }
    }
}

/// Which secret of a team or project.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SecretQuery {
    /// Its name.
    pub(super) name: String,
    /// Its environment; empty for that of all.
    #[serde(default)]
    pub(super) environment: String,
}
