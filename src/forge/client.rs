//! Statuses of commits at a forge: GitHub's
//! (<https://docs.github.com/rest/commits/statuses>, <https://docs.github.com/rest/checks/runs>), Gitea's
//! after its model, and GitLab's (<https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::model::{ForgeKind, Milliseconds, Timestamp};
use crate::outgoing::{Answer, Outgoing, OutgoingError};

/// The longest descriptions that the forges take.
const DESCRIPTION_CHARS_GITHUB: usize = 140;
const DESCRIPTION_CHARS_GITLAB: usize = 255;
/// How long to wait where a forge says "slow down" and not for how long: what GitHub asks for.
const LIMITED_SECONDS: u64 = 60;
/// The longest a forge may make us wait.
const LIMITED_SECONDS_MAX: u64 = 2 * 60 * 60;

/// One repository at one forge.
#[derive(Debug, Clone)]
pub struct Client {
    /// What calls.
    pub outgoing: Outgoing,
    /// Whose words are spoken.
    pub forge: ForgeKind,
    /// Base address of the API; empty for that of the public one.
    pub base: String,
    /// `owner/name`.
    pub repository: String,
    /// A token that may write statuses.
    pub token: String,
    /// Whether the token is a GitHub App's, which alone may write checks.
    pub is_app: bool,
}

/// Where something stands, as forges show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// Nothing has begun.
    Pending,
    /// It is under way.
    Running,
    /// All is well, or there was nothing to do.
    Success,
    /// Something is wrong with the code.
    Failure,
    /// It was stopped, or something of ours broke.
    Cancelled,
}

/// A status to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusPost {
    /// Of which commit.
    pub revision: String,
    /// Which status of the commit.
    pub context: String,
    /// Where it stands.
    pub state: StatusState,
    /// One line for people.
    pub description: String,
    /// More for people, in Markdown; or empty. Shown where the forge has checks.
    pub summary: String,
    /// The page of the run, if the server knows its own address.
    pub target_url: Option<String>,
    /// The forge's id of the check that is brought up to date; empty for none yet.
    pub remote_id: String,
}

/// What the forge has made of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The forge's id of the check, or empty.
    pub remote_id: String,
    /// Until when to leave the forge alone, when this was the last request of its limit.
    pub pause_until: Option<Timestamp>,
}

/// Why a call to a forge did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Too many requests: not before this moment.
    #[error("the forge takes no more requests for now")]
    Limited {
        /// When to try again.
        until: Timestamp,
    },
    /// The forge says no, and would again.
    #[error("the forge refuses it ({what}): {reason}")]
    Refused {
        /// The status, or what was sent.
        what: String,
        /// What it said.
        reason: String,
    },
    /// The forge is ill or away; try again.
    #[error("the forge failed: {0}")]
    Failed(String),
    /// It could not be called.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
}

impl PostError {
    pub(super) fn refused(what: &str, reason: &dyn std::fmt::Display) -> Self {
        Self::Refused { what: what.to_owned(), reason: reason.to_string() }
    }

    /// Whether another try may do better.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Limited { .. } | Self::Failed(_) => true,
            Self::Refused { .. } => false,
            Self::Outgoing(error) => matches!(error, OutgoingError::Unreachable { .. }),
        }
    }
}

impl StatusState {
    /// The word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Running, Self::Success, Self::Failure, Self::Cancelled];
        all.into_iter().find(|it| it.as_str() == word)
    }

    /// GitHub knows no "running" and no "cancelled".
    fn github(self) -> &'static str {
        match self {
            Self::Pending | Self::Running => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "error",
        }
    }

    fn gitlab(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failed",
            Self::Cancelled => "canceled",
        }
    }
}

impl Client {
    /// Base address of the API.
    #[must_use]
    pub fn base_of(forge: ForgeKind, configured: &str) -> &str {
        match (configured.trim_end_matches('/'), forge) {
            ("", ForgeKind::Github) => "https://api.github.com",
            ("", ForgeKind::Gitlab) => "https://gitlab.com/api/v4",
            ("", ForgeKind::Gitea) => "https://gitea.com/api/v1",
            (base, _) => base,
        }
    }

    /// Posts a status, and beside it a check where that is possible.
    pub async fn post(&self, post: &StatusPost, now: Timestamp) -> Result<Posted, PostError> {
        let base = Self::base_of(self.forge, &self.base);
        let api = Api { outgoing: &self.outgoing, base, token: &self.token, now };
        let answer = match self.forge {
            ForgeKind::Github => self.post_github(&api, post).await?,
            ForgeKind::Gitea => self.post_gitea(&api, post).await?,
            ForgeKind::Gitlab => self.post_gitlab(&api, post).await?,
            ForgeKind::Git => return Ok(Posted { remote_id: String::new(), pause_until: None }),
        };
        let mut posted =
            Posted { remote_id: post.remote_id.clone(), pause_until: answer.pause_until(now) };
        if self.is_app && !post.summary.is_empty() {
            posted.remote_id = self.post_check(&api, post).await?;
        }
        Ok(posted)
    }

    async fn post_github(&self, api: &Api<'_>, post: &StatusPost) -> Result<Answer, PostError> {
        let path = format!("/repos/{}/statuses/{}", self.repository, post.revision);
        api.github(Method::POST, &path, Some(github_body(post))).await
    }

    async fn post_gitea(&self, api: &Api<'_>, post: &StatusPost) -> Result<Answer, PostError> {
        let path = format!("/repos/{}/statuses/{}", self.repository, post.revision);
        api.call(Method::POST, &path, Some(github_body(post)), self.authorization()).await
    }

    /// The header that shows the token, as the forge wants it.
    pub(super) fn authorization(&self) -> (&'static str, String) {
        match self.forge {
            ForgeKind::Github | ForgeKind::Git => {
                ("authorization", format!("Bearer {}", self.token))
            }
            ForgeKind::Gitea => ("authorization", format!("token {}", self.token)),
            ForgeKind::Gitlab => ("private-token", self.token.clone()),
        }
    }

    /// GitLab refuses to set the state that a status has already; then nothing is left to do.
    async fn post_gitlab(&self, api: &Api<'_>, post: &StatusPost) -> Result<Answer, PostError> {
        let project = utf8_percent_encode(&self.repository, NON_ALPHANUMERIC);
        let path = format!("/projects/{project}/statuses/{}", post.revision);
        let mut body = json!({
            "state": post.state.gitlab(),
            "name": post.context,
            "description": shorten(&post.description, DESCRIPTION_CHARS_GITLAB),
            "target_url": post.target_url,
        });
        remove_nulls(&mut body);
        let answer = api.call(Method::POST, &path, Some(body), self.authorization()).await;
        match answer {
            Err(PostError::Refused { reason, .. }) if reason.contains("Cannot transition") => {
                Ok(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Vec::new() })
            }
            other => other,
        }
    }

    /// Makes a check run, or brings it up to date; gives its id.
    async fn post_check(&self, api: &Api<'_>, post: &StatusPost) -> Result<String, PostError> {
        #[derive(serde::Deserialize)]
        struct CheckRun {
            id: u64,
        }
        let (status, conclusion) = match post.state {
            StatusState::Pending => ("queued", None),
            StatusState::Running => ("in_progress", None),
            StatusState::Success => ("completed", Some("success")),
            StatusState::Failure => ("completed", Some("failure")),
            StatusState::Cancelled => ("completed", Some("cancelled")),
        };
        let mut body = json!({
            "name": post.context,
            "status": status,
            "conclusion": conclusion,
            "details_url": post.target_url,
            "output": { "title": post.description, "summary": post.summary },
        });
        remove_nulls(&mut body);
        let runs = format!("/repos/{}/check-runs", self.repository);
        let (method, path) = match post.remote_id.as_str() {
            // Only a new one says which commit it is about.
            "" => {
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("head_sha".to_owned(), json!(post.revision));
                }
                (Method::POST, runs)
            }
            id => (Method::PATCH, format!("{runs}/{id}")),
        };
        let run: CheckRun = api.github(method, &path, Some(body)).await?.json()?;
        Ok(run.id.to_string())
    }
}

fn github_body(post: &StatusPost) -> Value {
    let mut body = json!({
        "state": post.state.github(),
        "context": post.context,
        "description": shorten(&post.description, DESCRIPTION_CHARS_GITHUB),
        "target_url": post.target_url,
    });
    remove_nulls(&mut body);
    body
}

/// A field without a value is left out: the forges take `null` for a value of the wrong type.
fn remove_nulls(body: &mut Value) {
    if let Value::Object(fields) = body {
        fields.retain(|_, value| !value.is_null());
    }
}

fn shorten(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

/// An API with somebody's token.
pub(super) struct Api<'a> {
    pub(super) outgoing: &'a Outgoing,
    pub(super) base: &'a str,
    pub(super) token: &'a str,
    pub(super) now: Timestamp,
}

impl Api<'_> {
    /// A call as GitHub wants it.
    pub(super) async fn github(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, PostError> {
        let authorization = ("authorization", format!("Bearer {}", self.token));
        self.call(method, path, body, authorization).await
    }

    /// A call with this header.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        (name, value): (&str, String),
    ) -> Result<Answer, PostError> {
        let request = self.outgoing.request(method, &format!("{}{path}", self.base))?;
        let request = request
            .header("accept", "application/vnd.github+json, application/json;q=0.9")
            .header("x-github-api-version", "2022-11-28")
            .header(name, value);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = self.outgoing.send(request).await?;
        answer.judge(self.now)
    }
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, PostError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| PostError::Failed(format!("its answer cannot be read: {error}")))
    }

    fn judge(self, now: Timestamp) -> Result<Self, PostError> {
        let is_limit = self.status == StatusCode::TOO_MANY_REQUESTS
            || (self.status == StatusCode::FORBIDDEN && self.names_a_limit());
        if self.status.is_success() {
            return Ok(self);
        }
        if is_limit {
            let until = self.limited_until(now).unwrap_or_else(|| after(now, LIMITED_SECONDS));
            return Err(PostError::Limited { until });
        }
        let reason: String = String::from_utf8_lossy(&self.body).chars().take(300).collect();
        if self.status.is_server_error() || self.status == StatusCode::REQUEST_TIMEOUT {
            return Err(PostError::Failed(format!("{}: {reason}", self.status)));
        }
        if self.status.is_redirection() {
            let reason = "it answers with a redirect, which is not followed; correct the address";
            return Err(PostError::refused(self.status.as_str(), &reason));
        }
        Err(PostError::refused(self.status.as_str(), &reason))
    }

    /// Until when nothing more is taken although this was, if the forge says so.
    fn pause_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_used_up() { self.limited_until(now) } else { None }
    }

    fn names_a_limit(&self) -> bool {
        self.header("retry-after").is_some() || self.is_used_up()
    }

    fn is_used_up(&self) -> bool {
        let names = ["x-ratelimit-remaining", "ratelimit-remaining"];
        names.iter().any(|it| self.header(it) == Some("0"))
    }

    /// `Retry-After` in seconds, else the moment at which the limit begins anew.
    fn limited_until(&self, now: Timestamp) -> Option<Timestamp> {
        if let Some(seconds) = self.header("retry-after").and_then(|it| it.parse().ok()) {
            return Some(after(now, seconds));
        }
        let names = ["x-ratelimit-reset", "ratelimit-reset"];
        let reset: i64 = names.iter().find_map(|it| self.header(it))?.parse().ok()?;
        let until = Timestamp(reset.saturating_mul(1000));
        Some(until.clamp(after(now, 1), after(now, LIMITED_SECONDS_MAX)))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn after(now: Timestamp, seconds: u64) -> Timestamp {
    now.plus(Milliseconds::from_seconds(seconds.min(LIMITED_SECONDS_MAX)))
}
