//! What the keys of attempts are made from: random bytes that only this installation knows. So a key is the
//! same after a restart, and its text is written down nowhere.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::AttemptName;

/// The file, in the gateway's folder.
const FILE: &str = "secret";
/// What every key begins with.
const PREFIX: &str = "tl-";

/// Random bytes.
pub struct Secret([u8; 32]);

impl Secret {
    /// Reads them, or makes them. Two processes that make them at the same time agree: the first link wins.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(FILE);
        if let Some(secret) = read(&path)? {
            return Ok(secret);
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let draft = folder.join(format!("{FILE}.{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, &path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => read(&path)?.ok_or_else(|| ErrorKind::NotFound.into()),
        }
    }

    /// The key of an attempt.
    #[must_use]
    pub fn key_of(&self, attempt: &AttemptName) -> String {
        let mut code = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(code) => code,
            Err(error) => unreachable!("every length is a key's: {error}"),
        };
        code.update(b"attempt:");
        code.update(attempt.slug().as_bytes());
        format!("{PREFIX}{}", hex::encode(code.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    /// Never shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

fn read(path: &Path) -> io::Result<Option<Secret>> {
    match fs::read(path) {
        Ok(bytes) => {
            let bytes = bytes.try_into();
            let wrong = |_| io::Error::other(format!("`{}` is not 32 bytes", path.display()));
            Ok(Some(Secret(bytes.map_err(wrong)?)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RunId, StageIndex};

    #[test]
    fn a_key_is_the_same_after_a_restart_and_another_for_each_attempt_and_installation() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let name =
            |attempt| AttemptName { run: RunId("r".to_owned()), stage: StageIndex(1), attempt };
        let key = Secret::open(one.path()).unwrap().key_of(&name(1));
        assert!(key.starts_with("tl-") && key.len() == 67, "{key}");
        assert_eq!(Secret::open(one.path()).unwrap().key_of(&name(1)), key);
        assert_ne!(Secret::open(one.path()).unwrap().key_of(&name(2)), key);
        assert_ne!(Secret::open(other.path()).unwrap().key_of(&name(1)), key);
    }
}
