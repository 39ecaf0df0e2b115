//! Sessions of people: a short-lived JWT that each request shows, and a refresh token that is good once.

mod standing;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

pub use standing::Standing;

use crate::auth::keyring::Purpose;
use crate::auth::{Auth, AuthError, Caller, Proof, tokens};
use crate::model::Timestamp;
use crate::secrets::new_id;
use crate::store::access::people::PersonRow;
use crate::store::access::sessions::{Rotation, SessionRow};

/// `typ` of the JWT, so that no other token of ours passes for it (RFC 8725, section 3.11).
const KIND: &str = "trunkline-session+jwt";
const ISSUER: &str = "trunkline";
/// How long a JWT is good.
const ACCESS_SECONDS: i64 = 600;
/// When a session ends that nobody refreshes, and when it ends in any case.
const IDLE_MILLIS: i64 = 14 * 24 * 3_600_000;
const LIFE_MILLIS: i64 = 30 * 24 * 3_600_000;
/// How long the refresh token before the newest is taken for that of a second tab, and not of a thief.
const RACE_MILLIS: i64 = 10_000;
const AGENT_CHARS_MAX: usize = 200;

/// Where somebody signs in from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Address.
    pub address: String,
    /// Browser, in its own words.
    pub agent: String,
}

/// What a browser keeps of a session. The only time that it can be read.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who signed in.
    pub person: PersonRow,
    /// The JWT.
    pub access: String,
    /// How long it is good, in seconds.
    pub access_seconds: i64,
    /// What the next JWT is got with, once.
    pub refresh: String,
    /// How long that is good, in seconds.
    pub refresh_seconds: i64,
    /// What unsafe requests repeat in a header: the same as long as the session goes on, so that a page which was
    /// loaded before a refresh still sends its forms.
    pub csrf: String,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("person", &self.person).finish_non_exhaustive()
    }
}

/// Whether a request that shows a cookie has to prove that our own page sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Csrf<'a> {
    /// It changes nothing.
    Safe,
    /// It may change something, and shows this.
    Shown(Option<&'a str>),
}

/// RFC 7519, section 4.1, and two of ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The person.
    sub: String,
    /// The session.
    sid: String,
    /// SHA-256 of the CSRF token, hex.
    csrf: String,
    iat: i64,
    exp: i64,
}

impl Auth {
    /// Begins a session of a person who has proved who they are.
    pub(super) async fn begin_session(
        &self,
        person: PersonRow,
        client: &Client,
    ) -> Result<SignedIn, AuthError> {
        let now = self.clock.now();
        let id = new_id(now);
        let refresh = refresh_token(&id, &tokens::random_text());
        let row = SessionRow {
            person: person.id.clone(),
            refresh_hash: tokens::hash(&refresh),
            used_hash: String::new(),
            address: client.address.clone(),
            agent: client.agent.chars().take(AGENT_CHARS_MAX).collect(),
            created_at: now,
            refreshed_at: now,
            expires_at: Timestamp(now.0.saturating_add(IDLE_MILLIS)),
            revoked_at: None,
            id,
        };
        self.store.insert_session(&row).await?;
        self.note_begun(&person.login, (&row.id, &client.address)).await?;
        self.store.delete_sessions_before(Timestamp(now.0.saturating_sub(IDLE_MILLIS))).await?;
        self.signed_in(person, &row, refresh).await
    }

    /// Exchanges a refresh token. One that was used before ends the session: it was stolen, or the newer one was;
    /// within a moment it is [`AuthError::Raced`].
    pub async fn refresh_session(&self, shown: &str) -> Result<SignedIn, AuthError> {
        let now = self.clock.now();
        let (id, rest) = shown.split_once('.').ok_or(AuthError::Unproven)?;
        let row = self.store.find_session(id).await?.filter(|it| is_good(it, now));
        let row = row.ok_or(AuthError::Unproven)?;
        let person = self.store.find_person_by_id(&row.person).await?;
        let person = person.filter(|it| it.disabled_at.is_none()).ok_or(AuthError::Unproven)?;
        // Tokens of before this was so have no root: they get one.
        let root = rest.split_once('.').map(|(root, _)| root.to_owned());
        let refresh = refresh_token(id, &root.unwrap_or_else(tokens::random_text));
        let expires_at = now.0.saturating_add(IDLE_MILLIS);
        let rotation = Rotation {
            session: id.to_owned(),
            shown_hash: tokens::hash(shown),
            next_hash: tokens::hash(&refresh),
            now,
            expires_at: Timestamp(expires_at.min(row.created_at.0.saturating_add(LIFE_MILLIS))),
        };
        if self.store.rotate_session(&rotation).await? {
            let row = SessionRow { expires_at: rotation.expires_at, ..row };
            return self.signed_in(person, &row, refresh).await;
        }
        if is_race(&row, &rotation) {
            return Err(AuthError::Raced);
        }
        tracing::warn!(person = person.login, session = id, "a refresh token was used twice");
        self.store.revoke_session(&row.person, id, now).await?;
        Err(AuthError::Unproven)
    }

    /// Who calls with this JWT. Revocation works at once: the session is looked up each time.
    pub async fn caller_by_session(
        &self,
        token: &str,
        csrf: Csrf<'_>,
    ) -> Result<Caller, AuthError> {
        let claims = self.session_claims(token).await?.ok_or(AuthError::Unproven)?;
        let now = self.clock.now();
        let row = self.store.find_session(&claims.sid).await?;
        let row = row.filter(|it| it.revoked_at.is_none() && it.person.0 == claims.sub);
        let is_current = claims.exp.saturating_mul(1000) > now.0;
        let row = row.filter(|_| is_current).ok_or(AuthError::Unproven)?;
        if let Csrf::Shown(shown) = csrf {
            let shown = tokens::hash(shown.unwrap_or_default());
            let is_ours: bool = shown.as_bytes().ct_eq(claims.csrf.as_bytes()).into();
            is_ours.then_some(()).ok_or(AuthError::CrossSite)?;
        }
        let person = self.store.find_person_by_id(&row.person).await?.ok_or(AuthError::Unproven)?;
        self.caller_of(person, Proof::Session(row.id)).await
    }

    async fn session_claims(&self, token: &str) -> Result<Option<Claims>, AuthError> {
        let Some(kid) = jsonwebtoken::decode_header(token).ok().and_then(|it| it.kid) else {
            return Ok(None);
        };
        let key = self.keys.verifier(Purpose::Session, &kid).await?;
        let claims: Option<Claims> = key.and_then(|it| it.verify(KIND, token));
        Ok(claims.filter(|it| it.iss == ISSUER && it.aud == ISSUER))
    }

    async fn signed_in(
        &self,
        person: PersonRow,
        row: &SessionRow,
        refresh: String,
    ) -> Result<SignedIn, AuthError> {
        let now = self.clock.now();
        let csrf = csrf_token(&refresh);
        let iat = now.0 / 1000;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: row.person.0.clone(),
            sid: row.id.clone(),
            csrf: tokens::hash(&csrf),
            iat,
            exp: iat.saturating_add(ACCESS_SECONDS),
        };
        let access = self.keys.signer(Purpose::Session).await?.sign(KIND, &claims)?;
        let refresh_seconds = row.expires_at.0.saturating_sub(now.0) / 1000;
        let access_seconds = ACCESS_SECONDS;
        Ok(SignedIn { person, access, access_seconds, refresh, refresh_seconds, csrf })
    }
}

/// The session's id, so that an old token can be told from one that never was; the root of its CSRF token, which
/// stays while the session goes on; and 256 random bits.
fn refresh_token(session: &str, root: &str) -> String {
    format!("{session}.{root}.{}", tokens::random_text())
}

/// That of all refresh tokens of one session. Nothing else can be told from it: the root is random, too.
fn csrf_token(refresh: &str) -> String {
    let root = refresh.rsplit_once('.').map_or(refresh, |(root, _)| root);
    tokens::hash(&format!("csrf of {root}"))
}

fn is_good(row: &SessionRow, now: Timestamp) -> bool {
    row.revoked_at.is_none() && row.expires_at > now
}

/// Two tabs that refresh at the same moment: the slower one shows the token of a moment ago.
fn is_race(row: &SessionRow, rotation: &Rotation) -> bool {
    let is_last = row.used_hash == rotation.shown_hash || row.refresh_hash == rotation.shown_hash;
    let age = rotation.now.0.saturating_sub(row.refreshed_at.0);
    is_last && (age < RACE_MILLIS || row.refresh_hash == rotation.shown_hash)
}
