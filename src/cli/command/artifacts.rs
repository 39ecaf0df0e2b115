//! `trunkline artifacts`: what stages handed on; listed, or unpacked into a folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use async_compression::tokio::bufread::ZstdDecoder;
use tokio::io::BufReader;
use tokio_util::io::SyncIoBridge;

use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::engine::{ArtifactRef, Run};
use crate::store::artifacts::ArtifactRow;

/// Arguments of `trunkline artifacts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline artifacts                    of the newest run of this repository
  trunkline artifacts 12 unit --download out")]
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

/// Lists or downloads.
pub async fn execute(session: &Session, args: &ArtifactsArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let run = super::find_run(session, &state, &args.run).await?;
    let mut rows = state.store.list_artifacts(&run.id).await?;
    let loaded = state.runs.load(&run.id).await?;
    if let Some(wanted) = &args.stage {
        let stages = super::find_stages(&loaded, wanted)?;
        rows.retain(|it| stages.contains(&it.attempt.stage));
    }
    keep_newest(&mut rows);
    if let Some(folder) = &args.download {
        if rows.is_empty() {
            let message = format!("run #{} has no artifacts", run.number);
            return Err(Usage::new(message, "a stage declares them with `artifacts:`").into());
        }
        download(session, &state, &rows, &session.folder.join(folder)).await?;
    } else if !session.output.json {
        list(session, &loaded.run, &rows)?;
    }
    if session.output.json {
        let rows: Vec<_> = rows.iter().map(|it| as_json(&loaded.run, it)).collect();
        session.output.json(&rows)?;
    }
    Ok(Exit::Passed)
}

/// Of several attempts of a stage, the last one's artifacts count.
fn keep_newest(rows: &mut Vec<ArtifactRow>) {
    let newest = |row: &ArtifactRow, rows: &[ArtifactRow]| {
        let same = rows.iter().filter(|it| it.attempt.stage == row.attempt.stage);
        same.map(|it| it.attempt.attempt).max() == Some(row.attempt.attempt)
    };
    let all = rows.clone();
    rows.retain(|it| newest(it, &all));
}

/// What the run says of an artifact; the table knows only the size of its archive.
fn find<'a>(run: &'a Run, row: &ArtifactRow) -> Option<&'a ArtifactRef> {
    let stage = run.stage(row.attempt.stage)?;
    let outcomes = stage.attempts.iter().filter_map(|it| it.outcome.as_ref());
    let mut refs = outcomes.chain(stage.reused_outcome.as_deref()).flat_map(|it| &it.artifacts);
    refs.find(|it| it.path == row.path && it.digest == row.digest)
}

fn list(session: &Session, run: &Run, rows: &[ArtifactRow]) -> anyhow::Result<()> {
    if rows.is_empty() {
        session.output.line("no artifacts")?;
    }
    let columns = rows.iter().map(|it| format::width(&it.stage_key)).max().unwrap_or(0);
    for row in rows {
        let files = format::count(u64::try_from(row.files).unwrap_or(0), "file");
        let packed = u64::try_from(row.size_bytes).unwrap_or(0);
        let size = format::bytes(find(run, row).map_or(packed, ArtifactRef::shown_bytes));
        let until = session.output.date_time(row.expires_at);
        let key = format::pad(&row.stage_key, columns);
        session
            .output
            .line(&format!("{key}  {}  {files}, {size}, kept until {until}", row.path))?;
    }
    Ok(())
}

fn as_json(run: &Run, row: &ArtifactRow) -> serde_json::Value {
    serde_json::json!({
        "stage_key": row.stage_key,
        "attempt": row.attempt.attempt,
        "path": row.path,
        "digest": row.digest,
        "size_bytes": row.size_bytes,
        "unpacked_bytes": find(run, row).and_then(|it| it.unpacked_bytes),
        "files": row.files,
        "expires_at": row.expires_at,
    })
}

async fn download(
    session: &Session,
    state: &State,
    rows: &[ArtifactRow],
    folder: &Path,
) -> anyhow::Result<()> {
    for row in rows {
        let place = folder.join(folder_name(&row.stage_key));
        let reader = state.blobs.get(&row.digest).await.with_context(|| {
            format!("the artifact `{}` of `{}` cannot be read", row.path, row.stage_key)
        })?;
        let tar = SyncIoBridge::new(ZstdDecoder::new(BufReader::new(reader)));
        let into = place.clone();
        tokio::task::spawn_blocking(move || unpack(tar, &into))
            .await?
            .with_context(|| format!("`{}` could not be unpacked", place.display()))?;
        if !session.output.json {
            session.output.line(&format!("{}  {}", place.display(), row.path))?;
        }
    }
    Ok(())
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
