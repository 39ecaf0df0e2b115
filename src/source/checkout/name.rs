//! Names of checkouts: `tree-commit[.turn][-uid-gid]`. The tree comes first, so that the clean-up knows it.

use std::fmt;
use std::path::Path;

use super::super::Snapshot;

/// Digits of the commit that stand in a name. (It is part of it because `.git` depends on it.)
const COMMIT_DIGITS: usize = 12;

/// The name of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    tree: String,
    commit: String,
    /// How many checkouts of the same there were before.
    turn: u32,
    owner: Option<(u32, u32)>,
}

impl Name {
    /// The first one of its kind.
    pub(super) fn of(snapshot: &Snapshot, owner: Option<(u32, u32)>) -> Self {
        let commit = snapshot.commit.get(..COMMIT_DIGITS).unwrap_or("none");
        Self { tree: snapshot.tree.clone(), commit: commit.to_owned(), turn: 0, owner }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (tree, middle) = (parts.next()?, parts.next()?);
        let (commit, turn) = match middle.split_once('.') {
            Some((commit, turn)) => (commit, turn.parse().ok()?),
            None => (middle, 0),
        };
        let owner = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => None,
            (Some(uid), Some(gid), None) => Some((uid.parse().ok()?, gid.parse().ok()?)),
            _ => return None,
        };
        Some(Self { tree: tree.to_owned(), commit: commit.to_owned(), turn, owner })
    }

    /// Id of the tree that is checked out.
    pub(super) fn tree(&self) -> &str {
        &self.tree
    }

    pub(super) fn is_of_same_revision(&self, other: &Self) -> bool {
        (&self.tree, &self.commit) == (&other.tree, &other.commit)
    }

    pub(super) fn has_same_owner(&self, other: &Self) -> bool {
        self.owner == other.owner
    }

    pub(super) fn is_same_but_for_turn(&self, other: &Self) -> bool {
        self.is_of_same_revision(other) && self.has_same_owner(other)
    }

    /// The first turn that has no folder.
    pub(super) fn next_free_in(mut self, folder: &Path) -> Self {
        while folder.join(self.to_string()).exists() {
            self.turn += 1;
        }
        self
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tree, self.commit)?;
        if self.turn > 0 {
            write!(f, ".{}", self.turn)?;
        }
        self.owner.map_or(Ok(()), |(uid, gid)| write!(f, "-{uid}-{gid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for text in ["ab-none", "ab-12.3", "ab-12-0-0", "ab-12.1-1000-100"] {
            assert_eq!(Name::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "ab", "ab-12.x", "ab-12-1", "ab-12-1-2-3", "ab-12-x-1"] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
