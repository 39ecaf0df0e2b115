//! A remote, and what it wants to see: a token over HTTPS, a key over SSH. The `git` program speaks to it
//! (`docs/decisions/0004-mirrors-by-the-git-program.md`), and knows no credentials but the project's.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::source::SourceError;
use crate::source::program::{Call, is_missing_ref};

/// The longest a fetch may take.
const TIME_MAX: Duration = Duration::from_mins(30);
/// The most that a mirror may take on the disk.
const BYTES_MAX: u64 = 64 << 30;

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

impl Remote<'_> {
    /// Calls `git` with these arguments, the address and what comes after it; gives what it wrote. `mirrors` is
    /// the folder of all mirrors, where the keys of SSH hosts are remembered.
    pub(super) fn call(
        &self,
        (mirrors, folder): (&Path, &Path),
        what: &str,
        (before, after): (&[&str], &[&str]),
    ) -> Result<String, SourceError> {
        let operation = format!("{what} `{}`", without_password(self.address));
        let key = match self.credential {
            Credential::SshKey(text) => Some(
                KeyFile::write(mirrors, text).map_err(SourceError::failed(operation.clone()))?,
            ),
            Credential::Nothing | Credential::Token { .. } => None,
        };
        let set_up = |git: &mut Command| {
            self.sign_in(git, mirrors, key.as_ref());
            git.args(before).arg("--end-of-options").arg(self.address).args(after);
        };
        let explained = SourceError::failed::<String>(operation.clone());
        let explain = |complaint: &str| {
            // A commit that no ref leads to is not given by every server: for us it is not there.
            if is_missing_ref(complaint) || complaint.contains("unadvertised object") {
                return Some(SourceError::NotFound(after.join(" ")));
            }
            self.refusal_in(complaint).map(|reason| explained(reason.to_owned()))
        };
        let call = Call { folder, operation, time_max: TIME_MAX, bytes_max: BYTES_MAX };
        call.carry_out(set_up, explain)
    }

    /// Nothing of the person who runs the server: no helper, agent, `.netrc` or key of theirs.
    fn sign_in(&self, git: &mut Command, mirrors: &Path, key: Option<&KeyFile>) {
        git.args(["-c", "credential.helper=", "-c", "http.followRedirects=false"]);
        git.current_dir(mirrors).env("HOME", mirrors).env_remove("XDG_CONFIG_HOME");
        git.env("GIT_ALLOW_PROTOCOL", "https:http:ssh:file").env_remove("SSH_AUTH_SOCK");
        let identity = key.map_or("none", |it| it.name.as_str());
        git.env(
            "GIT_SSH_COMMAND",
            format!(
                "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 -o IdentitiesOnly=yes \
                 -o IdentityFile={identity} -o UserKnownHostsFile=known_hosts \
                 -o StrictHostKeyChecking=accept-new"
            ),
        );
        if let Credential::Token { user, token } = self.credential
            && self.address.starts_with("http")
        {
            // By the environment: others of this machine can read the arguments of a process.
            let proof = STANDARD.encode(format!("{user}:{token}"));
            git.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraHeader");
            git.env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {proof}"));
        }
    }

    /// That the remote does not let us in, in words that say what to change.
    fn refusal_in(&self, complaint: &str) -> Option<&'static str> {
        if complaint.contains("Host key verification failed") {
            return Some(
                "the host shows another key than before; if that is right, remove its line from \
                 `known_hosts` in the folder of mirrors",
            );
        }
        let signs =
            ["could not read Username", "Authentication failed", "Permission denied", "403", "401"];
        if !signs.iter().any(|it| complaint.contains(it)) {
            return None;
        }
        Some(match self.credential {
            Credential::Nothing => "it wants a credential, and the project has none",
            Credential::Token { .. } | Credential::SshKey(_) => {
                "the credential of the project is refused"
            }
        })
    }
}

/// A private key on the disk for one call, readable by this user alone.
struct KeyFile {
    folder: PathBuf,
    name: String,
}

impl KeyFile {
    fn write(folder: &Path, text: &str) -> std::io::Result<Self> {
        let key =
            Self { folder: folder.to_owned(), name: format!("key-{:016x}", fastrand::u64(..)) };
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(key.path())?;
        // OpenSSH wants the last line to end.
        writeln!(file, "{}", text.trim_end())?;
        Ok(key)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.path()) {
            tracing::error!(file = %self.path().display(), %error, "a private key could not be removed");
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

    #[test]
    fn a_key_is_on_the_disk_for_as_long_as_it_is_needed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::write(folder.path(), "secret").unwrap();
        let path = key.path();
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(key);
        assert!(!path.exists());
    }
}
