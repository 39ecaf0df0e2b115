//! The servers that a person is signed in to, with their tokens: a file in the folder of the person's
//! settings that nobody else may read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cli::failure::Usage;
use crate::cli::session::Session;
use crate::config::ApiToken;
use crate::model::Timestamp;

use super::address::Address;

/// What is known of the servers of a person.
#[derive(Debug, Clone)]
pub struct Servers {
    file: PathBuf,
    content: Content,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Content {
    /// The one of the last sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<Address>,
    #[serde(default)]
    servers: BTreeMap<Address, StoredServer>,
}

/// A server that a person is signed in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredServer {
    /// Who they are there.
    pub login: String,
    /// The token.
    pub token: ApiToken,
    /// Its id there, where `login` has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Certificates that are trusted for this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl Servers {
    /// Reads what there is; none when there is no file.
    pub fn load(session: &Session) -> anyhow::Result<Self> {
        let missing = || {
            Usage::new(
                "no folder for settings is known: neither `XDG_CONFIG_HOME` nor `HOME` is set",
                "set one of them",
            )
        };
        let file = match &session.settings.client.folder {
            Some(folder) => folder.join("servers.json"),
            // Nothing is stored, and `TRUNKLINE_TOKEN` may do.
            None if session.settings.client.token.is_some() => return Ok(Self::nowhere()),
            None => return Err(missing().into()),
        };
        Self::read(file)
    }

    fn nowhere() -> Self {
        Self { file: PathBuf::from("/dev/null"), content: Content::default() }
    }

    fn read(file: PathBuf) -> anyhow::Result<Self> {
        let content = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                let message = format!("`{}` cannot be understood: {error}", file.display());
                Usage::new(message, "remove it, and sign in again with `trunkline login`")
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Content::default(),
            Err(error) => {
                return Err(error).with_context(|| format!("`{}` cannot be read", file.display()));
            }
        };
        Ok(Self { file, content })
    }

    /// Where they are stored.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&Address, &StoredServer)> {
        self.content.servers.iter()
    }

    /// The one of the last sign-in, or the only one.
    #[must_use]
    pub fn current(&self) -> Option<(&Address, &StoredServer)> {
        let named = self.content.current.as_ref();
        let named = named.and_then(|it| self.content.servers.get_key_value(it));
        let only =
            || self.content.servers.iter().next().filter(|_| self.content.servers.len() == 1);
        named.or_else(only)
    }

    /// The server that a person means: one they are signed in to by its host, or any by its address.
    pub fn find(&self, name: &str) -> Result<(Address, Option<StoredServer>), Usage> {
        let called: Vec<_> = self.all().filter(|(address, _)| address.is_called(name)).collect();
        match called.as_slice() {
            [(address, stored)] => return Ok(((*address).clone(), Some((*stored).clone()))),
            [] => (),
            several => {
                let all: Vec<_> = several.iter().map(|(it, _)| format!("`{it}`")).collect();
                let help = format!("name one of {}", all.join(", "));
                return Err(Usage::new(format!("`{name}` may be several servers"), help));
            }
        }
        let address = Address::parse(name)?;
        let stored = self.content.servers.get(&address).cloned();
        Ok((address, stored))
    }

    /// Remembers a server, which is the current one from now on.
    pub fn insert(&mut self, address: Address, stored: StoredServer) {
        self.content.current = Some(address.clone());
        self.content.servers.insert(address, stored);
    }

    /// Forgets a server.
    pub fn remove(&mut self, address: &Address) -> Option<StoredServer> {
        if self.content.current.as_ref() == Some(address) {
            self.content.current = None;
        }
        self.content.servers.remove(address)
    }

    /// Writes them down: whole or not at all, for nobody else to read.
    pub fn save(&self) -> anyhow::Result<()> {
        let shown = self.file.display();
        self.write().with_context(|| format!("`{shown}` cannot be written"))
    }

    fn write(&self) -> std::io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let draft = folder.join(format!("servers.json.{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(serde_json::to_string_pretty(&self.content)?.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &self.file)
        });
        if written.is_err() {
            let _is_gone = fs::remove_file(&draft);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn stored(login: &str) -> StoredServer {
        let token = ApiToken(format!("tlt_{login}"));
        StoredServer { login: login.to_owned(), token, token_id: None, expires_at: None, ca: None }
    }

    #[test]
    fn tokens_are_kept_where_only_their_owner_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config/trunkline/servers.json");
        let mut servers = Servers::read(file.clone()).unwrap();
        servers.insert(Address::parse("https://ci.example.org").unwrap(), stored("ada"));
        servers.save().unwrap();
        servers.save().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let read = Servers::read(file).unwrap();
        assert_eq!(read.current().unwrap().1, &stored("ada"));
        assert!(!format!("{read:?}").contains("tlt_"), "{read:?}");
    }

    #[test]
    fn a_server_is_found_by_its_host_and_by_its_address() {
        let mut servers = Servers::nowhere();
        servers.insert(Address::parse("https://ci.example.org:8443").unwrap(), stored("ada"));
        servers.insert(Address::parse("http://127.0.0.1:7080").unwrap(), stored("ada"));
        let (address, known) = servers.find("ci.example.org").unwrap();
        assert_eq!((address.as_str(), known), ("https://ci.example.org:8443", Some(stored("ada"))));
        assert_eq!(servers.find("other.example.org").unwrap().1, None);
        servers.insert(Address::parse("https://127.0.0.1").unwrap(), stored("ada"));
        let several = servers.find("127.0.0.1").unwrap_err();
        assert!(
            several.help.contains("`http://127.0.0.1:7080`, `https://127.0.0.1`"),
            "{several:?}"
        );
        let gone = Address::parse("https://127.0.0.1").unwrap();
        assert!(servers.remove(&gone).is_some() && servers.current().is_none());
    }
}
