//! The smallest `.git` with which git works in a checkout: refs and an index of its own, objects by
//! alternates.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use git2::ObjectType;

use super::super::access::Place;
use super::super::listing::{Entry, Kind, Listing, Submodules};
use super::super::snapshot::MODE_SUBMODULE;
use super::super::{Snapshot, SourceError};
use super::files::index_entry;

/// Objects are mounted read-only, so git must not tidy them up. A file that a later checkout shares gets
/// another time of change, which says nothing about its content.
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\ttrustctime = false
\tfilemode = true
\tbare = false
\tlogallrefupdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
";

/// Our own file in it: what is to be told about the checkout, a line for each warning.
const WARNINGS: &str = "trunkline-warnings";

/// Refs that are passed on; others, such as a forge's pull requests, would only be many.
const REFS: [&str; 3] = ["refs/heads/", "refs/remotes/", "refs/tags/"];

/// What a `.git` is made from.
pub(super) struct GitFolder<'a> {
    pub(super) place: &'a Place,
    pub(super) store: &'a Path,
    pub(super) snapshot: &'a Snapshot,
    /// What was checked out.
    pub(super) listing: &'a Listing,
    /// Facts of the written files, by index in the listing.
    pub(super) stats: &'a [(usize, fs::Metadata)],
}

/// What was to be told about a checkout.
pub(super) fn read_warnings(checkout: &Path) -> Vec<String> {
    let text = fs::read_to_string(checkout.join(".git").join(WARNINGS)).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

impl GitFolder<'_> {
    /// Writes it into a checkout. `alternates` are the folders of objects where git will run.
    pub(super) fn write(
        &self,
        checkout: &Path,
        alternates: &[&str],
        warnings: &[String],
    ) -> Result<(), SourceError> {
        let git = checkout.join(".git");
        let failed = || SourceError::failed(format!("writing `{}`", git.display()));
        for folder in ["refs/heads", "refs/tags", "objects/info", "objects/pack"] {
            fs::create_dir_all(git.join(folder)).map_err(failed())?;
        }
        let commit = &self.snapshot.commit;
        let head = if commit.is_empty() {
            format!("ref: {}\n", self.snapshot.r#ref)
        } else {
            format!("{commit}\n")
        };
        let mut files = vec![
            ("HEAD", head),
            ("config", CONFIG.to_owned()),
            ("packed-refs", self.packed_refs()?),
            ("objects/info/alternates", alternates.join("\n") + "\n"),
        ];
        if !warnings.is_empty() {
            files.push((WARNINGS, warnings.join("\n")));
        }
        if let Ok(shallow) = fs::read_to_string(self.place.common.join("shallow")) {
            files.push(("shallow", shallow));
        }
        for (name, text) in files {
            fs::write(git.join(name), text).map_err(failed())?;
        }
        self.write_index(&git.join("index"))
    }

    /// Format: <https://git-scm.com/docs/git-pack-refs>, with tags followed to what they name.
    fn packed_refs(&self) -> Result<String, SourceError> {
        let failed = || SourceError::failed("reading the refs");
        let repository = self.place.open()?;
        let objects = repository.odb().map_err(failed())?;
        let mut lines = Vec::new();
        for reference in repository.references().map_err(failed())? {
            let reference = reference.map_err(failed())?;
            let (Ok(name), Some(target)) = (reference.name(), reference.target()) else { continue };
            if !REFS.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let mut line = format!("{target} {name}\n");
            let kind = objects.read_header(target).map(|(_, kind)| kind);
            if kind.is_ok_and(|kind| kind == ObjectType::Tag)
                && let Ok(peeled) = reference.peel(ObjectType::Any)
            {
                // Writing to a string cannot fail.
                _ = writeln!(line, "^{}", peeled.id());
            }
            lines.push((name.to_owned(), line));
        }
        lines.sort_unstable();
        let header = "# pack-refs with: peeled fully-peeled sorted \n";
        Ok(lines.into_iter().fold(header.to_owned(), |text, (_, line)| text + &line))
    }

    /// The index of the commit: what the snapshot has beyond it shows as a change. Files that are as
    /// committed come with the facts by which git sees that without reading them.
    fn write_index(&self, path: &Path) -> Result<(), SourceError> {
        let failed = || SourceError::failed(format!("writing `{}`", path.display()));
        let committed = self.committed()?;
        let stats: HashMap<(&Path, git2::Oid), &fs::Metadata> = self
            .stats
            .iter()
            .filter_map(|(nth, stat)| self.listing.entries.get(*nth).map(|it| (it, stat)))
            .map(|(entry, stat)| ((entry.path.as_path(), entry.id), stat))
            .collect();
        let mut index = git2::Index::open(path).map_err(failed())?;
        for entry in &committed {
            let Some(mode) = mode_in_index(entry.kind) else { continue };
            let bare = bare_index_entry(entry, mode);
            let full = match stats.get(&(entry.path.as_path(), entry.id)) {
                Some(stat) => index_entry(&bare, stat),
                None => bare,
            };
            index.add(&full).map_err(failed())?;
        }
        index.write().map_err(failed())
    }

    /// What the commit holds; nothing when there is no commit.
    fn committed(&self) -> Result<Vec<Entry>, SourceError> {
        let repository = self.place.open()?;
        let commit = git2::Oid::from_str(&self.snapshot.commit)
            .and_then(|id| repository.find_commit(id))
            .ok();
        let Some(commit) = commit else { return Ok(Vec::new()) };
        let tree = commit.tree_id().to_string();
        let listing = Listing::of(self.place, self.store, &tree, Submodules::Skip)?;
        Ok(listing.entries)
    }
}

fn mode_in_index(kind: Kind) -> Option<u32> {
    match kind {
        Kind::File => Some(0o100_644),
        Kind::Executable => Some(0o100_755),
        Kind::Link => Some(0o120_000),
        Kind::Submodule { .. } => Some(MODE_SUBMODULE),
        Kind::Folder => None,
    }
}

fn bare_index_entry(entry: &Entry, mode: u32) -> git2::IndexEntry {
    git2::IndexEntry {
        ctime: git2::IndexTime::new(0, 0),
        mtime: git2::IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: entry.id,
        flags: 0,
        flags_extended: 0,
        path: entry.path.as_os_str().as_bytes().to_vec(),
    }
}
