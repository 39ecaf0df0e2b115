//! The identity of a stage: a signed OpenID Connect token that says which team, project, ref, environment and
//! stage it is, for clouds that trust this server instead of a stored secret.

use serde::Serialize;
use serde_json::{Value, json};

use crate::auth::keyring::Purpose;
use crate::auth::{Auth, AuthError};
use crate::model::Milliseconds;
use crate::secrets::new_id;

/// The longest life of a token, in seconds.
const LIFE_SECONDS_MAX: u64 = 3600;
/// How far behind ours a cloud's clock may be, in seconds.
const SKEW_SECONDS: i64 = 30;

/// Which stage it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadClaims {
    /// Name of the team.
    pub team: String,
    /// Name of the project.
    pub project: String,
    /// The git ref, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Name of the environment it deploys to, or empty.
    pub environment: String,
    /// Key of the stage.
    pub stage: String,
    /// The run.
    pub run: String,
    /// The event that started it.
    pub event: String,
}

/// RFC 7519, section 4.1, beside ours.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    #[serde(flatten)]
    workload: &'a WorkloadClaims,
}

impl WorkloadClaims {
    /// What clouds compare: `project:<team>/<name>:ref:<ref>:environment:<environment>:stage:<key>`.
    #[must_use]
    pub fn subject(&self) -> String {
        let Self { team, project, git_ref, environment, stage, .. } = self;
        let [git_ref, environment, stage] = [git_ref, environment, stage].map(|it| escaped(it));
        format!("project:{team}/{project}:ref:{git_ref}:environment:{environment}:stage:{stage}")
    }
}

/// So that no part can pass for the next one.
fn escaped(part: &str) -> String {
    part.replace('%', "%25").replace(':', "%3A")
}

impl Auth {
    /// A token for a stage, good for `lifetime` and at most an hour at who calls itself `audience`.
    pub async fn workload_token(
        &self,
        workload: &WorkloadClaims,
        audience: &str,
        lifetime: Milliseconds,
    ) -> Result<String, AuthError> {
        let now = self.clock.now();
        let iat = now.0 / 1000;
        let seconds = (lifetime.0 / 1000).min(LIFE_SECONDS_MAX);
        let claims = Claims {
            iss: self.issuer()?,
            sub: workload.subject(),
            aud: audience,
            iat,
            nbf: iat.saturating_sub(SKEW_SECONDS),
            exp: iat.saturating_add(i64::try_from(seconds).unwrap_or_default()),
            jti: new_id(now),
            workload,
        };
        Ok(self.keys.signer(Purpose::Workload).await?.sign("JWT", &claims)?)
    }

    /// The public keys that tokens of stages are verified with (RFC 7517, section 5).
    pub async fn workload_keys(&self) -> Result<Value, AuthError> {
        Ok(json!({ "keys": self.keys.published(Purpose::Workload).await? }))
    }

    /// OpenID Connect Discovery 1.0, section 3, as far as it concerns who only verifies.
    pub fn workload_discovery(&self) -> Result<Value, AuthError> {
        let issuer = self.issuer()?;
        Ok(json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "nbf", "jti",
                "team", "project", "ref", "environment", "stage", "run", "event"
            ],
        }))
    }

    fn issuer(&self) -> Result<&str, AuthError> {
        self.settings.public_url.as_deref().ok_or(AuthError::NoPublicUrl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(git_ref: &str, environment: &str, stage: &str) -> String {
        let text = str::to_owned;
        WorkloadClaims {
            team: text("search"),
            project: text("site"),
            git_ref: text(git_ref),
            environment: text(environment),
            stage: text(stage),
            run: text("01k"),
            event: text("push"),
        }
        .subject()
    }

    #[test]
    fn the_subject_names_the_stage_and_nothing_in_it_can_pass_for_another() {
        assert_eq!(
            subject("refs/heads/main", "production", "deploy"),
            "project:search/site:ref:refs/heads/main:environment:production:stage:deploy"
        );
        assert_eq!(
            subject("refs/heads/main", "x:stage:deploy", "test"),
            "project:search/site:ref:refs/heads/main:environment:x%3Astage%3Adeploy:stage:test"
        );
        assert_ne!(subject("a%3Ab", "", ""), subject("a:b", "", ""));
    }
}
