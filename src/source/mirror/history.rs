//! Reads commits of a mirror: their facts, their place in trunk, and single files.

use std::collections::BTreeSet;

use git2::ObjectType;

use crate::source::SourceError;
use crate::source::access::Place;

/// What a commit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    /// Its id.
    pub id: String,
    /// Its tree.
    pub tree: String,
    /// The whole message.
    pub message: String,
    /// Name of the author.
    pub author: String,
}

/// Somebody whom a commit names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hand {
    /// Whether they have made the commit of somebody's change, and are not its author.
    pub is_committer: bool,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
}

/// Commits that are looked through for their authors, and authors that are told.
const COMMITS_MAX: usize = 50_000;
const HANDS_MAX: usize = 500;

/// Authors and committers of a commit and of all before it that no `base` has; of the commit alone when
/// none of the bases is here.
pub(super) fn hands(
    place: &Place,
    commit: &str,
    bases: &[String],
) -> Result<Vec<Hand>, SourceError> {
    let repository = place.open()?;
    let head = find(&repository, commit)?;
    let mut hands = BTreeSet::new();
    add_hands(&mut hands, &head);
    let bases: Vec<_> = bases.iter().filter_map(|it| find(&repository, it).ok()).collect();
    if bases.is_empty() {
        return Ok(hands.into_iter().collect());
    }
    let failed = || SourceError::failed(format!("reading the commits up to `{commit}`"));
    let mut walk = repository.revwalk().map_err(failed())?;
    walk.push(head.id()).map_err(failed())?;
    for base in bases {
        walk.hide(base.id()).map_err(failed())?;
    }
    // Where history is cut off, it ends.
    for commit in walk.map_while(Result::ok).take(COMMITS_MAX) {
        let Ok(commit) = repository.find_commit(commit) else { break };
        add_hands(&mut hands, &commit);
        if hands.len() >= HANDS_MAX {
            break;
        }
    }
    Ok(hands.into_iter().collect())
}

fn add_hands(hands: &mut BTreeSet<Hand>, commit: &git2::Commit<'_>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    for (is_committer, of) in [(false, commit.author()), (true, commit.committer())] {
        let (name, email) = (text(of.name_bytes()), text(of.email_bytes()));
        hands.insert(Hand { is_committer, name, email });
    }
}

/// The commit that a name (an id, a ref, an annotated tag) leads to.
pub(super) fn find_commit(place: &Place, name: &str) -> Result<CommitFacts, SourceError> {
    let repository = place.open()?;
    let commit = find(&repository, name)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(CommitFacts {
        id: commit.id().to_string(),
        tree: commit.tree_id().to_string(),
        message: text(commit.message_bytes()),
        author: text(commit.author().name_bytes()),
    })
}

/// First-parent commits up to this one. In a shallow mirror the count would lie.
pub(super) fn height(place: &Place, commit: &str) -> Result<i64, SourceError> {
    let repository = place.open()?;
    if repository.is_shallow() {
        return Ok(0);
    }
    let failed = || SourceError::failed(format!("counting the commits up to `{commit}`"));
    let start = find(&repository, commit)?.id();
    let mut walk = repository.revwalk().map_err(failed())?;
    walk.simplify_first_parent().map_err(failed())?;
    walk.push(start).map_err(failed())?;
    Ok(i64::try_from(walk.count()).unwrap_or(i64::MAX))
}

/// Whether `old` is an ancestor of `new`, or the same.
pub(super) fn is_ancestor(place: &Place, old: &str, new: &str) -> Result<bool, SourceError> {
    let repository = place.open()?;
    let (old, new) = (find(&repository, old)?.id(), find(&repository, new)?.id());
    let failed = || SourceError::failed(format!("comparing `{old}` with `{new}`"));
    Ok(old == new || repository.graph_descendant_of(new, old).map_err(failed())?)
}

/// Paths of the files that lie directly in a folder.
pub(super) fn list_folder(
    place: &Place,
    commit: &str,
    folder: &str,
) -> Result<Vec<String>, SourceError> {
    let repository = place.open()?;
    let tree = find(&repository, commit)?.tree().map_err(reading(folder))?;
    let Ok(entry) = tree.get_path(folder.as_ref()) else { return Ok(Vec::new()) };
    let Ok(tree) = repository.find_tree(entry.id()) else { return Ok(Vec::new()) };
    let files = tree.iter().filter(|it| it.kind() == Some(ObjectType::Blob));
    let names = files.filter_map(|it| it.name().ok().map(|name| format!("{folder}/{name}")));
    let mut paths: Vec<_> = names.collect();
    paths.sort_unstable();
    Ok(paths)
}

/// Content of a file; more than `bytes_max` of it is an error, so that nothing is cut off silently.
pub(super) fn read_file(
    place: &Place,
    (commit, path): (&str, &str),
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, SourceError> {
    let repository = place.open()?;
    let tree = find(&repository, commit)?.tree().map_err(reading(path))?;
    let Ok(entry) = tree.get_path(path.as_ref()) else { return Ok(None) };
    if entry.kind() != Some(ObjectType::Blob) {
        return Ok(None);
    }
    let blob = repository.find_blob(entry.id()).map_err(reading(path))?;
    if blob.size() > bytes_max {
        return Err(reading(path)(format!("it has more than {bytes_max} bytes")));
    }
    Ok(Some(blob.content().to_vec()))
}

fn find<'a>(repository: &'a git2::Repository, name: &str) -> Result<git2::Commit<'a>, SourceError> {
    repository
        .revparse_single(name)
        .and_then(|it| it.peel_to_commit())
        .map_err(|_| SourceError::NotFound(name.to_owned()))
}

fn reading<E: ToString>(path: &str) -> impl FnOnce(E) -> SourceError + use<E> {
    SourceError::failed(format!("reading `{path}`"))
}
