//! Forges: what they send is proved and read, and statuses are posted back. One file a forge; everybody
//! else knows only [`Delivery`] and [`Client`]. Decides nothing about runs.

mod about;
mod delivery;
mod signature;
mod payload;
mod github;
mod gitlab;
mod git;
mod app;
mod client;
mod reaction;
mod requests;

#[cfg(test)]
mod tests;

pub use about::{About, about};
pub use app::{GithubApp, InstallationToken};
pub use client::{Client, PostError, Posted, StatusPost, StatusState};
pub use delivery::{
    Comment, Delivery, DeliveryKind, PullRequest, PullRequestAction, Push, Sender, skip_word,
};
pub use git::{RefChange, describe_change};
pub use reaction::Reaction;
pub use requests::{OpenRequest, OpenRequests, describe_closed, request_of_ref};
pub use signature::Unproven;

use reqwest::header::HeaderMap;

use crate::model::{Digest, ForgeKind, Timestamp};

/// The longest body of a delivery: GitHub sends at most 25 MB
/// (<https://docs.github.com/webhooks/webhook-events-and-payloads>).
pub const BODY_BYTES_MAX: usize = 25 << 20;

/// A request as a forge has sent it.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a [u8],
}

/// Why a delivery cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableDelivery {
    /// The body is no JSON.
    #[error("the body is no JSON: {0}")]
    NotJson(String),
    /// Something that such a delivery has is missing.
    #[error("the `{event}` delivery has no `{field}`")]
    Missing {
        /// Which event.
        event: String,
        /// Path of the field.
        field: String,
    },
}

impl Envelope<'_> {
    /// Whether it comes from somebody who knows the secret. In constant time.
    pub fn prove(&self, forge: ForgeKind, secret: &str, now: Timestamp) -> Result<(), Unproven> {
        match forge {
            ForgeKind::Github => {
                signature::prove_hex(self, "x-hub-signature-256", "sha256=", secret)
            }
            ForgeKind::Gitea => signature::prove_hex(self, "x-gitea-signature", "", secret),
            ForgeKind::Gitlab => signature::prove_gitlab(self, secret, now),
            ForgeKind::Git => Err(Unproven::NoHook),
        }
    }

    /// The forge's own name of this delivery, which a second try has too; or a digest of the body.
    #[must_use]
    pub fn delivery(&self, forge: ForgeKind) -> String {
        let names: &[&str] = match forge {
            ForgeKind::Github => &["x-github-delivery"],
            ForgeKind::Gitea => &["x-gitea-delivery", "x-forgejo-delivery", "x-github-delivery"],
            ForgeKind::Gitlab => &["webhook-id", "idempotency-key"],
            ForgeKind::Git => &[],
        };
        let named = self.first_header(names).filter(|it| !it.is_empty() && it.len() <= 200);
        named.map_or_else(|| Digest::of(self.body).to_string(), str::to_owned)
    }

    /// Which event it is, in the forge's words.
    #[must_use]
    pub fn event(&self, forge: ForgeKind) -> String {
        let event = match forge {
            ForgeKind::Github => self.first_header(&["x-github-event"]),
            ForgeKind::Gitea => self.first_header(&["x-gitea-event", "x-forgejo-event"]),
            ForgeKind::Gitlab => return gitlab::event(self.body),
            ForgeKind::Git => None,
        };
        event.unwrap_or_default().chars().take(100).collect()
    }

    fn first_header(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|it| self.headers.get(*it)?.to_str().ok())
    }
}

/// Reads a delivery that was proved before.
pub fn read(forge: ForgeKind, event: &str, body: &str) -> Result<Delivery, UnreadableDelivery> {
    match forge {
        ForgeKind::Github | ForgeKind::Gitea => github::read(event, body),
        ForgeKind::Gitlab => gitlab::read(event, body),
        ForgeKind::Git => git::read(event, body),
    }
}

/// The ref under which the forge keeps the head of a pull or merge request.
#[must_use]
pub fn request_ref(forge: ForgeKind, number: u64) -> Option<String> {
    match forge {
        ForgeKind::Github | ForgeKind::Gitea => Some(format!("refs/pull/{number}/head")),
        ForgeKind::Gitlab => Some(format!("refs/merge-requests/{number}/head")),
        ForgeKind::Git => None,
    }
}

/// Who somebody of a forge is in the table of identities: `<kind>:<host>`.
#[must_use]
pub fn identity_provider(forge: ForgeKind, configured: &str) -> String {
    let base = Client::base_of(forge, configured);
    let host = reqwest::Url::parse(base).ok().and_then(|it| it.host_str().map(str::to_owned));
    let host = host.unwrap_or_default();
    format!("{forge}:{}", if host == "api.github.com" { "github.com" } else { &host })
}
