//! What a project keeps sealed: the secret of its deliveries, and what its remote and forge want to see.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ProjectError, Projects};
use crate::model::{ForgeKind, ProjectId};
use crate::source::Credential;
use crate::store::intake::access::ProjectAccess;

/// What a remote and a forge want to see, as it is sealed.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct StoredCredential {
    /// Login that goes with the token at the remote; empty for what the forge wants there.
    pub user: String,
    /// A token: for the remote over HTTPS, and for statuses.
    pub forge_token: Option<String>,
    /// A private key, for the remote over SSH.
    pub ssh_key: Option<String>,
}

impl std::fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredCredential").field("user", &self.user).finish_non_exhaustive()
    }
}

impl StoredCredential {
    /// What git shows to the remote.
    #[must_use]
    pub fn for_git(&self, forge: ForgeKind) -> Credential {
        if let Some(key) = &self.ssh_key {
            return Credential::SshKey(key.clone());
        }
        let Some(token) = self.forge_token.clone() else { return Credential::Nothing };
        let user = match (self.user.as_str(), forge) {
            ("", ForgeKind::Github) => "x-access-token",
            ("", ForgeKind::Gitlab | ForgeKind::Gitea) => "oauth2",
            ("", ForgeKind::Git) => "git",
            (user, _) => user,
        };
        Credential::Token { user: user.to_owned(), token }
    }
}

impl Projects {
    /// The secret that proves a project's deliveries; `None` where there is none.
    pub async fn hook_secret(&self, project: &ProjectId) -> Result<Option<String>, ProjectError> {
        let sealed = self.access(project).await?.hook_secret;
        self.open(&purpose("hook", project), &sealed).await
    }

    /// Sets the secret that proves a project's deliveries: `given`, or a new one, which is returned. It has
    /// the form of Standard Webhooks, and serves every forge.
    pub async fn rotate_hook_secret(
        &self,
        project: &ProjectId,
        given: Option<String>,
    ) -> Result<String, ProjectError> {
        let fresh = || format!("whsec_{}", STANDARD.encode(crate::secrets::random_bytes::<32>()));
        let secret = given.unwrap_or_else(fresh);
        let sealed = self.parts.sealer.seal(&purpose("hook", project), &secret).await?;
        let access = ProjectAccess { hook_secret: sealed, ..self.access(project).await? };
        self.parts.store.save_project_access(project, &access).await?;
        Ok(secret)
    }

    /// Sets what the remote and the forge want to see; `None` for nothing.
    pub async fn set_credential(
        &self,
        project: &ProjectId,
        credential: Option<&StoredCredential>,
    ) -> Result<(), ProjectError> {
        let sealed = match credential {
            Some(credential) => {
                let text = serde_json::to_string(credential).map_err(ProjectError::Unreadable)?;
                self.parts.sealer.seal(&purpose("credential", project), &text).await?
            }
            None => String::new(),
        };
        let access = ProjectAccess { credential: sealed, ..self.access(project).await? };
        Ok(self.parts.store.save_project_access(project, &access).await?)
    }

    pub(super) async fn stored_credential(
        &self,
        project: &ProjectId,
    ) -> Result<Option<StoredCredential>, ProjectError> {
        let sealed = self.access(project).await?.credential;
        let text = self.open(&purpose("credential", project), &sealed).await?;
        let parsed = text.map(|it| serde_json::from_str(&it)).transpose();
        parsed.map_err(ProjectError::Unreadable)
    }

    async fn open(&self, purpose: &str, sealed: &str) -> Result<Option<String>, ProjectError> {
        if sealed.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.parts.sealer.open(purpose, sealed).await?))
    }
}

fn purpose(what: &str, project: &ProjectId) -> String {
    format!("project:{}:{what}", project.0)
}
