//! The identity of a stage: signed tokens that say which stage it is, for clouds and vaults that trust this
//! server. Given to the attempt in the environment or in a file, and masked in all that it prints.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{Auth, AuthError, WorkloadClaims};
use crate::executor::{Executor, GivenFile};
use crate::model::{AttemptName, FailureClass, ProjectId, StageIndex};
use crate::pipeline::plan::IdentityUse;
use crate::runs::LoadedRun;
use crate::worker::Worker;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::secrets::may_be_fork;

/// Notes of attempts that nobody has removed are older than every token after this.
const NOTES_KEPT_FOR: Duration = Duration::from_hours(24);

/// What a stage asks for.
#[derive(Debug, Clone)]
pub(in crate::worker) struct IdentityRequest {
    uses: Vec<IdentityUse>,
    project: ProjectId,
    is_fork: bool,
    /// Who it is; team and project are filled in when they are looked up.
    claims: WorkloadClaims,
}

/// What it gets.
#[derive(Clone, Default)]
pub(in crate::worker) struct Issued {
    pub(in crate::worker) env: Vec<(String, String)>,
    pub(in crate::worker) files: Vec<GivenFile>,
    /// Every token that this attempt may know, those of before a crash too.
    pub(in crate::worker) masked: Vec<String>,
}

/// What a stage asks for.
pub(in crate::worker) fn request(loaded: &LoadedRun, stage: StageIndex) -> IdentityRequest {
    let context = loaded.run.context();
    let planned = loaded.run.plan().stages.get(stage.as_usize());
    let environment = planned.and_then(|it| it.environment.as_ref());
    IdentityRequest {
        uses: planned.map(|it| it.identity.clone()).unwrap_or_default(),
        project: loaded.row.project.clone(),
        is_fork: may_be_fork(loaded),
        claims: WorkloadClaims {
            team: String::new(),
            project: String::new(),
            git_ref: context.git.r#ref.clone(),
            environment: environment.map(|it| it.name.clone()).unwrap_or_default(),
            stage: planned.map(|it| it.key.clone()).unwrap_or_default(),
            run: loaded.row.id.to_string(),
            event: context.event.clone(),
        },
    }
}

impl<E: Executor> Worker<E> {
    /// Signs what a stage asks for; nothing for one that asks for nothing.
    pub(in crate::worker) async fn issue(
        &self,
        name: &AttemptName,
        request: &IdentityRequest,
    ) -> Result<Issued, Failure> {
        if request.uses.is_empty() {
            return Ok(Issued::default());
        }
        let issuer = self.issuer(request)?;
        let store = self.parts.runs.store();
        let project = store.find_project(&request.project).await;
        let project = project.map_err(|error| Failure::infra("reading the project", &error))?;
        let project = project.ok_or_else(|| Failure::user("the project of the run is gone"))?;
        let claims = WorkloadClaims {
            team: project.team_name,
            project: project.name,
            ..request.claims.clone()
        };
        let mut issued = Issued { masked: self.noted_tokens(name), ..Issued::default() };
        for wish in &request.uses {
            let token = issuer.workload_token(&claims, &wish.audience, wish.lifetime).await;
            let token = token.map_err(|error| refused(&error))?;
            issued.masked.push(token.clone());
            issued.env.extend(wish.env.clone().map(|name| (name, token.clone())));
            let file = |variable| GivenFile { variable, content: token.clone() };
            issued.files.extend(wish.file.clone().map(file));
        }
        let noted = self.note_tokens(name, &issued.masked);
        noted.map_err(|error| Failure::infra("noting the tokens of the stage", &error))?;
        Ok(issued)
    }

    fn issuer(&self, request: &IdentityRequest) -> Result<&Auth, Failure> {
        if request.is_fork {
            return Err(Failure::user(
                "the stage asks for an `identity`, and code of a fork gets none\n\
                 help: leave the stage out with `if: event == \"push\"`",
            ));
        }
        self.identity.as_ref().filter(|_| !request.project.0.is_empty()).ok_or_else(|| {
            Failure::user(
                "the stage asks for an `identity`, and a local run has none: only a server signs for stages\n\
                 help: run the other stages, or leave this one out with `if:`",
            )
        })
    }

    /// Tokens that the attempt was given before this process adopted it: its log must not show them.
    fn noted_tokens(&self, name: &AttemptName) -> Vec<String> {
        let text = std::fs::read_to_string(self.tokens_folder().join(name.slug()));
        text.map(|it| it.lines().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Written before the attempt begins, where only this user reads; the attempt's own scripts are kept no
    /// better.
    fn note_tokens(&self, name: &AttemptName, tokens: &[String]) -> io::Result<()> {
        use io::Write as _;
        let folder = self.tokens_folder();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        remove_old(&folder);
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).write(true).truncate(true).mode(0o600);
        options.open(folder.join(name.slug()))?.write_all(tokens.join("\n").as_bytes())
    }

    /// Removes the note of an attempt that is over.
    pub(in crate::worker) fn forget_tokens(&self, name: &AttemptName) {
        let _none = std::fs::remove_file(self.tokens_folder().join(name.slug()));
    }

    fn tokens_folder(&self) -> PathBuf {
        self.settings.state_folder.join("tokens")
    }
}

fn remove_old(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|it| it.modified()).ok();
        let age = modified.and_then(|it| it.elapsed().ok()).unwrap_or_default();
        if age > NOTES_KEPT_FOR {
            let _gone = std::fs::remove_file(entry.path());
        }
    }
}

fn refused(error: &AuthError) -> Failure {
    if matches!(error, AuthError::NoPublicUrl) {
        return Failure::user(format!(
            "the stage asks for an `identity`, and the server cannot give one: {error}\n\
             help: set `TRUNKLINE_PUBLIC_URL` to the address under which clouds find `/.well-known/jwks.json`"
        ));
    }
    Failure::new(FailureClass::Infra, format!("signing the identity failed: {error}"))
}

impl std::fmt::Debug for Issued {
    /// Never shows a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("tokens", &self.masked.len()).finish_non_exhaustive()
    }
}
