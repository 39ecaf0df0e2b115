//! A remote, and what it wants to see: a token over HTTPS, a key over SSH.

use std::fmt;
use std::path::Path;

use git2::{CertificateCheckStatus, Cred, CredentialType, RemoteCallbacks};

use super::hosts;
use crate::source::SourceError;

/// Tries to sign in at one remote: libgit2 asks again and again while it is refused.
const SIGN_IN_TRIES: u32 = 3;

/// What a remote wants to see.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credential {
    /// Nothing: the repository is public.
    #[default]
    Nothing,
    /// A token over HTTPS.
    Token {
        /// What stands for the login; forges differ in what they want here.
        user: String,
        /// The token.
        token: String,
    },
    /// A private key over SSH, in OpenSSH's or PEM form, without a passphrase.
    SshKey(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Token { .. } => "Token(…)",
            Self::SshKey(_) => "SshKey(…)",
        })
    }
}

/// Where a mirror is fetched from.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    /// An `https:`, `http:`, `ssh:` or `file:` address, or `user@host:path`.
    pub address: &'a str,
    /// What it wants to see.
    pub credential: &'a Credential,
    /// Commits of history; 0 for all.
    pub depth: u32,
}

impl<'a> Remote<'a> {
    /// How to sign in. Keys of SSH hosts are remembered in `folder`.
    pub(super) fn callbacks(&self, folder: &'a Path) -> RemoteCallbacks<'a> {
        let mut callbacks = RemoteCallbacks::new();
        let (credential, mut tries) = (self.credential, 0);
        callbacks.credentials(move |_, user, allowed| {
            tries += 1;
            if tries > SIGN_IN_TRIES {
                return Err(git2::Error::from_str("the credential of the project is refused"));
            }
            sign_in(credential, user, allowed)
        });
        callbacks.certificate_check(move |certificate, host| {
            let Some(key) = certificate.as_hostkey() else {
                return Ok(CertificateCheckStatus::CertificatePassthrough);
            };
            let key = key.hostkey().unwrap_or_default();
            hosts::check(folder, host, key).map_err(|reason| git2::Error::from_str(&reason))?;
            Ok(CertificateCheckStatus::CertificateOk)
        });
        callbacks
    }

    /// Turns what git says into an error that shows no password.
    pub(super) fn failed<E: ToString>(&self, what: &str) -> impl FnOnce(E) -> SourceError + use<E> {
        let shown = without_password(self.address);
        SourceError::failed(format!("{what} `{shown}`"))
    }
}

fn sign_in(
    credential: &Credential,
    user: Option<&str>,
    allowed: CredentialType,
) -> Result<Cred, git2::Error> {
    let user = user.unwrap_or("git");
    if allowed.contains(CredentialType::USERNAME) {
        return Cred::username(user);
    }
    match credential {
        Credential::Token { user, token }
            if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) =>
        {
            Cred::userpass_plaintext(user, token)
        }
        Credential::SshKey(key) if allowed.contains(CredentialType::SSH_KEY) => {
            Cred::ssh_key_from_memory(user, None, key, None)
        }
        Credential::Nothing => {
            Err(git2::Error::from_str("it wants a credential, and the project has none"))
        }
        Credential::Token { .. } | Credential::SshKey(_) => {
            Err(git2::Error::from_str("it wants another kind of credential than the project has"))
        }
    }
}

fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rfind('@') {
        Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_show_no_password() {
        let shown = without_password("https://ada:secret@forge.example/shop@2.git");
        assert_eq!(shown, "https://forge.example/shop@2.git");
        assert_eq!(without_password("git@forge.example:shop.git"), "git@forge.example:shop.git");
        assert_eq!(without_password("/srv/shop.git"), "/srv/shop.git");
    }
}
