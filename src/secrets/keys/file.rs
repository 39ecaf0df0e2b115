//! Keys in a file that only the server's user may read: one a line, `<id> <256 bits, base64>`, the newest
//! last. Older ones stay until nothing is wrapped with them.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{KeyError, Wrapped};
use crate::secrets::envelope::{Key, open_bytes, seal_bytes};
use crate::secrets::random_bytes;

#[cfg(test)]
mod tests;

const MODE: u32 = 0o600;

/// A file of keys.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

struct NamedKey {
    id: String,
    key: Key,
}

impl KeyFile {
    /// The file at `path`; made with a first key when it is not there.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let file = Self { path: path.to_owned() };
        if !path.exists() {
            file.write(&[new_key()], Write::First)?;
        }
        file.read()?;
        Ok(file)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn wrap(&self, data_key: &str, key: &Key) -> Result<Wrapped, KeyError> {
        let newest = self.load().await?.pop().ok_or_else(|| self.fault("it is empty"))?;
        let sealed = seal_bytes(&newest.key, &bound(&newest.id, data_key), &**key);
        let sealed = sealed.ok_or_else(|| self.fault("its key cannot be used"))?;
        Ok(Wrapped { by: newest.id, text: STANDARD.encode(sealed) })
    }

    pub(super) async fn unwrap(&self, data_key: &str, wrapped: &Wrapped) -> Result<Key, KeyError> {
        let found = self.load().await?.into_iter().find(|it| it.id == wrapped.by);
        let named = found.ok_or_else(|| KeyError::Missing {
            key: wrapped.by.clone(),
            place: self.path.display().to_string(),
        })?;
        let changed = || KeyError::Changed(data_key.to_owned());
        let sealed = STANDARD.decode(&wrapped.text).map_err(|_| changed())?;
        let plain =
            open_bytes(&named.key, &bound(&named.id, data_key), &sealed).map(Zeroizing::new);
        to_key(&plain.ok_or_else(changed)?).ok_or_else(changed)
    }

    /// Adds a key, which is used from now on, and gives its name.
    pub(super) async fn rotate(&self) -> Result<String, KeyError> {
        let mut keys = self.load().await?;
        let fresh = new_key();
        let id = fresh.id.clone();
        keys.push(fresh);
        let file = self.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&keys, Write::Anew)).await;
        written.map_err(|_| self.fault("it was not written to its end"))??;
        Ok(id)
    }

    /// Read anew each time: another process may have rotated it, and data keys are cached above.
    async fn load(&self) -> Result<Vec<NamedKey>, KeyError> {
        let file = self.clone();
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        read.map_err(|_| self.fault("it was not read to its end"))?
    }

    fn read(&self) -> Result<Vec<NamedKey>, KeyError> {
        let failed = |error: std::io::Error| self.fault(&error.to_string());
        let mode = fs::metadata(&self.path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(self.fault(&format!("others may read it (mode {:o})", mode & 0o777)));
        }
        let text = Zeroizing::new(fs::read_to_string(&self.path).map_err(failed)?);
        let keys: Option<Vec<_>> = text.lines().map(parse_line).collect();
        keys.filter(|it| !it.is_empty())
            .ok_or_else(|| self.fault("a line is not `<id> <256 bits, base64>`"))
    }

    /// Whole or not at all. Of two processes that make the first file, one wins and both read it.
    fn write(&self, keys: &[NamedKey], how: Write) -> Result<(), KeyError> {
        let draft = self.path.with_extension(format!("draft-{}", hex::encode(random_bytes::<8>())));
        let written = write_whole(&draft, keys).and_then(|()| match how {
            Write::First => match fs::hard_link(&draft, &self.path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            },
            Write::Anew => fs::rename(&draft, &self.path),
        });
        let _gone_already = fs::remove_file(&draft);
        written.map_err(|error| self.fault(&error.to_string()))
    }

    fn fault(&self, reason: &str) -> KeyError {
        KeyError::File { path: self.path.clone(), reason: reason.to_owned() }
    }
}

#[derive(Clone, Copy)]
enum Write {
    First,
    Anew,
}

fn write_whole(draft: &Path, keys: &[NamedKey]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(draft)?;
    for named in keys {
        let line = Zeroizing::new(format!("{} {}\n", named.id, STANDARD.encode(*named.key)));
        file.write_all(line.as_bytes())?;
    }
    file.sync_all()
}

fn parse_line(line: &str) -> Option<NamedKey> {
    let (id, key) = line.split_once(' ')?;
    let key = to_key(&Zeroizing::new(STANDARD.decode(key.trim()).ok()?))?;
    Some(NamedKey { id: id.to_owned(), key })
}

fn to_key(bytes: &[u8]) -> Option<Key> {
    <[u8; 32]>::try_from(bytes).ok().map(Key::new)
}

fn new_key() -> NamedKey {
    NamedKey { id: hex::encode(random_bytes::<8>()), key: Key::new(random_bytes()) }
}

/// The wrapping key and the data key are named in what is wrapped, so that none stands for another.
fn bound(key: &str, data_key: &str) -> String {
    format!("data-key.{key}.{data_key}")
}
