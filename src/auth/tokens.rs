//! API tokens: 256 random bits, of which only the hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::{Auth, AuthError, Caller, Proof};
use crate::model::{Digest, PersonId, Role, TeamId, Timestamp};
use crate::store::access::tokens::TokenRow;

/// What a token of ours begins with, so that scanners of leaked secrets know it.
const PREFIX: &str = "tlt_";

/// What a token is good for: `viewer`, `developer`, `approver` or `admin` in the teams of its person
/// (or in one: `developer:<team id>`), or `owner` for the whole installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// This role at most, in every team of the person.
    Every(Role),
    /// This role at most, in one team.
    Team(Role, TeamId),
    /// Everything, where the person owns the installation.
    Owner,
}

impl Scope {
    /// The word it is stored and shown as.
    #[must_use]
    pub fn to_word(&self) -> String {
        match self {
            Self::Every(role) => role.to_string(),
            Self::Team(role, team) => format!("{role}:{team}"),
            Self::Owner => "owner".to_owned(),
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        if word == "owner" {
            return Some(Self::Owner);
        }
        match word.split_once(':') {
            Some((role, team)) => Some(Self::Team(Role::parse(role)?, TeamId(team.to_owned()))),
            None => Some(Self::Every(Role::parse(word)?)),
        }
    }

    /// Whether it allows all that `other` does.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Owner, _) => true,
            (Self::Every(own), Self::Every(role) | Self::Team(role, _)) => own >= role,
            (Self::Team(own, team), Self::Team(role, other)) => team == other && own >= role,
            (Self::Every(_) | Self::Team(..), Self::Owner) | (Self::Team(..), Self::Every(_)) => {
                false
            }
        }
    }

    /// The most it allows in a team.
    pub(super) fn reach(&self, team: &TeamId) -> Option<Role> {
        match self {
            Self::Owner => Some(Role::Admin),
            Self::Every(role) => Some(*role),
            Self::Team(role, only) => (only == team).then_some(*role),
        }
    }
}

/// A token that was just made. The only time that it can be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its id, a new ULID in lower case.
    pub id: String,
    /// Whose it is.
    pub person: PersonId,
    /// What it is for, in the person's words.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Auth {
    /// Makes a token.
    pub async fn create_token(&self, new: NewToken) -> Result<Token, AuthError> {
        let token = Token(format!("{PREFIX}{}", random_text()));
        let words: Vec<_> = new.scopes.iter().map(Scope::to_word).collect();
        let row = TokenRow {
            id: new.id,
            person: new.person,
            name: new.name,
            hash: hash(&token.0),
            scopes: words,
            created_at: self.clock.now(),
            expires_at: new.expires_at,
            used_at: None,
            revoked_at: None,
        };
        self.store.insert_token(&row).await?;
        Ok(token)
    }

    /// Who calls with this token.
    pub async fn caller_by_token(&self, token: &str) -> Result<Caller, AuthError> {
        let row = self.store.find_token_by_hash(&hash(token)).await?.ok_or(AuthError::Unproven)?;
        let now = self.clock.now();
        if row.revoked_at.is_some() || row.expires_at <= now {
            return Err(AuthError::Unproven);
        }
        let person = self.store.find_person_by_id(&row.person).await?;
        let person = person.ok_or(AuthError::Unproven)?;
        self.store.touch_token(&row.id, now).await?;
        let scopes = row.scopes.iter().filter_map(|it| Scope::parse(it)).collect();
        self.caller_of(person, Proof::Token(row.id, scopes)).await
    }
}

/// SHA-256 in hex: what is kept of a random text. (A slow hash is for what people choose.)
pub(super) fn hash(text: &str) -> String {
    Digest::of(text.as_bytes()).hex().to_owned()
}

/// 256 random bits as URL-safe text.
pub(super) fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(crate::secrets::random_bytes::<32>())
}
