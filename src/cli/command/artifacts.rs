//! `trunkline artifacts`: what stages handed on; listed, or unpacked into a folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use async_compression::tokio::bufread::ZstdDecoder;
use futures_util::TryStreamExt as _;
use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::cli::drive::standing;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::engine::{ArtifactRef, Run};
use crate::model::{Digest, RunId, Timestamp};
use crate::runs::view::RunView;
use crate::store::artifacts::ArtifactRow;

/// Arguments of `trunkline artifacts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline artifacts                    of the newest run of this repository
  trunkline artifacts 12 unit --download out
  trunkline artifacts 12 --download out --server ci.example.org")]
pub struct ArtifactsArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    #[arg(default_value = "last")]
    pub run: String,
    /// Only those of this stage
    pub stage: Option<String>,
    /// Unpack them into this folder, one folder for each stage
    #[arg(short, long, value_name = "DIR")]
    pub download: Option<PathBuf>,
}

/// An artifact in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ArtifactShown {
    stage_key: String,
    attempt: u32,
    path: String,
    digest: Digest,
    size_bytes: i64,
    unpacked_bytes: Option<u64>,
    files: i64,
    expires_at: Timestamp,
}

/// Where the artifacts are.
enum Place {
    Here(Box<State>),
    Server(Remote, RunId),
}

/// Lists or downloads.
pub async fn execute(session: &Session, args: &ArtifactsArgs) -> anyhow::Result<Exit> {
    let (run, mut rows, place) = match Remote::chosen(session)? {
        Some(remote) => {
            let run = remote.find_run(&args.run).await?;
            let call = Call::get(&["runs", &run.id.0, "artifacts"]);
            let rows: Vec<ArtifactShown> = remote.client.list(&call, ROWS_MAX).await?;
            let place = Place::Server(remote, run.id.clone());
            (run, rows, place)
        }
        None => of_here(session, args).await?,
    };
    if let Some(wanted) = &args.stage {
        let stages = super::find_stages(&run, wanted)?;
        rows.retain(|row| stages.iter().any(|it| run.key_of(*it) == row.stage_key));
    }
    keep_newest(&mut rows);
    if let Some(folder) = &args.download {
        if rows.is_empty() {
            let message = format!("run #{} has no artifacts", run.number);
            return Err(Usage::new(message, "a stage declares them with `artifacts:`").into());
        }
        download(session, &place, (&rows, &session.folder.join(folder))).await?;
    } else if !session.output.json {
        list(session, &rows)?;
    }
    if session.output.json {
        session.output.json(&rows)?;
    }
    Ok(Exit::Passed)
}

async fn of_here(
    session: &Session,
    args: &ArtifactsArgs,
) -> anyhow::Result<(RunView, Vec<ArtifactShown>, Place)> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    let rows = state.store.list_artifacts(&row.id).await?;
    let rows = rows.iter().map(|it| shown(&loaded.run, it)).collect();
    Ok((standing::view_of(session, &state, &loaded), rows, Place::Here(Box::new(state))))
}

/// Of several attempts of a stage, the last one's artifacts count.
fn keep_newest(rows: &mut Vec<ArtifactShown>) {
    let all = rows.clone();
    rows.retain(|row| {
        let same = all.iter().filter(|it| it.stage_key == row.stage_key);
        same.map(|it| it.attempt).max() == Some(row.attempt)
    });
}

/// What the run says of an artifact; the table knows only the size of its archive.
fn find<'a>(run: &'a Run, row: &ArtifactRow) -> Option<&'a ArtifactRef> {
    let stage = run.stage(row.attempt.stage)?;
    let outcomes = stage.attempts.iter().filter_map(|it| it.outcome.as_ref());
    let mut refs = outcomes.chain(stage.reused_outcome.as_deref()).flat_map(|it| &it.artifacts);
    refs.find(|it| it.path == row.path && it.digest == row.digest)
}

fn shown(run: &Run, row: &ArtifactRow) -> ArtifactShown {
    ArtifactShown {
        stage_key: row.stage_key.clone(),
        attempt: row.attempt.attempt,
        path: row.path.clone(),
        digest: row.digest.clone(),
        size_bytes: row.size_bytes,
        unpacked_bytes: find(run, row).and_then(|it| it.unpacked_bytes),
        files: row.files,
        expires_at: row.expires_at,
    }
}

fn list(session: &Session, rows: &[ArtifactShown]) -> anyhow::Result<()> {
    if rows.is_empty() {
        session.output.line("no artifacts")?;
    }
    let columns = rows.iter().map(|it| format::width(&it.stage_key)).max().unwrap_or(0);
    for row in rows {
        let files = format::count(u64::try_from(row.files).unwrap_or(0), "file");
        let packed = u64::try_from(row.size_bytes).unwrap_or(0);
        let size = format::bytes(row.unpacked_bytes.unwrap_or(packed));
        let until = session.output.date_time(row.expires_at);
        let key = format::pad(&row.stage_key, columns);
        session
            .output
            .line(&format!("{key}  {}  {files}, {size}, kept until {until}", row.path))?;
    }
    Ok(())
}

async fn download(
    session: &Session,
    place: &Place,
    (rows, folder): (&[ArtifactShown], &Path),
) -> anyhow::Result<()> {
    for row in rows {
        let into = folder.join(folder_name(&row.stage_key));
        match place {
            Place::Here(state) => {
                let reader = state.blobs.get(&row.digest).await.with_context(|| {
                    format!("the artifact `{}` of `{}` cannot be read", row.path, row.stage_key)
                })?;
                unpack_into(ZstdDecoder::new(BufReader::new(reader)), &into).await?;
            }
            Place::Server(remote, run) => {
                let segments = ["runs", &run.0, "artifacts", &row.stage_key, &row.path];
                let call = Call::get(&segments).query("format", "tar");
                let response = remote.client.open(&call, &HeaderMap::new()).await?;
                let pieces = response.bytes_stream().map_err(std::io::Error::other);
                unpack_into(StreamReader::new(Box::pin(pieces)), &into).await?;
            }
        }
        if !session.output.json {
            session.output.line(&format!("{}  {}", into.display(), row.path))?;
        }
    }
    Ok(())
}

async fn unpack_into(
    tar: impl AsyncRead + Unpin + Send + 'static,
    folder: &Path,
) -> anyhow::Result<()> {
    let (tar, into) = (SyncIoBridge::new(tar), folder.to_owned());
    tokio::task::spawn_blocking(move || unpack(tar, &into))
        .await?
        .with_context(|| format!("`{}` could not be unpacked", folder.display()))
}

/// A stage's key as the name of a folder.
fn folder_name(key: &str) -> String {
    let plain = |it: char| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '_' };
    key.chars().map(plain).collect::<String>().trim_matches('_').replace("__", "_")
}

/// Unpacks files, folders and links below `folder`. An entry that would land outside of it is an
/// error, whether by `..`, by an absolute path or through a link.
fn unpack(tar: impl std::io::Read, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut archive = tar::Archive::new(tar);
    archive.set_preserve_permissions(true);
    archive.set_mask(0o7000);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link()) {
            continue;
        }
        let is_inside = entry.unpack_in(folder).with_context(|| format!("unpacking `{path}`"))?;
        anyhow::ensure!(is_inside, "`{path}` of the archive lies outside of the folder");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            let is_link = *kind == tar::EntryType::Symlink;
            let bytes = if is_link { "" } else { *content };
            if is_link {
                header.set_link_name(content).unwrap();
            }
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, bytes.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_are_unpacked_without_special_rights() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let tar = archive(&[("out/a.txt", tar::EntryType::Regular, "hello")]);
        unpack(tar.as_slice(), folder.path()).unwrap();
        let file = folder.path().join("out/a.txt");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello");
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o755);
    }

    #[test]
    fn nothing_lands_outside_of_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("inside");
        let up = archive(&[("../evil", tar::EntryType::Regular, "x")]);
        assert!(unpack(up.as_slice(), &folder).is_err());
        let outside = parent.path().to_str().unwrap();
        let through = archive(&[
            ("link", tar::EntryType::Symlink, outside),
            ("link/evil", tar::EntryType::Regular, "x"),
        ]);
        assert!(unpack(through.as_slice(), &folder).is_err());
        let absolute = format!("{outside}/evil");
        let tar = archive(&[(absolute.as_str(), tar::EntryType::Regular, "x")]);
        unpack(tar.as_slice(), &folder).unwrap();
        assert!(!parent.path().join("evil").exists());
    }

    #[test]
    fn a_key_becomes_a_plain_folder() {
        assert_eq!(folder_name("unit (3.11, linux)"), "unit_3.11_linux");
    }
}
