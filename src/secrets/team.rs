//! The secrets that a server keeps for teams: set and never shown again, delivered to the stages that
//! name them, and every use and change noted.

use std::sync::Arc;

use super::rules::{FORK_REASON, Reader, Rules};
use super::{SealError, Sealer, new_id};
use crate::model::{Clock, ProjectId, RunId, TeamId};
use crate::store::access::projects::ProjectRow;
use crate::store::audit::AuditRow;
use crate::store::sealed::secrets::{SecretPlace, SecretRow};
use crate::store::{Store, StoreError};

/// The longest value: what a masker can mask.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
const NAME_BYTES_MAX: usize = 200;

/// The secrets of teams. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TeamSecrets {
    store: Store,
    sealer: Sealer,
    clock: Arc<dyn Clock>,
}

/// Who changes a secret.
#[derive(Debug, Clone)]
pub struct Author {
    /// Their login.
    pub login: String,
    /// Where they call from, or empty.
    pub address: String,
}

/// What a stage asks for.
#[derive(Debug, Clone, Default)]
pub struct SecretRequest {
    /// The project of the run; empty for one from a terminal.
    pub project: String,
    /// The run.
    pub run: String,
    /// Key of the stage, with its attempt.
    pub stage: String,
    /// Where the stage deploys to, or empty.
    pub environment: String,
    /// Names of the secrets.
    pub names: Vec<String>,
    /// Where its code comes from.
    pub reader: Reader,
}

/// Why a secret was not delivered or changed.
#[derive(Debug, thiserror::Error)]
pub enum TeamSecretsError {
    /// There is no such secret.
    #[error("secret `{name}` is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// It may not be read there.
    #[error("secret `{name}` may not be read here: {reason}")]
    Denied {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// It cannot be set so.
    #[error("{0}")]
    Invalid(String),
    /// It could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TeamSecrets {
    /// The secrets in this store.
    #[must_use]
    pub fn new(store: Store, sealer: Sealer, clock: Arc<dyn Clock>) -> Self {
        Self { store, sealer, clock }
    }

    /// Sets a secret and gives its version. Its value is not shown to anybody again.
    pub async fn save(
        &self,
        place: SecretPlace,
        (value, rules): (&str, &Rules),
        author: &Author,
    ) -> Result<i64, TeamSecretsError> {
        check(&place, value, rules).map_err(TeamSecretsError::Invalid)?;
        let now = self.clock.now();
        let sealed = self.sealer.seal(&purpose(&place), value).await?;
        let rules = serde_json::to_value(rules).unwrap_or_default();
        let of = self.holder(&place).await?;
        let detail =
            serde_json::json!({ "of": of, "environment": place.environment, "rules": rules });
        let event = self.event(("secret.save", &place), &detail, &actor(author));
        let row = SecretRow {
            id: new_id(now),
            team: place.team,
            project: place.project,
            environment: place.environment,
            name: place.name,
            sealed,
            rules: rules.to_string(),
            version: 1,
            changed_by: author.login.clone(),
            created_at: now,
            changed_at: now,
        };
        Ok(self.store.save_secret(&row, &event).await?)
    }

    /// Removes a secret; false when there is none.
    pub async fn delete(
        &self,
        place: &SecretPlace,
        author: &Author,
    ) -> Result<bool, TeamSecretsError> {
        let of = self.holder(place).await?;
        let detail = serde_json::json!({ "of": of, "environment": place.environment });
        let event = self.event(("secret.delete", place), &detail, &actor(author));
        Ok(self.store.delete_secret(place, &event).await?)
    }

    /// Whose secret it is, by name: `team shop` or `project shop/web`.
    async fn holder(&self, place: &SecretPlace) -> Result<String, StoreError> {
        if let Some(project) = self.store.find_project(&place.project).await? {
            return Ok(format!("project {}", project.slug()));
        }
        let team = self.store.find_team_by_id(&place.team).await?;
        Ok(team.map_or_else(String::new, |it| format!("team {}", it.name)))
    }

    /// The values that a stage asks for, in the order of their names; all or none. What is given and
    /// what is refused is noted before it is done.
    pub async fn deliver(&self, request: &SecretRequest) -> Result<Vec<String>, TeamSecretsError> {
        if request.names.is_empty() {
            return Ok(Vec::new());
        }
        let not_set = |name: &String| TeamSecretsError::NotSet { name: name.clone() };
        let project = ProjectId(request.project.clone());
        let project = self.store.find_project(&project).await?;
        let project = project.ok_or_else(|| not_set(&request.names.concat()))?;
        if request.reader.is_fork {
            return self.refuse_fork(request, &project).await;
        }
        let mut found = Vec::new();
        for name in &request.names {
            let wanted = SecretPlace {
                team: project.team.clone(),
                project: project.id.clone(),
                environment: request.environment.clone(),
                name: name.clone(),
            };
            let row = self.store.find_secret(&wanted).await?.ok_or_else(|| not_set(name))?;
            found.push((judge(&row, &request.reader), row));
        }
        self.note_use(request, &project.id, &found).await?;
        let mut values = Vec::new();
        for (verdict, row) in found {
            verdict
                .map_err(|reason| TeamSecretsError::Denied { name: row.name.clone(), reason })?;
            let place = place_of(&row);
            values.push(self.sealer.open(&purpose(&place), &row.sealed).await?);
        }
        Ok(values)
    }

    /// Refuses whatever there is and is not: a stranger does not learn which secrets a project has.
    async fn refuse_fork(
        &self,
        request: &SecretRequest,
        project: &ProjectRow,
    ) -> Result<Vec<String>, TeamSecretsError> {
        let actor = (format!("run:{}", request.run), String::new());
        let note = |name: &String| {
            let place = SecretPlace {
                team: project.team.clone(),
                project: project.id.clone(),
                environment: request.environment.clone(),
                name: name.clone(),
            };
            let detail = serde_json::json!({
                "stage": request.stage,
                "environment": request.environment,
                "event": request.reader.event,
                "branch": request.reader.branch,
                "reason": FORK_REASON,
            });
            self.event(("secret.refuse", &place), &detail, &actor)
        };
        let notes: Vec<_> = request.names.iter().map(note).collect();
        self.store.insert_audit_events(&notes).await?;
        let name = request.names.first().cloned().unwrap_or_default();
        Err(TeamSecretsError::Denied { name, reason: FORK_REASON.to_owned() })
    }

    async fn note_use(
        &self,
        request: &SecretRequest,
        project: &ProjectId,
        found: &[(Result<(), String>, SecretRow)],
    ) -> Result<(), StoreError> {
        let are_all_allowed = found.iter().all(|(verdict, _)| verdict.is_ok());
        let actor = (format!("run:{}", request.run), String::new());
        let note = |(verdict, row): &(Result<(), String>, SecretRow)| {
            let action = if are_all_allowed { "secret.read" } else { "secret.refuse" };
            let mut place = place_of(row);
            let scope = if row.project.0.is_empty() { "team" } else { "project" };
            place.project = project.clone();
            let detail = serde_json::json!({
                "stage": request.stage,
                "of": scope,
                "environment": row.environment,
                "version": row.version,
                "event": request.reader.event,
                "branch": request.reader.branch,
                "reason": verdict.as_ref().err(),
            });
            self.event((action, &place), &detail, &actor)
        };
        self.store.insert_audit_events(&found.iter().map(note).collect::<Vec<_>>()).await
    }

    fn event(
        &self,
        (action, place): (&str, &SecretPlace),
        detail: &serde_json::Value,
        (actor, address): &(String, String),
    ) -> AuditRow {
        let at = self.clock.now();
        AuditRow {
            id: new_id(at),
            at,
            actor: actor.clone(),
            address: address.clone(),
            action: action.to_owned(),
            team: place.team.clone(),
            project: place.project.clone(),
            subject: place.name.clone(),
            detail: detail.to_string(),
        }
    }
}

impl TeamSecretsError {
    /// What a person can do about it, as a sentence.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotSet { .. } => Some("Set it for the project or its team, on the server."),
            Self::Denied { .. } => Some("Its rules can be changed by an admin of the team."),
            Self::Invalid(_) => None,
            Self::Seal(error) => error.help(),
            Self::Store(error) => error.help(),
        }
    }

    /// Whether trying again may help: the machine failed, and not the pipeline.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Seal(_) | Self::Store(_))
    }
}

/// Rules that cannot be read allow nothing.
fn judge(row: &SecretRow, reader: &Reader) -> Result<(), String> {
    let rules: Rules = serde_json::from_str(&row.rules)
        .map_err(|_| "its rules cannot be read by this version".to_owned())?;
    rules.judge(reader)
}

fn actor(author: &Author) -> (String, String) {
    (format!("person:{}", author.login), author.address.clone())
}

fn place_of(row: &SecretRow) -> SecretPlace {
    SecretPlace {
        team: row.team.clone(),
        project: row.project.clone(),
        environment: row.environment.clone(),
        name: row.name.clone(),
    }
}

/// Only the name may hold `/`, and it stands last.
fn purpose(place: &SecretPlace) -> String {
    let SecretPlace { team: TeamId(team), project, environment, name } = place;
    format!("secret/{team}/{project}/{environment}/{name}")
}

fn check(place: &SecretPlace, value: &str, rules: &Rules) -> Result<(), String> {
    let is_known = |it: u8| it.is_ascii_alphanumeric() || b"_-./".contains(&it);
    let name = &place.name;
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_known) {
        return Err("a name has 1 to 200 letters, digits, `_`, `-`, `.` and `/`".to_owned());
    }
    if name.split('/').any(|it| ["", ".", ".."].contains(&it)) {
        return Err("between `/` a name has more than nothing, `.` or `..`".to_owned());
    }
    let environment = &place.environment;
    if !environment.is_empty() && !crate::model::access::is_name(environment) {
        return Err("an environment has 1 to 63 of `a-z`, `0-9`, `-` and `_`".to_owned());
    }
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(format!("a value has 1 to {VALUE_BYTES_MAX} bytes"));
    }
    rules.check()
}

/// The words of a run in the request; a run is named by its id.
impl SecretRequest {
    /// A request of a stage of this run.
    #[must_use]
    pub fn of(run: &RunId, project: &ProjectId) -> Self {
        Self { run: run.to_string(), project: project.0.clone(), ..Self::default() }
    }
}
