//! Which addresses a server fetches from: people type them in, and the server stands in a network that they
//! may not see.

use std::path::{Path, PathBuf};

use crate::outgoing::{Outgoing, OutgoingError};

/// What may be fetched from and called.
#[derive(Debug, Clone)]
pub struct AddressRule {
    outgoing: Outgoing,
    repositories: Option<PathBuf>,
}

impl AddressRule {
    /// Public hosts and those that `outgoing` admits; and folders below `repositories`, if that is set.
    #[must_use]
    pub fn new(outgoing: Outgoing, repositories: Option<PathBuf>) -> Self {
        Self { outgoing, repositories }
    }

    /// What calls forges.
    #[must_use]
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Whether a repository's address has a form that may be used; its host is looked at later.
    pub fn admit_form(&self, address: &str) -> Result<(), OutgoingError> {
        match Form::of(address) {
            Some(Form::Folder(folder)) => self.admit_folder(address, folder),
            Some(Form::Web) => self.outgoing.admit(address).map(|_| ()),
            Some(Form::Ssh { .. }) => Ok(()),
            None if address.starts_with("file:") => {
                Err(forbidden(address, "a folder of the server is written `file:///path`"))
            }
            None => Err(forbidden(address, "it is no `https:`, `ssh:` or `file:` address")),
        }
    }

    /// Whether a repository's address may be used now: where its host leads to counts too.
    pub async fn admit(&self, address: &str) -> Result<(), OutgoingError> {
        self.admit_form(address)?;
        let host = match Form::of(address) {
            Some(Form::Web) => {
                let url = self.outgoing.admit(address)?;
                url.host_str().unwrap_or_default().to_owned()
            }
            Some(Form::Ssh { host }) => host.to_owned(),
            Some(Form::Folder(_)) | None => return Ok(()),
        };
        self.outgoing.resolve(&host, 0).await.map(drop)
    }

    fn admit_folder(&self, address: &str, folder: &str) -> Result<(), OutgoingError> {
        let allowed = self.repositories.as_deref().and_then(|it| it.canonicalize().ok());
        let folder = Path::new(folder).canonicalize().ok();
        let is_inside = allowed.zip(folder).is_some_and(|(allowed, it)| it.starts_with(allowed));
        let reason = "it is no folder below `TRUNKLINE_REPOSITORIES`";
        if is_inside { Ok(()) } else { Err(forbidden(address, reason)) }
    }
}

fn forbidden(address: &str, reason: &'static str) -> OutgoingError {
    OutgoingError::Forbidden { address: address.to_owned(), reason }
}

/// What kind of address it is.
#[derive(Debug, PartialEq, Eq)]
enum Form<'a> {
    Web,
    Ssh { host: &'a str },
    Folder(&'a str),
}

impl<'a> Form<'a> {
    fn of(address: &'a str) -> Option<Self> {
        if let Some((scheme, rest)) = address.split_once("://") {
            return match scheme {
                "https" | "http" => Some(Self::Web),
                "file" => Some(Self::Folder(rest)),
                "ssh" => {
                    let place = rest.split('/').next()?;
                    let host = place.rsplit('@').next()?;
                    Some(Self::Ssh { host: host.split(':').next()? })
                }
                _ => None,
            };
        }
        // `user@host:path`; not `helper::address`, which runs a program.
        let (place, path) = address.split_once(':')?;
        let host = place.split_once('@')?.1;
        let is_fine = !path.is_empty() && !path.starts_with(':') && !host.contains('/');
        is_fine.then_some(Self::Ssh { host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_of_three_forms() {
        assert_eq!(Form::of("https://forge.example/a.git"), Some(Form::Web));
        let host = "forge.example";
        assert_eq!(Form::of("ssh://git@forge.example:22/a.git"), Some(Form::Ssh { host }));
        assert_eq!(Form::of("git@forge.example:a/b.git"), Some(Form::Ssh { host }));
        assert_eq!(Form::of("file:///srv/a.git"), Some(Form::Folder("/srv/a.git")));
        for address in ["/srv/a.git", "ext::sh -c id", "git://x/a.git", "a@b::c", "a.git", ""] {
            assert_eq!(Form::of(address), None, "{address}");
        }
    }

    #[test]
    fn folders_are_only_those_below_the_named_one() {
        let parent = tempfile::tempdir().unwrap();
        let inside = parent.path().join("git/shop.git");
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir(parent.path().join("other")).unwrap();
        let outgoing = Outgoing::new(std::collections::BTreeSet::new()).unwrap();
        let rule = AddressRule::new(outgoing.clone(), Some(parent.path().join("git")));
        let admit = |rule: &AddressRule, path: &str| {
            rule.admit_form(&format!("file://{}/{path}", parent.path().display())).is_ok()
        };
        assert!(admit(&rule, "git/shop.git"));
        assert!(!admit(&rule, "other"));
        assert!(!admit(&rule, "git/../other"));
        let short = rule.admit_form("file:/srv/shop.git").unwrap_err().to_string();
        assert!(short.contains("`file:///path`"), "{short}");
        assert!(!admit(&AddressRule::new(outgoing, None), "git/shop.git"));
    }
}
