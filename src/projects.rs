//! A project's repository on this machine and its forge: the mirror, the credential, the client. Decides
//! nothing about runs.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::forge::{Client, GithubApp, InstallationToken, PostError};
use crate::model::{Clock, ForgeKind, Milliseconds, ProjectId};
use crate::outgoing::OutgoingError;
use crate::secrets::{SealError, Sealer};
use crate::source::{Credential, Mirror, Remote, SourceError};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::access::ProjectAccess;
use crate::store::{Store, StoreError};

mod credential;
mod address;

pub use address::AddressRule;
pub use credential::StoredCredential;

/// The longest a remote may take; what it has sent until then is not lost for the next try.
const REMOTE_TIMEOUT: Duration = Duration::from_mins(10);
/// An App's token is renewed when it is good for less than this.
const TOKEN_SPARE: Milliseconds = Milliseconds::from_seconds(5 * 60);

/// Why a repository or its forge cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Git or the remote failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The remote took too long.
    #[error("the remote of project `{0}` took more than 10 minutes")]
    TooSlow(String),
    /// The address may not be used.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The forge gave no token.
    #[error(transparent)]
    Forge(#[from] PostError),
    /// A stored secret cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A stored credential has a form that this version does not know.
    #[error("the stored credential of the project cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the projects of one machine share.
#[derive(Debug)]
pub struct ProjectParts {
    /// The database.
    pub store: Store,
    /// Opens credentials.
    pub sealer: Sealer,
    /// The state folder.
    pub state_folder: PathBuf,
    /// Which addresses may be fetched from.
    pub addresses: AddressRule,
    /// The App that speaks to GitHub, if there is one.
    pub app: Option<GithubApp>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The repositories and forges of projects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Projects {
    parts: Arc<ProjectParts>,
    tokens: Arc<Mutex<HashMap<ProjectId, InstallationToken>>>,
}

impl Projects {
    /// The repositories and forges of this machine.
    #[must_use]
    pub fn new(parts: ProjectParts) -> Self {
        Self { parts: Arc::new(parts), tokens: Arc::default() }
    }

    /// Which addresses may be used.
    #[must_use]
    pub fn addresses(&self) -> &AddressRule {
        &self.parts.addresses
    }

    /// Where checkouts look for objects beside those of the mirror.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.parts.state_folder.join("objects")
    }

    /// The mirror of a project, as it is.
    #[must_use]
    pub fn mirror(&self, project: &ProjectId) -> Mirror {
        Mirror::new(&self.parts.state_folder.join("mirrors"), &project.0)
    }

    /// The mirror with this commit in it; `ref` is where a forge keeps it when no branch has it.
    pub async fn ensure(
        &self,
        project: &ProjectRow,
        commit: &str,
        r#ref: Option<&str>,
    ) -> Result<Mirror, ProjectError> {
        let mirror = self.mirror(&project.id);
        if mirror.has(commit) {
            return Ok(mirror);
        }
        let (commit, r#ref) = (commit.to_owned(), r#ref.map(str::to_owned));
        self.with_remote(project, move |mirror, remote| {
            mirror.ensure(remote, &commit, r#ref.as_deref())
        })
        .await?;
        Ok(mirror)
    }

    /// Fetches what is new.
    pub async fn fetch(&self, project: &ProjectRow) -> Result<Mirror, ProjectError> {
        self.with_remote(project, Mirror::fetch).await?;
        Ok(self.mirror(&project.id))
    }

    /// Branches and tags of the remote as they are now.
    pub async fn list_remote(
        &self,
        project: &ProjectRow,
    ) -> Result<BTreeMap<String, String>, ProjectError> {
        self.with_remote(project, Mirror::list_remote).await
    }

    /// What speaks to the project's forge; `None` where there is none, or no credential for it.
    pub async fn client(&self, project: &ProjectRow) -> Result<Option<Client>, ProjectError> {
        if !project.has_forge() {
            return Ok(None);
        }
        let outgoing = self.parts.addresses.outgoing().clone();
        let base = project.forge_url.clone();
        let repository = project.forge_path.clone();
        let client = Client {
            outgoing,
            forge: project.forge,
            base,
            repository,
            token: String::new(),
            is_app: false,
        };
        if let Some(token) = self.app_token(project).await? {
            return Ok(Some(Client { token, is_app: true, ..client }));
        }
        let token = self.stored_credential(&project.id).await?.and_then(|it| it.forge_token);
        Ok(token.map(|token| Client { token, ..client }))
    }

    /// How a project is reached, with its secrets still sealed.
    pub async fn access(&self, project: &ProjectId) -> Result<ProjectAccess, ProjectError> {
        Ok(self.parts.store.find_project_access(project).await?.unwrap_or_default())
    }

    async fn with_remote<T: Send + 'static>(
        &self,
        project: &ProjectRow,
        call: impl FnOnce(&Mirror, &Remote<'_>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, ProjectError> {
        self.parts.addresses.admit(&project.address).await?;
        let credential = self.credential(project).await?;
        let depth = self.access(&project.id).await?.fetch_depth;
        let (mirror, address) = (self.mirror(&project.id), project.address.clone());
        let work = tokio::task::spawn_blocking(move || {
            let depth = u32::try_from(depth).unwrap_or_default();
            call(&mirror, &Remote { address: &address, credential: &credential, depth })
        });
        match tokio::time::timeout(REMOTE_TIMEOUT, work).await {
            Ok(Ok(done)) => Ok(done?),
            Ok(Err(error)) => Err(SourceError::Failed {
                operation: format!("reading the remote of `{}`", project.slug()),
                reason: error.to_string(),
            }
            .into()),
            Err(_) => Err(ProjectError::TooSlow(project.slug())),
        }
    }

    /// What the remote wants to see: the App's token where there is an App, else what the project has.
    async fn credential(&self, project: &ProjectRow) -> Result<Credential, ProjectError> {
        let stored = self.stored_credential(&project.id).await?;
        if let Some(stored) = stored {
            return Ok(stored.for_git(project.forge));
        }
        let token = self.app_token(project).await?;
        let user = "x-access-token".to_owned();
        Ok(token.map_or(Credential::Nothing, |token| Credential::Token { user, token }))
    }

    async fn app_token(&self, project: &ProjectRow) -> Result<Option<String>, ProjectError> {
        let (ForgeKind::Github, Some(app)) = (project.forge, &self.parts.app) else {
            return Ok(None);
        };
        if project.forge_path.is_empty() {
            return Ok(None);
        }
        let now = self.parts.clock.now();
        let known = {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.get(&project.id).filter(|it| it.expires_at > now.plus(TOKEN_SPARE)).cloned()
        };
        if let Some(known) = known {
            return Ok(Some(known.token));
        }
        let base = Client::base_of(project.forge, &project.forge_url);
        let outgoing = self.parts.addresses.outgoing();
        let fresh = app.installation_token(outgoing, base, &project.forge_path, now).await?;
        let token = fresh.token.clone();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(project.id.clone(), fresh);
        Ok(Some(token))
    }
}
