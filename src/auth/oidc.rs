//! Sign-in at an OpenID provider: authorization code with PKCE, `state` and `nonce` (OpenID Connect Core 1.0,
//! RFC 7636, RFC 9700). Who the provider names becomes a person of ours, with the roles of their groups.

mod id_token;
mod person;
mod provider;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::auth::sessions::{Client, SignedIn};
use crate::auth::{Auth, AuthError, tokens};
use crate::config::ProviderSettings;
use crate::model::Timestamp;
use crate::outgoing::OutgoingError;
use crate::store::access::sign_in::SignInState;
use id_token::Expected;
use provider::Provider;

/// How long a person may take at the provider, in seconds.
pub const OIDC_SECONDS: i64 = 600;
/// Where the provider sends people back to.
const CALLBACK: &str = "/api/v1/sign-in/oidc/callback";

/// Why somebody cannot sign in at the provider.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer.
    #[error("the provider's {what} cannot be reached")]
    Unreachable {
        /// Discovery, token endpoint or keys.
        what: &'static str,
        /// What went wrong.
        #[source]
        source: OutgoingError,
    },
    /// The provider answers with something else.
    #[error("the provider's {what} is not as it should be: {reason}")]
    Answer {
        /// Discovery, token endpoint or keys.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The ID token proves nothing.
    #[error("the provider's ID token proves nothing: {0}")]
    Token(&'static str),
    /// The person may not sign in here.
    #[error("{0}")]
    NotAllowed(&'static str),
}

/// A sign-in that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where the browser goes.
    pub location: String,
    /// What it has to come back with; also kept in a cookie, so that nobody can be signed in as somebody else.
    pub state: String,
}

/// A browser that comes back from the provider.
#[derive(Debug)]
pub struct Returned<'a> {
    /// `code` of the address.
    pub code: &'a str,
    /// `state` of the address.
    pub state: &'a str,
    /// `state` of the cookie.
    pub cookie: Option<&'a str>,
    /// Where from.
    pub client: &'a Client,
}

impl Auth {
    /// Begins a sign-in at the provider, after which the person goes to `return_to`, a path of ours.
    pub async fn begin_oidc(&self, return_to: &str) -> Result<Begun, AuthError> {
        let settings = self.provider()?;
        let redirect = self.redirect()?;
        let provider = self.discover(settings).await?;
        let [state, nonce, verifier] = std::array::from_fn(|_| tokens::random_text());
        let hash = tokens::hash(&state);
        let now = self.clock.now();
        let row = SignInState {
            provider: settings.issuer.clone(),
            nonce: nonce.clone(),
            verifier: self.sealer.seal(&seal_purpose(&hash), &verifier).await?,
            return_to: if is_local(return_to) { return_to } else { "/" }.to_owned(),
            created_at: now,
            state: hash,
        };
        self.store.insert_sign_in_state(&row, oldest(now)).await?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let location = provider.authorization_url(&[
            ("response_type", "code"),
            ("scope", "openid email profile"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &redirect),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(Begun { location, state })
    }

    /// Ends it: a session, and where the person goes.
    pub async fn finish_oidc(
        &self,
        returned: Returned<'_>,
    ) -> Result<(SignedIn, String), AuthError> {
        let settings = self.provider()?;
        let address = returned.client.address.clone();
        let signed_in = self.exchange(settings, returned).await;
        let is_refused = |it: &AuthError| {
            matches!(it, AuthError::Unproven | AuthError::CrossSite | AuthError::Oidc(_))
        };
        if signed_in.as_ref().is_err_and(is_refused) {
            self.note_unproven_at(&settings.issuer, &address).await?;
        }
        signed_in
    }

    async fn exchange(
        &self,
        settings: &ProviderSettings,
        returned: Returned<'_>,
    ) -> Result<(SignedIn, String), AuthError> {
        let row = self.claim_state(&returned).await?;
        let verifier = self.sealer.open(&seal_purpose(&row.state), &row.verifier).await?;
        let provider = self.discover(settings).await?;
        let redirect = self.redirect()?;
        let token = provider
            .exchange(&[
                ("grant_type", "authorization_code"),
                ("code", returned.code),
                ("redirect_uri", &redirect),
                ("code_verifier", &verifier),
            ])
            .await?;
        let keys = provider.keys().await?;
        let expected = Expected {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &row.nonce,
            now_seconds: self.clock.now().0 / 1000,
        };
        let claims = id_token::verify(&token, &keys, &expected).map_err(OidcError::Token)?;
        let person = self.person_of_claims(settings, &claims).await?;
        let signed_in = self.begin_session(person, returned.client).await?;
        Ok((signed_in, row.return_to))
    }

    /// The sign-in that this browser has begun here; good once.
    async fn claim_state(&self, returned: &Returned<'_>) -> Result<SignInState, AuthError> {
        let cookie = returned.cookie.unwrap_or_default();
        let is_same: bool = cookie.as_bytes().ct_eq(returned.state.as_bytes()).into();
        if !is_same || cookie.is_empty() {
            return Err(AuthError::CrossSite);
        }
        let oldest = oldest(self.clock.now());
        let row = self.store.claim_sign_in_state(&tokens::hash(returned.state)).await?;
        row.filter(|it| it.created_at >= oldest).ok_or(AuthError::Unproven)
    }

    fn provider(&self) -> Result<&ProviderSettings, AuthError> {
        self.settings.provider.as_ref().ok_or(AuthError::NoProvider)
    }

    async fn discover<'a>(
        &self,
        settings: &'a ProviderSettings,
    ) -> Result<Provider<'a>, AuthError> {
        let outgoing = self.outgoing.as_ref().ok_or(AuthError::NoProvider)?;
        Ok(Provider::discover(settings, outgoing).await?)
    }

    fn redirect(&self) -> Result<String, AuthError> {
        let url = self.settings.public_url.as_deref().ok_or(AuthError::NoPublicUrl)?;
        Ok(format!("{url}{CALLBACK}"))
    }
}

fn seal_purpose(state: &str) -> String {
    format!("sign_in_state/{state}")
}

fn oldest(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(OIDC_SECONDS * 1000))
}

/// Whether it is a path of ours: browsers take `//host` and `/\host` for another site.
fn is_local(path: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_graphic() && it != '\\';
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 2000
        && path.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_returned_to() {
        assert!(is_local("/") && is_local("/runs/01k?stage=test#log"));
        for path in
            ["", "runs", "//evil.example", "/\\evil.example", "https://evil", "/a\r\nb", "/a b"]
        {
            assert!(!is_local(path), "{path:?}");
        }
    }
}
