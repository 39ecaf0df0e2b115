//! Deliveries as clients see them.

use crate::forge::About;
use crate::store::intake::deliveries::DeliveryRow;

/// A delivery.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct DeliveryBody {
    /// Its id here.
    id: String,
    /// `github`, `gitlab`, `gitea`; or `git` for what was seen at the remote.
    forge: String,
    /// The forge's id of it.
    delivery: String,
    /// Which event, in the forge's words.
    event: String,
    /// `received`, `processed`, `ignored` or `failed`.
    status: String,
    /// What came of it.
    outcome: String,
    /// How often it was tried.
    attempts: i64,
    /// When it came, in milliseconds since 1970-01-01 UTC.
    received_at: i64,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_at: Option<i64>,
    /// What it is about, where it says so and is not very long.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<AboutBody>,
}

/// What people know a delivery by; what it does not say is empty.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct AboutBody {
    /// Branch or tag; of a request the branch that it comes from.
    branch: String,
    /// Id of the commit.
    revision: String,
    /// First line of the commit's message, or title of the request, cut.
    subject: String,
    /// Number of the pull or merge request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
}

impl From<About> for AboutBody {
    fn from(about: About) -> Self {
        let About { branch, revision, subject, request } = about;
        Self { branch, revision, subject, request }
    }
}

impl DeliveryBody {
    pub(super) fn of(row: DeliveryRow, about: Option<About>) -> Self {
        Self {
            id: row.id,
            forge: row.forge.to_string(),
            delivery: row.delivery,
            event: row.event,
            status: row.status.as_str().to_owned(),
            outcome: row.outcome,
            attempts: row.attempts,
            received_at: row.received_at.0,
            processed_at: row.processed_at.map(|it| it.0),
            about: about.map(AboutBody::from),
        }
    }
}
