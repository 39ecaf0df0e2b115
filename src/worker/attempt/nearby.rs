//! What is there instead of a file that was declared and is missing.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use tokio::io::AsyncReadExt as _;
use tokio_util::io::SyncIoBridge;

use crate::executor::{Executor, TarStream};
use crate::worker::attempt::Attempt;

/// How much of a folder is looked through.
const LOOKED_AT_MAX_BYTES: u64 = 64 << 20;
/// Names that are told.
const NAMES_MAX: usize = 8;

impl<E: Executor> Attempt<E> {
    /// Says what the nearest folder above `path` has; nothing when that cannot be found out.
    pub(in crate::worker) async fn tell_nearby(&self, path: &str) -> String {
        let path = Path::new(path.trim_end_matches('/'));
        for folder in path.ancestors().skip(1) {
            let names = self.names_in(folder).await.unwrap_or_default();
            if !names.is_empty() {
                return tell(folder, names, path.file_name().unwrap_or_default());
            }
        }
        "there are no files near it".to_owned()
    }

    async fn names_in(&self, folder: &Path) -> Option<BTreeSet<String>> {
        let pattern = folder.join("*").to_string_lossy().into_owned();
        let tar = self.worker.parts.executor.download(&self.name, &pattern).await.ok()??;
        let tar: TarStream = Box::pin(tar.take(LOOKED_AT_MAX_BYTES));
        let below = folder.strip_prefix("/").unwrap_or(folder).to_owned();
        let read = move || first_parts(SyncIoBridge::new(tar), &below);
        tokio::task::spawn_blocking(read).await.ok()
    }
}

/// Names of what lies in a folder, as far as the archive can be read.
fn first_parts(tar: impl io::Read, folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().into_iter().flatten() {
        let Ok(entry) = entry else { break };
        let Ok(path) = entry.path() else { continue };
        let Ok(inside) = path.strip_prefix(folder) else { continue };
        let mut parts = inside.components();
        let Some(first) = parts.next() else { continue };
        let is_folder = parts.next().is_some() || entry.header().entry_type().is_dir();
        let slash = if is_folder { "/" } else { "" };
        names.insert(format!("{}{slash}", first.as_os_str().display()));
    }
    names
}

/// The names most like the missing one first.
fn tell(folder: &Path, names: BTreeSet<String>, missing: &std::ffi::OsStr) -> String {
    let missing = missing.to_string_lossy();
    let count = names.len();
    let mut names: Vec<String> = names.into_iter().collect();
    let distance = |name: &String| strsim::levenshtein(name.trim_end_matches('/'), &missing);
    names.sort_by_cached_key(distance);
    names.truncate(NAMES_MAX);
    let mut list = names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    if count > NAMES_MAX {
        list.push_str(&format!(" and {} more", count - NAMES_MAX));
    }
    if folder.as_os_str().is_empty() {
        format!("the workspace has {list}")
    } else {
        format!("`{}` has {list}", folder.display())
    }
}
