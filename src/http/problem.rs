//! Errors as clients see them: `application/problem+json` (RFC 9457). Nothing internal leaves here.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::{
    AuthError, KeyError, OidcError, OwnPasswordError, PasswordError, PersonError, SetupError,
};
use crate::blobs::BlobError;
use crate::model::Role;
use crate::runs::RunsError;
use crate::secrets::{self, SealError, TeamSecretsError};
use crate::store::StoreError;
use crate::triggers::TriggerError;

/// What went wrong, in words that clients may compare. New ones are added, old ones stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request cannot be understood.
    BadRequest,
    /// Nobody is signed in.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing, or the caller may not know of it.
    NotFound,
    /// There is one already, or somebody else was faster.
    Conflict,
    /// What is asked for cannot be done as things stand.
    Refused,
    /// What is asked for cannot be done in this way with this address.
    MethodNotAllowed,
    /// It is no longer what the client has seen.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The body is not of a type that is read.
    UnsupportedMedia,
    /// The wanted part lies outside.
    RangeNotSatisfiable,
    /// Too many requests.
    TooMany,
    /// Something of ours broke.
    Internal,
    /// Something below us does not answer; try again.
    Unavailable,
}

impl ProblemKind {
    /// The last part of the problem's `type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::PreconditionFailed => "precondition-failed",
            Self::TooLarge => "too-large",
            Self::UnsupportedMedia => "unsupported-media-type",
            Self::RangeNotSatisfiable => "range-not-satisfiable",
            Self::TooMany => "too-many-requests",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An error as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    title: String,
    help: Option<String>,
    retry_after_seconds: Option<u64>,
}

/// The form of RFC 9457, section 3, with `help` as an extension.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of problem; stable.
    r#type: String,
    /// What is wrong, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, title: impl Into<String>) -> Self {
        Self { kind, title: title.into(), help: None, retry_after_seconds: None }
    }

    /// The request cannot be understood.
    pub fn bad_request(title: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequest, title)
    }

    /// A parameter has a word that is not among those it can have.
    #[must_use]
    pub fn unknown_word(parameter: &str, word: &str, known: &[&str]) -> Self {
        let known: Vec<_> = known.iter().map(|it| format!("`{it}`")).collect();
        Self::bad_request(format!("`{parameter}`: `{word}` is not known"))
            .with_help(format!("Known are {}.", known.join(", ")))
    }

    /// There is no such thing. Says the same of what the caller may not see.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("{what} does not exist"))
    }

    /// The caller's role in the team is not enough.
    #[must_use]
    pub fn forbidden(needed: Role) -> Self {
        Self::new(ProblemKind::Forbidden, format!("this takes the role `{needed}` in the team"))
            .with_help("Ask an admin of the team to give it to you.")
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(ProblemKind::Unauthenticated, "this takes somebody who is signed in")
            .with_help("Send `Authorization: Bearer <token>`, or sign in.")
    }

    /// Something of ours broke; the cause goes to the log, and not to the client.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(ProblemKind::Internal, "something went wrong on our side")
            .with_help("Look into the log of the server.")
    }

    /// The same problem with what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// After how many seconds the request may be sent again, where that helps.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_seconds
    }

    /// It as the last event of a stream.
    pub(super) fn into_event(self) -> axum::response::sse::Event {
        let event = axum::response::sse::Event::default().event("problem");
        event.json_data(self.into_body()).unwrap_or_default()
    }

    fn into_body(self) -> ProblemBody {
        ProblemBody {
            r#type: format!("/problems/{}", self.kind.as_str()),
            title: self.title,
            status: self.kind.status().as_u16(),
            help: self.help,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, retry_after_seconds) = (self.kind, self.retry_after_seconds);
        let shown = self.clone();
        let mut response = (kind.status(), axum::Json(self.into_body())).into_response();
        // For those who show it in another form.
        response.extensions_mut().insert(shown);
        let headers = response.headers_mut();
        let json = header::HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if kind == ProblemKind::Unauthenticated {
            let bearer = header::HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Conflict { .. } => Self::new(ProblemKind::Conflict, error.to_string())
                .with_help("Load it again, and decide anew."),
            StoreError::Taken { .. } => Self::new(ProblemKind::Conflict, error.to_string())
                .with_help("Choose another name."),
            StoreError::Last { .. } => Self::new(ProblemKind::Refused, error.to_string())
                .with_help(error.help().unwrap_or_default()),
            StoreError::Unfinished { .. } => Self::new(ProblemKind::Refused, error.to_string()),
            StoreError::Unreachable { .. } | StoreError::Database(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the database failed");
                Self::new(ProblemKind::Unavailable, "the database does not answer")
                    .with_help("Try again in a moment.")
            }
            StoreError::UnknownDatabase { .. }
            | StoreError::Folder { .. }
            | StoreError::NotADatabase { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::OlderSchema { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Migration(_) => Self::internal(&error),
        }
    }
}

impl From<RunsError> for Problem {
    fn from(error: RunsError) -> Self {
        match error {
            RunsError::NotFound(_) => Self::not_found("this run"),
            RunsError::Ambiguous { .. } => Self::bad_request(error.to_string()),
            RunsError::NoStage { ref known, .. } => {
                let known = known.join("`, `");
                Self::new(ProblemKind::NotFound, error.to_string())
                    .with_help(format!("Known are `{known}`."))
            }
            RunsError::Refused(refused) => Self::new(ProblemKind::Refused, refused.to_string()),
            RunsError::Store(error) => error.into(),
            RunsError::Unreadable { .. } => Self::internal(&error),
        }
    }
}

impl From<TeamSecretsError> for Problem {
    fn from(error: TeamSecretsError) -> Self {
        match error {
            TeamSecretsError::NotSet { .. } => Self::not_found("this secret"),
            TeamSecretsError::Denied { .. } => Self::new(ProblemKind::Refused, error.to_string()),
            TeamSecretsError::Invalid(reason) => Self::bad_request(reason),
            TeamSecretsError::Store(error) | TeamSecretsError::Seal(SealError::Store(error)) => {
                error.into()
            }
            TeamSecretsError::Seal(SealError::Key(secrets::KeyError::Unreachable { .. })) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the keys are away");
                Self::new(ProblemKind::Unavailable, "the key provider does not answer")
                    .with_help("Try again in a moment.")
            }
            TeamSecretsError::Seal(error) => Self::internal(&error),
        }
    }
}

impl From<TriggerError> for Problem {
    fn from(error: TriggerError) -> Self {
        match error {
            TriggerError::Runs(error) => error.into(),
            TriggerError::Store(error) => error.into(),
            TriggerError::Project(_) | TriggerError::Broken(_) => Self::internal(&error),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unproven | AuthError::Raced => Self::unauthenticated(),
            AuthError::Locked { retry_after_seconds } => Self {
                retry_after_seconds: Some(retry_after_seconds),
                ..Self::new(ProblemKind::TooMany, "too many wrong tries")
                    .with_help(format!("Try again in {retry_after_seconds} s."))
            },
            AuthError::CrossSite => Self::new(ProblemKind::Forbidden, error.to_string())
                .with_help("Load the page again, and send it once more. Programs repeat the cookie `trunkline-csrf` in the header `X-CSRF-Token`."),
            AuthError::Oidc(error) => error.into(),
            AuthError::NoProvider | AuthError::NoPublicUrl => {
                Self::new(ProblemKind::NotFound, error.to_string())
            }
            AuthError::Key(KeyError::Store(error)) | AuthError::Store(error) => error.into(),
            AuthError::Key(_) | AuthError::Seal(_) => Self::internal(&error),
        }
    }
}

impl From<OidcError> for Problem {
    fn from(error: OidcError) -> Self {
        let cause = &error as &dyn std::error::Error;
        match &error {
            OidcError::Unreachable { .. } | OidcError::Answer { .. } => {
                tracing::error!(error = cause, "the provider failed");
                Self::new(ProblemKind::Unavailable, "the provider does not answer as it should")
                    .with_help("Try again in a moment; the server's log says more.")
            }
            OidcError::Token(_) => {
                tracing::warn!(error = cause, "a sign-in was refused");
                Self::new(ProblemKind::Unauthenticated, "the provider's answer proves nothing")
                    .with_help("Begin again; the server's log says more.")
            }
            OidcError::NotAllowed(reason) => Self::new(ProblemKind::Forbidden, *reason),
        }
    }
}

impl From<OwnPasswordError> for Problem {
    fn from(error: OwnPasswordError) -> Self {
        match error {
            OwnPasswordError::Password(PasswordError::Length) => {
                Self::bad_request(error.to_string())
            }
            OwnPasswordError::Password(PasswordError::Hash) => Self::internal(&error),
            OwnPasswordError::NoPassword => Self::new(ProblemKind::Refused, error.to_string()),
            OwnPasswordError::Wrong => Self::new(ProblemKind::Refused, error.to_string())
                .with_help("Type it again. Forgotten? An owner of this server gives you another."),
            OwnPasswordError::Changed => Self::new(ProblemKind::Conflict, error.to_string())
                .with_help("Sign in with it, and decide anew."),
            OwnPasswordError::Auth(error) => error.into(),
            OwnPasswordError::Store(error) => error.into(),
        }
    }
}

impl From<PersonError> for Problem {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Unknown { .. } => Self::new(ProblemKind::NotFound, error.to_string()),
            PersonError::BadLogin
            | PersonError::TooLong { .. }
            | PersonError::Password(PasswordError::Length) => Self::bad_request(error.to_string()),
            PersonError::Password(PasswordError::Hash) => Self::internal(&error),
            PersonError::Store(error) => error.into(),
        }
    }
}

impl From<SetupError> for Problem {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Done => Self::new(ProblemKind::Conflict, error.to_string())
                .with_help("Sign in, or ask an owner."),
            SetupError::WrongToken => Self::new(ProblemKind::Forbidden, error.to_string())
                .with_help("Take it from the log of the server; a restart prints a new one."),
            SetupError::Person(error) => error.into(),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::NotFound(what) => Self::not_found(&format!("`{what}`")),
            BlobError::TooLarge { .. } => Self::new(ProblemKind::TooLarge, error.to_string()),
            BlobError::Corrupt(_) | BlobError::Gap { .. } | BlobError::Storage { .. } => {
                Self::internal(&error)
            }
        }
    }
}
