//! What the stages of a run have handed on: what there is, what is in it, and what is no longer kept.

use crate::blobs::{BlobError, Found, Listing, Member};
use crate::engine::{ArtifactRef, Run};
use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::{Digest, Role, RunId, StageIndex};
use crate::runs::LoadedRun;
use crate::store::artifacts::ArtifactRow;

/// Files of an archive that are listed at most.
const FILES_MAX: usize = 5000;

/// The artifacts of a run.
#[derive(Debug)]
pub struct RunArtifacts {
    /// The run.
    pub loaded: LoadedRun,
    /// What is kept, by stage and path; of several attempts of a stage that of the last.
    pub rows: Vec<ArtifactRow>,
}

/// What was handed on once and is no longer kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneArtifact {
    /// The stage.
    pub stage: StageIndex,
    /// What it was.
    pub artifact: ArtifactRef,
}

/// What is at a path.
#[derive(Debug)]
pub enum Content {
    /// A file, of the archive with this digest.
    File(Member, Digest),
    /// What was declared under this path.
    Archive(ArtifactRow),
}

/// In which form a path is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A file, else the archive.
    Either,
    /// A file.
    File,
    /// The archive.
    Archive,
}

impl RunArtifacts {
    /// Those of a run that the caller may see.
    pub async fn find(app: &App, visitor: &Visitor, run: &str) -> Result<Self, Problem> {
        let loaded = super::runs::load(app, visitor, run, Role::Viewer).await?;
        let rows = newest(app, &loaded.row.id).await?;
        Ok(Self { loaded, rows })
    }

    /// Those of one of its stages.
    pub async fn of_stage(
        app: &App,
        visitor: &Visitor,
        (run, stage): (&str, &str),
    ) -> Result<Self, Problem> {
        let mut all = Self::find(app, visitor, run).await?;
        let stage = all.loaded.find_stage(stage)?;
        all.rows.retain(|it| it.attempt.stage == stage);
        Ok(all)
    }

    /// Size of the files of an artifact; the table knows only that of its archive.
    #[must_use]
    pub fn unpacked_bytes(&self, row: &ArtifactRow) -> Option<u64> {
        let stage = self.loaded.run.stage(row.attempt.stage)?;
        let outcomes = stage.attempts.iter().filter_map(|it| it.outcome.as_ref());
        let mut refs = outcomes.chain(stage.reused_outcome.as_deref()).flat_map(|it| &it.artifacts);
        refs.find(|it| it.path == row.path && it.digest == row.digest)?.unpacked_bytes
    }

    /// What the last attempts have handed on and is no longer kept.
    #[must_use]
    pub fn gone(&self) -> Vec<GoneArtifact> {
        let is_kept = |stage: StageIndex, it: &ArtifactRef| {
            self.rows.iter().any(|row| row.attempt.stage == stage && row.path == it.path)
        };
        handed_on(&self.loaded.run).filter(|it| !is_kept(it.stage, &it.artifact)).collect()
    }

    /// What one of the artifacts has at this path, or is.
    pub async fn open(&self, app: &App, path: &str, form: Form) -> Result<Content, Problem> {
        if form != Form::Archive
            && let Some(found) = self.file(app, path).await?
        {
            return Ok(found);
        }
        let declared = self.rows.iter().find(|it| form != Form::File && it.path == path);
        let row = declared.ok_or_else(|| Problem::not_found("this artifact"))?;
        Ok(Content::Archive(row.clone()))
    }

    async fn file(&self, app: &App, path: &str) -> Result<Option<Content>, Problem> {
        for row in &self.rows {
            match app.archives.find(&row.digest, path).await.map_err(no_longer_kept)? {
                Found::Nothing => (),
                Found::NotAFile if self.rows.iter().any(|it| it.path == path) => (),
                Found::NotAFile => {
                    let title = format!("`{path}` is a folder or a link, and no file");
                    let help = "Download what was declared with `?format=tar`.";
                    return Err(Problem::new(ProblemKind::Refused, title).with_help(help));
                }
                Found::File(member) => {
                    return Ok(Some(Content::File(member, row.digest.clone())));
                }
            }
        }
        Ok(None)
    }

    /// The artifact that was declared under this path, and what is in it.
    pub async fn look_into(
        &self,
        app: &App,
        path: &str,
    ) -> Result<(&ArtifactRow, Listing), Problem> {
        let row = self.rows.iter().find(|it| it.path == path);
        let row = row.ok_or_else(|| Problem::not_found("this artifact"))?;
        let listing = app.archives.list(&row.digest, FILES_MAX).await.map_err(no_longer_kept)?;
        Ok((row, listing))
    }
}

/// What the last attempt of each stage has handed on, or the one that was reused for it.
fn handed_on(run: &Run) -> impl Iterator<Item = GoneArtifact> {
    run.stages().flat_map(|(stage, it)| {
        let outcome = it.outcome();
        let artifacts = outcome.map_or(&[] as &[ArtifactRef], |it| it.artifacts.as_slice());
        artifacts.iter().map(move |it| GoneArtifact { stage, artifact: it.clone() })
    })
}

async fn newest(app: &App, run: &RunId) -> Result<Vec<ArtifactRow>, Problem> {
    let rows = app.store.list_artifacts(run).await?;
    let is_newest = |row: &&ArtifactRow| {
        let same = rows.iter().filter(|it| it.attempt.stage == row.attempt.stage);
        same.map(|it| it.attempt.attempt).max() == Some(row.attempt.attempt)
    };
    Ok(rows.iter().filter(is_newest).cloned().collect())
}

/// The row may outlive the blob for a moment.
pub fn no_longer_kept(error: BlobError) -> Problem {
    if matches!(error, BlobError::NotFound(_)) {
        return Problem::not_found("this artifact").with_help("It is no longer kept.");
    }
    error.into()
}
