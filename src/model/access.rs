//! Who may do what: teams, people, projects and roles.

use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, sqlx::Type,
        )]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $type(pub String);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// Names one team: a ULID in lower case.
    TeamId
}
text_id! {
    /// Names one project: a ULID in lower case. Empty for runs from a terminal.
    ProjectId
}
text_id! {
    /// Names one person: a ULID in lower case.
    PersonId
}

/// What a member may do in a team. Each role may do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at everything but secrets' values.
    Viewer,
    /// Starts, cancels and repeats runs.
    Developer,
    /// Says yes or no to approvals.
    Approver,
    /// Changes projects, secrets, members and tokens.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Approver, Self::Admin];

    /// The word used in tables, JSON and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who serves a project's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgeKind {
    /// github.com or GitHub Enterprise Server.
    Github,
    /// gitlab.com or a self-hosted one.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
    /// A plain git remote: nothing is posted back.
    Git,
}

impl ForgeKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Github, Self::Gitlab, Self::Gitea, Self::Git];

    /// The word used in tables, JSON and addresses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Git => "git",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a name can stand in addresses: `[a-z0-9_-]{1,63}`, as names of stages.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_fine = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-".contains(&it);
    (1..=63).contains(&name.len()) && name.bytes().all(is_fine)
}

/// The longest name of a team for people.
pub const TITLE_CHARS_MAX: usize = 100;

/// Whether a team cannot have this name: pages are where its own would be.
#[must_use]
pub fn is_reserved_for_pages(name: &str) -> bool {
    name == "new"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::ALL.into_iter().all(|it| Role::parse(it.as_str()) == Some(it)));
        assert_eq!(Role::parse("owner"), None);
    }

    #[test]
    fn names_can_stand_in_addresses() {
        assert!(is_name("search-2_b"));
        let longest = "a".repeat(63);
        assert!(is_name(&longest));
        for name in ["", "A", "a/b", "a b", "ä", &format!("{longest}a")] {
            assert!(!is_name(name), "{name}");
        }
    }
}
