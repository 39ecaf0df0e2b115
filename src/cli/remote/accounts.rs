//! Signing in to a server, and out of it.

use std::path::Path;

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::TokenOrigin;
use super::servers::StoredServer;
use super::{Call, Remote, RemoteError};
use crate::config::ApiToken;
use crate::model::Timestamp;

/// Who calls, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Login.
    pub login: String,
    /// Whether what they showed lets them do what concerns the whole installation.
    pub is_owner: bool,
    /// What a token is good for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Their teams.
    #[serde(default)]
    pub teams: Vec<Membership>,
}

/// A team of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Its name.
    pub team: String,
    /// What they may do there.
    pub role: String,
}

/// A token that was just made.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct MadeToken {
    /// Its id.
    pub id: String,
    /// The token.
    pub token: ApiToken,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A token to make.
#[derive(Debug, Clone, Serialize)]
pub struct TokenOrder {
    /// What it is for.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// How many days it is good.
    pub days: u32,
}

/// A session, which lasts for the sign-in and no longer.
struct Session {
    headers: HeaderMap,
}

impl Client {
    /// Who this is.
    pub async fn me(&self) -> Result<Me, RemoteError> {
        self.fetch(&Call::get(&["me"])).await
    }

    /// Makes a token for somebody who knows their password. The session that it takes is ended again.
    pub async fn make_token(
        &self,
        (login, password): (&str, &str),
        order: &TokenOrder,
    ) -> Result<MadeToken, RemoteError> {
        let session = self.sign_in(login, password).await?;
        let call = Call::post(&["tokens"]).body(order);
        let made = match self.open(&call, &session.headers).await {
            Ok(response) => self.read(response).await,
            Err(error) => Err(error),
        };
        // It would end by itself.
        let _is_ended = self.open(&Call::delete(&["session"]), &session.headers).await;
        made
    }

    async fn sign_in(&self, login: &str, password: &str) -> Result<Session, RemoteError> {
        let body = serde_json::json!({ "login": login, "password": password });
        let call = Call::post(&["sign-in"]).body(&body);
        let response = self.open(&call, &HeaderMap::new()).await?;
        let cookies = cookies(response.headers());
        let csrf = cookies.iter().find(|(name, _)| name.ends_with("csrf"));
        let csrf = csrf.map(|(_, value)| value.clone()).unwrap_or_default();
        let line: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (COOKIE.as_str(), line.join("; ")),
            ("x-csrf-token", csrf),
            // No other site has made us send this.
            ("sec-fetch-site", "same-origin".to_owned()),
        ] {
            let Ok(mut value) = HeaderValue::from_str(&value) else { continue };
            value.set_sensitive(true);
            if let Ok(name) = reqwest::header::HeaderName::from_bytes(name.as_bytes()) {
                headers.insert(name, value);
            }
        }
        Ok(Session { headers })
    }
}

/// Names and values of the cookies that an answer sets.
fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers.get_all(SET_COOKIE).iter().filter_map(|it| it.to_str().ok());
    let pairs = lines.filter_map(|it| it.split(';').next()?.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

impl Remote {
    /// Speaks to a server as nobody, to sign in.
    pub fn as_nobody(
        session: &crate::cli::session::Session,
        place: (&super::Address, Option<&StoredServer>),
    ) -> anyhow::Result<Client> {
        Self::client_with(session, place, (None, TokenOrigin::Missing))
    }

    /// Speaks to a server with a token that was just given.
    pub fn with_token(
        session: &crate::cli::session::Session,
        place: (&super::Address, Option<&StoredServer>),
        token: ApiToken,
    ) -> anyhow::Result<Client> {
        Self::client_with(session, place, (Some(token), TokenOrigin::Given))
    }
}

/// What this machine calls itself, for the name of its token.
#[must_use]
pub fn machine() -> String {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname"));
    let name = name.map(|it| it.trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "a terminal".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_without_their_attributes() {
        let mut headers = HeaderMap::new();
        for line in ["trunkline=a.b.c; Path=/; HttpOnly", "trunkline-csrf=x; Path=/"] {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cookies(&headers), [pair("trunkline", "a.b.c"), pair("trunkline-csrf", "x")]);
    }
}
