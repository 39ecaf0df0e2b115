//! `/runs/{run}/artifacts`: what the stages of a run handed on, and the files in one of them.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::address::encode;
use crate::blobs::{ListedMember, Listing, MemberKind};
use crate::desk::artifacts::{GoneArtifact, RunArtifacts};
use crate::http::{App, Path, Problem, Query};
use crate::runs::view::key_of;
use crate::store::artifacts::ArtifactRow;
use crate::ui::above::AboveRun;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Which artifact is looked into.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct ArtifactsQuery {
    #[serde(default)]
    stage: String,
    /// The declared path.
    #[serde(default)]
    path: String,
}

#[derive(Template)]
#[template(path = "stages/artifacts.html")]
struct ArtifactsPage {
    shell: Shell,
    words: Words,
    above: AboveRun,
    /// Path of the run.
    run: String,
    is_finished: bool,
    kept: Vec<Kept>,
    gone: Vec<Gone>,
    open: Option<Open>,
}

/// What is kept.
struct Kept {
    stage: String,
    path: String,
    files: i64,
    /// Of the files, or of the archive where only that is known.
    bytes: u64,
    until: crate::model::Timestamp,
}

/// What is no longer kept.
struct Gone {
    stage: String,
    path: String,
    files: u64,
    bytes: u64,
}

/// What is in one of them.
struct Open {
    stage: String,
    path: String,
    entries: Vec<Entry>,
    is_whole: bool,
}

/// Something in it.
struct Entry {
    path: String,
    kind: &'static str,
    size_bytes: u64,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
    Query(query): Query<ArtifactsQuery>,
) -> Result<Response, Problem> {
    let all = RunArtifacts::find(&app, &visit.visitor, &run).await?;
    let open = if query.path.is_empty() {
        None
    } else {
        let names = (run.as_str(), query.stage.as_str());
        let of_stage = RunArtifacts::of_stage(&app, &visit.visitor, names).await?;
        let (row, listing) = of_stage.look_into(&app, &query.path).await?;
        Some(Open::of(row, listing))
    };
    let row = &all.loaded.row;
    page(&ArtifactsPage {
        shell: visit.shell(Section::Runs, format!("Artifacts of run {}", row.number)),
        words: visit.words(),
        is_finished: all.loaded.run.status().is_finished(),
        kept: all.rows.iter().map(|it| Kept::of(&all, it)).collect(),
        gone: all.gone().iter().map(|it| Gone::of(&all, it)).collect(),
        run: format!("/runs/{}", encode(&run)),
        above: AboveRun::of(row),
        open,
    })
}

impl Kept {
    fn of(all: &RunArtifacts, row: &ArtifactRow) -> Self {
        let archive = u64::try_from(row.size_bytes).unwrap_or(0);
        Self {
            stage: row.stage_key.clone(),
            path: row.path.clone(),
            files: row.files,
            bytes: all.unpacked_bytes(row).unwrap_or(archive),
            until: row.expires_at,
        }
    }
}

impl Gone {
    fn of(all: &RunArtifacts, gone: &GoneArtifact) -> Self {
        Self {
            stage: key_of(&all.loaded.run, gone.stage).to_owned(),
            path: gone.artifact.path.clone(),
            files: gone.artifact.files,
            bytes: gone.artifact.shown_bytes(),
        }
    }
}

impl ArtifactsPage {
    /// Whether this one is looked into.
    fn is_open(&self, kept: &Kept) -> bool {
        self.open.as_ref().is_some_and(|it| it.stage == kept.stage && it.path == kept.path)
    }

    fn look(&self, kept: &Kept) -> String {
        let (stage, path) = (encode(&kept.stage), encode(&kept.path));
        format!("{}/artifacts?stage={stage}&path={path}#files", self.run)
    }

    fn download(&self, kept: &Kept) -> String {
        download(&self.run, (&kept.stage, &kept.path), "tar")
    }

    fn download_file(&self, open: &Open, path: &str) -> String {
        download(&self.run, (&open.stage, path), "file")
    }

    fn preview(&self, open: &Open, path: &str) -> String {
        let (stage, path) = (encode(&open.stage), encode(path));
        format!("{}/artifacts/file?stage={stage}&file={path}", self.run)
    }
}

impl Open {
    fn of(row: &ArtifactRow, listing: Listing) -> Self {
        let entry = |it: ListedMember| Entry {
            path: it.path,
            kind: match it.kind {
                MemberKind::File => "file",
                MemberKind::Folder => "folder",
                MemberKind::Link => "link",
            },
            size_bytes: it.size_bytes,
        };
        Self {
            stage: row.stage_key.clone(),
            path: row.path.clone(),
            entries: listing.entries.into_iter().map(entry).collect(),
            is_whole: listing.is_whole,
        }
    }
}

impl Entry {
    fn is_file(&self) -> bool {
        self.kind == "file"
    }
}

/// Where the JSON interface gives something out as a file.
pub(super) fn download(run: &str, (stage, path): (&str, &str), format: &str) -> String {
    // Slashes stay: the rest of the address is the path.
    let path: Vec<_> = path.split('/').map(encode).collect();
    format!("/api/v1{run}/artifacts/{}/{}?format={format}", encode(stage), path.join("/"))
}
