//! What the provider is asked over HTTP: bounded in time and size, over TLS, without following redirects.

use jsonwebtoken::jwk::JwkSet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::OidcError;
use crate::config::ProviderSettings;
use crate::outgoing::{Outgoing, OutgoingError};

/// All but the unreserved (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// OpenID Connect Discovery 1.0, section 3.
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default = "basic")]
    token_endpoint_auth_methods_supported: Vec<String>,
}

fn basic() -> Vec<String> {
    vec!["client_secret_basic".to_owned()]
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// A provider that has said where everything is.
pub(super) struct Provider<'a> {
    settings: &'a ProviderSettings,
    outgoing: Outgoing,
    discovery: Discovery,
}

impl<'a> Provider<'a> {
    /// The operator has named the issuer, so it may be private; where it sends us may not, unless it is the
    /// same host.
    pub(super) async fn discover(
        settings: &'a ProviderSettings,
        outgoing: &Outgoing,
    ) -> Result<Self, OidcError> {
        const WHAT: &str = "discovery";
        let outgoing = outgoing.trusting(&settings.issuer).map_err(unreachable(WHAT))?;
        let base = settings.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let wrong = |reason: String| OidcError::Answer { what: WHAT, reason };
        is_safe(&url).then_some(()).ok_or_else(|| wrong("it is not over TLS".to_owned()))?;
        let request = outgoing.request(Method::GET, &url).map_err(unreachable(WHAT))?;
        let discovery: Discovery = ask(&outgoing, WHAT, request).await?;
        if discovery.issuer != settings.issuer {
            return Err(wrong(format!("its issuer is `{}`", discovery.issuer)));
        }
        let Discovery { authorization_endpoint, token_endpoint, jwks_uri, .. } = &discovery;
        let endpoints = [authorization_endpoint, token_endpoint, jwks_uri];
        if let Some(endpoint) = endpoints.into_iter().find(|it| !is_safe(it)) {
            return Err(wrong(format!("`{endpoint}` is not over TLS")));
        }
        Ok(Self { settings, outgoing, discovery })
    }

    /// Where a person is sent.
    pub(super) fn authorization_url(&self, query: &[(&str, &str)]) -> String {
        let endpoint = &self.discovery.authorization_endpoint;
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{separator}{}", form(query))
    }

    /// The ID token for a code.
    pub(super) async fn exchange(&self, fields: &[(&str, &str)]) -> Result<String, OidcError> {
        const TOKEN: &str = "token endpoint";
        let ProviderSettings { client_id, client_secret, .. } = self.settings;
        let mut fields = fields.to_vec();
        let endpoint = &self.discovery.token_endpoint;
        let request = self.outgoing.request(Method::POST, endpoint);
        let mut request = request.map_err(unreachable(TOKEN))?;
        let methods = &self.discovery.token_endpoint_auth_methods_supported;
        if client_secret.is_empty() {
            fields.push(("client_id", client_id));
        } else if methods.iter().any(|it| it == "client_secret_basic") {
            // RFC 6749, section 2.3.1: both are encoded like fields of a form first.
            request = request.basic_auth(encoded(client_id), Some(encoded(client_secret)));
        } else {
            fields.extend([("client_id", &**client_id), ("client_secret", &**client_secret)]);
        }
        let kind = "application/x-www-form-urlencoded";
        let request = request.header(header::CONTENT_TYPE, kind).body(form(&fields));
        Ok(ask::<TokenAnswer>(&self.outgoing, TOKEN, request).await?.id_token)
    }

    /// Its public keys, as they are now.
    pub(super) async fn keys(&self) -> Result<JwkSet, OidcError> {
        const KEYS: &str = "keys";
        let request = self.outgoing.request(Method::GET, &self.discovery.jwks_uri);
        ask(&self.outgoing, KEYS, request.map_err(unreachable(KEYS))?).await
    }
}

async fn ask<T: DeserializeOwned>(
    outgoing: &Outgoing,
    what: &'static str,
    request: RequestBuilder,
) -> Result<T, OidcError> {
    let wrong = |reason: String| OidcError::Answer { what, reason };
    let request = request.header(header::ACCEPT, "application/json");
    let answer = outgoing.send(request).await.map_err(unreachable(what))?;
    if !answer.status.is_success() {
        return Err(wrong(format!("status {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| wrong(error.to_string()))
}

fn unreachable(what: &'static str) -> impl FnOnce(OutgoingError) -> OidcError {
    move |source| OidcError::Unreachable { what, source }
}

/// Over TLS, or on this machine.
fn is_safe(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

fn form(fields: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", encoded(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_over_tls_unless_it_is_on_this_machine() {
        assert!(is_safe("https://id.example.org/x") && is_safe("http://127.0.0.1:8080/"));
        for url in ["http://id.example.org", "http://127.0.0.1.evil.example", "file:///etc", "x"] {
            assert!(!is_safe(url), "{url}");
        }
    }
}
