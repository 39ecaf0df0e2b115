//! People, teams and tokens, as text and as JSON: the same from a database here and from a server.

use serde::{Deserialize, Serialize};

use crate::cli::output::Output;
use crate::model::Timestamp;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonShown {
    /// Login.
    pub login: String,
    /// Name for people.
    pub name: String,
    /// Address, or empty.
    pub email: String,
    /// Whether they own the installation.
    pub is_owner: bool,
    /// Whether they are shut out.
    pub is_disabled: bool,
}

impl PersonShown {
    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let owner = if self.is_owner { "owner" } else { "" };
        let disabled = if self.is_disabled { "disabled" } else { "" };
        let words = [self.name.as_str(), self.email.as_str(), owner, disabled];
        let words: Vec<_> = words.into_iter().filter(|it| !it.is_empty()).collect();
        format!("{:20}  {}", self.login, words.join(", "))
    }
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamShown {
    /// Its id.
    pub id: String,
    /// Its name in addresses.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Who is in it.
    #[serde(default)]
    pub members: Vec<MemberShown>,
}

/// A member of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberShown {
    /// Login.
    pub login: String,
    /// What they may do there.
    pub role: String,
}

impl TeamShown {
    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let members = self.members.iter().map(|it| format!("{} ({})", it.login, it.role));
        let members: Vec<_> = members.collect();
        format!("{:20}  {}  {}", self.name, self.id, members.join(", "))
    }
}

/// A token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenShown {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
    /// Since when it is good for nothing.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

impl TokenShown {
    /// In one line.
    #[must_use]
    pub fn line(&self, output: &Output) -> String {
        let end = match self.revoked_at {
            Some(at) => format!("revoked {}", output.date_time(at)),
            None => format!("until {}", output.date_time(self.expires_at)),
        };
        format!("{}  {end}  {}  {}", self.id, self.scopes.join(" "), self.name)
    }
}
