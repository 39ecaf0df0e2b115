//! A GitHub App: proves itself by a JWT, and gets a token for the installation on one repository.
//! <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;

use super::client::{Api, PostError};
use crate::model::{Milliseconds, Timestamp};
use crate::outgoing::Outgoing;

/// The JWT may live ten minutes; a minute is left for clocks that differ.
const JWT_SECONDS: i64 = 9 * 60;
const CLOCK_SKEW_SECONDS: i64 = 60;

/// An App that is registered at a GitHub, with its private key.
#[derive(Clone)]
pub struct GithubApp {
    id: String,
    key: EncodingKey,
}

/// A token for one installation.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallationToken {
    /// The token.
    pub token: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

#[derive(serde::Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

#[derive(serde::Deserialize)]
struct Installation {
    id: u64,
}

#[derive(serde::Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: String,
}

impl std::fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GithubApp").field("id", &self.id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for InstallationToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstallationToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl GithubApp {
    /// An App by its id and its private key (PEM, RSA).
    pub fn new(id: String, key: &[u8]) -> Result<Self, jsonwebtoken::errors::Error> {
        Ok(Self { id, key: EncodingKey::from_rsa_pem(key)? })
    }

    /// The JWT by which the App proves itself.
    pub fn jwt(&self, now: Timestamp) -> Result<String, jsonwebtoken::errors::Error> {
        let seconds = now.0 / 1000;
        let (iat, exp) = (seconds - CLOCK_SKEW_SECONDS, seconds + JWT_SECONDS);
        let claims = Claims { iat, exp, iss: &self.id };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
    }

    /// A token for the installation on a repository (`owner/name`).
    pub async fn installation_token(
        &self,
        outgoing: &Outgoing,
        base: &str,
        repository: &str,
        now: Timestamp,
    ) -> Result<InstallationToken, PostError> {
        let jwt = self.jwt(now).map_err(|error| PostError::refused("the App's key", &error))?;
        let api = Api { outgoing, base, token: &jwt, now };
        let path = format!("/repos/{repository}/installation");
        let installation: Installation = api.github(Method::GET, &path, None).await?.json()?;
        let path = format!("/app/installations/{}/access_tokens", installation.id);
        let answer: TokenAnswer = api.github(Method::POST, &path, None).await?.json()?;
        let expires_at = chrono::DateTime::parse_from_rfc3339(&answer.expires_at)
            .map_or(now.plus(Milliseconds::from_seconds(600)), |it| {
                Timestamp(it.timestamp_millis())
            });
        Ok(InstallationToken { token: answer.token, expires_at })
    }
}
