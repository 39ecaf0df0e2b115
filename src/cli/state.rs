//! The state folder: what is in it, and opening it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::failure::{Broken, Usage};
use crate::blobs::{Blobs, Logs};
use crate::config::Settings;
use crate::runs::Runs;
use crate::store::Store;

/// Folders that other parts expect to be there.
const FOLDERS: [&str; 6] = ["blobs", "logs", "checkouts", "objects", "attempts", "locks"];

/// Everything that is kept between calls.
#[derive(Debug, Clone)]
pub struct State {
    /// The database.
    pub store: Store,
    /// Artifacts and caches.
    pub blobs: Blobs,
    /// Logs.
    pub logs: Logs,
    /// The use cases on runs.
    pub runs: Runs,
    /// The folder itself.
    pub folder: PathBuf,
    /// The folder with artifacts, caches and logs: this one, or for a server the one that machines share.
    pub files: PathBuf,
    /// Names this folder on its machine; becomes a label of containers.
    pub instance: String,
}

impl State {
    /// Opens the state folder; makes it when it is not there.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        Self::open_with(settings, None, false).await
    }

    /// Opens the state folder of a server, whose database may be elsewhere (`DATABASE_URL`).
    pub async fn open_server(settings: &Settings) -> anyhow::Result<Self> {
        Self::open_with(settings, settings.database_url.as_deref(), true).await
    }

    /// Opens that of a server that has been here before, and makes nothing: a new empty one would answer as if
    /// nothing had ever been done.
    pub async fn open_present(settings: &Settings, needed: Needed) -> anyhow::Result<Self> {
        let file = absent_database(settings);
        let folder = settings.state_folder.join("instance");
        let folder = Some(folder).filter(|it| needed == Needed::Folder && !it.exists());
        let folder = folder.map(|_| settings.state_folder.clone());
        let shared = settings.fleet.shared_folder.clone();
        let shared = shared.filter(|it| needed == Needed::Folder && !it.join("blobs").exists());
        if let Some(absent) = file.or(folder).or(shared) {
            let message = format!("no server has kept anything in `{}`", absent.display());
            let help = "say where its state is, as the server is told: `--state DIR`, `--config FILE`, \
                        or `TRUNKLINE_STATE`, `DATABASE_URL` and `TRUNKLINE_SHARED`";
            return Err(Usage::new(message, help).into());
        }
        Self::open_server(settings).await
    }

    async fn open_with(
        settings: &Settings,
        database_url: Option<&str>,
        is_server: bool,
    ) -> anyhow::Result<Self> {
        let folder = settings.state_folder.clone();
        make_folders(&folder).map_err(|error| unusable(&folder, &error))?;
        let instance = instance(&folder)?;
        let store = match database_url {
            Some(url) => Store::open(url).await?,
            None => Store::open(&format!("sqlite:{}", folder.join("state.db").display()))
                .await
                .with_context(|| format!("`{}/state.db` could not be opened", folder.display()))?,
        };
        // A terminal keeps its own; the processes of a server see those of each other.
        let shared = settings.fleet.shared_folder.as_ref().filter(|_| is_server);
        let files = shared.unwrap_or(&folder);
        Ok(Self {
            blobs: Blobs::open(&files.join("blobs"))?,
            logs: Logs::open(&files.join("logs"))?,
            runs: Runs::new(store.clone()),
            store,
            files: files.clone(),
            folder,
            instance,
        })
    }

    /// Where git objects of dirty working trees are kept.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }
}

/// What must be there of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// Its database, which may be on another machine.
    Database,
    /// Its database and its folders.
    Folder,
}

/// The SQLite file of a server that is not there yet.
#[must_use]
pub fn absent_database(settings: &Settings) -> Option<PathBuf> {
    let file = match settings.database_url.as_deref() {
        None => settings.state_folder.join("state.db"),
        Some(url) => {
            let rest = url.strip_prefix("sqlite:")?;
            let rest = rest.strip_prefix("//").unwrap_or(rest);
            PathBuf::from(rest.split('?').next().unwrap_or(rest))
        }
    };
    (!file.exists()).then_some(file)
}

/// Only its owner may look into it: logs and artifacts may hold what others should not see. A bind
/// mount into a container does not need to pass through it.
fn make_folders(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for name in FOLDERS {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder.join(name))?;
    }
    Ok(())
}

fn unusable(folder: &Path, error: &std::io::Error) -> anyhow::Error {
    let message = format!("the state folder `{}` cannot be used: {error}", folder.display());
    let help = "name another one with `--state DIR` or `TRUNKLINE_STATE`".to_owned();
    Broken { message, help }.into()
}

/// The name of this folder, made once. Two processes that make it at the same time agree: the first
/// link wins.
fn instance(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("instance");
    let read = || fs::read_to_string(&path).map(|it| it.trim().to_owned());
    match read() {
        Ok(instance) if !instance.is_empty() => return Ok(instance),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => (),
        Err(error) => return Err(unusable(folder, &error)),
    }
    let fresh = ulid::Ulid::generate().to_string().to_lowercase();
    let draft = folder.join(format!("instance.{fresh}"));
    fs::write(&draft, &fresh)?;
    let linked = fs::hard_link(&draft, &path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(fresh),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(read()?),
        Err(error) => Err(unusable(folder, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = instance(folder.path()).unwrap();
        assert_eq!(first.len(), 26);
        assert_eq!(instance(folder.path()).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_the_owner_may_look_into_the_state_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deep/state");
        make_folders(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_cannot_be_made_names_the_way_out() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = make_folders(&file.join("state")).unwrap_err();
        let shown = unusable(&file.join("state"), &error);
        assert!(shown.to_string().contains("cannot be used: Not a directory"), "{shown}");
    }
}
