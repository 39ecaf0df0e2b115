//! Who calls, and what they may do. Knows no HTTP: the edge hands over what it was shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::SignInSettings;
use crate::model::{Clock, PersonId, Role, TeamId};
use crate::outgoing::Outgoing;
use crate::secrets::{SealError, Sealer};
use crate::store::access::people::PersonRow;
use crate::store::{Store, StoreError};

mod people;
mod password;
mod setup;
mod tokens;
mod keyring;
mod sessions;
mod lockout;
mod limits;
mod sign_in;
mod oidc;
mod workload;
mod record;

use keyring::Keyring;
use limits::Limits;

pub use keyring::KeyError;
pub use oidc::{Begun, OIDC_SECONDS, OidcError, Returned};
pub use password::{OwnPassword, OwnPasswordError, PasswordError};
pub use people::{NewPerson, PersonChange, PersonError};
pub use sessions::{Client, Csrf, SignedIn, Standing};
pub use setup::{NewOwner, SetupError};
pub use sign_in::SignIn;
pub use tokens::{NewToken, Scope, Token};
pub use workload::WorkloadClaims;

/// Passwords that are hashed at the same time: each takes 19 MiB.
const HASHING_MAX: usize = 4;

/// Sign-in and permissions of one installation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auth {
    store: Store,
    clock: Arc<dyn Clock>,
    sealer: Sealer,
    settings: Arc<SignInSettings>,
    outgoing: Option<Outgoing>,
    keys: Arc<Keyring>,
    limits: Arc<Limits>,
    hashing: Arc<Semaphore>,
}

/// A person who calls, with what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who they are.
    pub person: PersonId,
    /// Their login.
    pub login: String,
    /// Whether they own the whole installation: admin in every team.
    pub is_owner: bool,
    /// What they showed.
    pub proof: Proof,
    /// Their roles by team.
    pub roles: BTreeMap<TeamId, Role>,
}

/// What a caller showed to prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A session of the dashboard; its id.
    Session(String),
    /// An API token; its id and what it is good for.
    Token(String, Vec<Scope>),
}

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// What was shown proves nothing: unknown, expired, revoked, or of a person who may not sign in.
    #[error("what was shown does not prove who calls")]
    Unproven,
    /// A refresh token that was exchanged a moment ago, as a second tab shows it: the browser has the next one, or is
    /// about to.
    #[error("the session was refreshed a moment ago")]
    Raced,
    /// Too many wrong tries; wait.
    #[error("too many wrong tries")]
    Locked {
        /// How long, in seconds.
        retry_after_seconds: u64,
    },
    /// A request with a cookie does not prove that our own page sent it.
    #[error("another site may have sent this request")]
    CrossSite,
    /// Clouds could not find us.
    #[error("`TRUNKLINE_PUBLIC_URL` is not set, so stages have no identity")]
    NoPublicUrl,
    /// There is no provider to sign in at.
    #[error("`TRUNKLINE_OIDC_ISSUER` is not set, so nobody signs in at a provider")]
    NoProvider,
    /// Sign-in at the provider failed.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// Nothing can be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a caller may do with something of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Allowed,
    /// They may know of it, and may not do this.
    Forbidden,
    /// They may not even know that it is there.
    Hidden,
}

impl Auth {
    /// Sign-in on this store.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, sealer: Sealer) -> Self {
        let keys = Keyring::new(store.clone(), sealer.clone(), Arc::clone(&clock));
        Self {
            store,
            clock,
            sealer,
            settings: Arc::default(),
            outgoing: None,
            keys: Arc::new(keys),
            limits: Arc::default(),
            hashing: Arc::new(Semaphore::new(HASHING_MAX)),
        }
    }

    /// The same with the operator's settings.
    #[must_use]
    pub fn with_settings(self, settings: SignInSettings) -> Self {
        Self { settings: Arc::new(settings), ..self }
    }

    /// The same with what calls the provider; without it nobody signs in there.
    #[must_use]
    pub fn with_outgoing(self, outgoing: Outgoing) -> Self {
        Self { outgoing: Some(outgoing), ..self }
    }

    /// The operator's settings.
    #[must_use]
    pub fn settings(&self) -> &SignInSettings {
        &self.settings
    }

    async fn caller_of(&self, person: PersonRow, proof: Proof) -> Result<Caller, AuthError> {
        if person.disabled_at.is_some() {
            return Err(AuthError::Unproven);
        }
        let memberships = self.store.list_memberships(&person.id).await?;
        let roles = memberships.into_iter().map(|it| (it.team, it.role)).collect();
        let (login, is_owner) = (person.login, person.is_owner);
        Ok(Caller { person: person.id, login, is_owner, proof, roles })
    }
}

impl Caller {
    /// Their role in a team; `None` for those who are not members.
    #[must_use]
    pub fn role_in(&self, team: &TeamId) -> Option<Role> {
        if self.is_owner { Some(Role::Admin) } else { self.roles.get(team).copied() }
    }

    /// Whether they may do in this team what takes `needed`. A token may do less than its person.
    #[must_use]
    pub fn judge(&self, team: &TeamId, needed: Role) -> Verdict {
        let scoped = match &self.proof {
            Proof::Session(_) => Some(Role::Admin),
            Proof::Token(_, scopes) => scopes.iter().filter_map(|it| it.reach(team)).max(),
        };
        match self.role_in(team).zip(scoped).map(|(role, scope)| role.min(scope)) {
            None => Verdict::Hidden,
            Some(role) if role >= needed => Verdict::Allowed,
            Some(_) => Verdict::Forbidden,
        }
    }

    /// The teams in which they may do what takes `needed`; `None` for every team there is.
    #[must_use]
    pub fn teams_as(&self, needed: Role) -> Option<Vec<TeamId>> {
        let mut teams: Vec<_> = self.roles.keys().cloned().collect();
        if self.is_owner {
            let Proof::Token(_, scopes) = &self.proof else { return None };
            let reaches_all = |it: &Scope| match it {
                Scope::Every(role) => *role >= needed,
                Scope::Owner => true,
                Scope::Team(..) => false,
            };
            if scopes.iter().any(reaches_all) {
                return None;
            }
            let named =
                |it: &Scope| if let Scope::Team(_, team) = it { Some(team.clone()) } else { None };
            teams.extend(scopes.iter().filter_map(named));
        }
        teams.retain(|it| self.judge(it, needed) == Verdict::Allowed);
        Some(teams)
    }

    /// All that decides what they may see and do, without who they are: the same for two who may the same.
    #[must_use]
    pub fn rights(&self) -> String {
        let scopes = match &self.proof {
            Proof::Session(_) => None,
            Proof::Token(_, scopes) => Some(scopes),
        };
        format!("{} {:?} {scopes:?}", self.is_owner, self.roles)
    }

    /// Whether they may do what concerns the whole installation.
    #[must_use]
    pub fn may_own(&self) -> bool {
        let is_whole = match &self.proof {
            Proof::Session(_) => true,
            Proof::Token(_, scopes) => scopes.contains(&Scope::Owner),
        };
        self.is_owner && is_whole
    }

    /// Whether they may hand this scope to a new token: a token makes none that can do more than itself.
    #[must_use]
    pub fn may_grant(&self, scope: &Scope) -> bool {
        match &self.proof {
            Proof::Session(_) => true,
            Proof::Token(_, own) => own.iter().any(|it| it.covers(scope)),
        }
    }

    /// Whether what they showed speaks for the person as a whole, and not only for a part of what they may do.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.may_grant(&Scope::Every(Role::Admin))
    }
}
