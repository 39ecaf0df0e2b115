//! Workspaces that are folders of this machine: for processes of the host, and for attempts without a
//! container. Copy-on-write where the kernel lets us, else a copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::executor::archive::{self, Pattern};
use crate::executor::control::{self, AttemptFolder};
use crate::executor::overlay::{self, Layers};
use crate::executor::{ExecutorError, TarStream, WorkspaceSpec};

/// The workspace folder of one attempt.
#[derive(Debug, Clone)]
pub(super) struct Workspace {
    path: PathBuf,
    layers: Option<Layers>,
    /// Empty file that says that the workspace is an overlay, or a complete copy.
    marker: PathBuf,
}

impl Workspace {
    /// `overlay_folder` is the state folder by a path for mount options, if overlays are possible.
    pub(super) fn of(folder: &AttemptFolder, overlay_folder: Option<&Path>) -> Self {
        let layers =
            overlay_folder.map(|it| Layers::new(control::attempts_folder(it).join(folder.slug())));
        let path = folder.path().join("workspace");
        Self { path, layers, marker: folder.path().join("filled") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the workspace, or completes it.
    pub(super) async fn prepare(&self, spec: &WorkspaceSpec) -> Result<(), ExecutorError> {
        let make = || {
            fs::create_dir_all(&self.path)?;
            match (&spec.checkout, &self.layers) {
                (Some(checkout), Some(layers)) => {
                    layers.create(&std::path::absolute(checkout)?, None)
                }
                _ => Ok(()),
            }
        };
        make().map_err(|error| control::failed("making", &self.path, &error))?;
        match &spec.checkout {
            Some(_) if self.layers.is_some() => self.ensure_mounted(),
            Some(checkout) if !self.marker.exists() => self.copy(checkout).await,
            _ => Ok(()),
        }
    }

    /// Mounts the overlay if there is one and it is not mounted (another process made it, or the machine
    /// was started anew).
    pub(super) fn ensure_mounted(&self) -> Result<(), ExecutorError> {
        let Some(layers) = &self.layers else {
            return Ok(());
        };
        if !layers.upper().exists() || overlay::is_mounted(&self.path) {
            return Ok(());
        }
        overlay::mount(&layers.options(), &self.path)
            .map_err(|error| control::failed("mounting", &self.path, &error))
    }

    /// Unmounts the overlay, if there is one.
    pub(super) fn unmount(&self) -> Result<(), ExecutorError> {
        if self.layers.is_none() || !overlay::is_mounted(&self.path) {
            return Ok(());
        }
        overlay::unmount(&self.path)
            .map_err(|error| control::failed("unmounting", &self.path, &error))
    }

    async fn copy(&self, checkout: &Path) -> Result<(), ExecutorError> {
        let (from, to, marker) = (checkout.to_owned(), self.path.clone(), self.marker.clone());
        let work = tokio::task::spawn_blocking(move || {
            copy_folder(&from, &to)?;
            fs::write(&marker, "")
        });
        let done = work.await.map_err(io::Error::other).and_then(|it| it);
        done.map_err(|error| control::failed("copying", checkout, &error))
    }

    /// Unpacks an archive into the workspace, or to an absolute place.
    pub(super) async fn upload(
        &self,
        directory: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        self.ensure_mounted()?;
        let target = if directory.starts_with('/') {
            PathBuf::from(directory)
        } else {
            let below = Pattern::parse(directory)?;
            self.path.join(below.prefix())
        };
        archive::unpack(tar, target.clone())
            .await
            .map_err(|error| control::failed("unpacking files into", &target, &error))
    }

    /// Packs what matches.
    pub(super) async fn download(&self, pattern: &str) -> Result<Option<TarStream>, ExecutorError> {
        self.ensure_mounted()?;
        let pattern = Pattern::parse(pattern)?;
        let root = if pattern.is_absolute() { PathBuf::from("/") } else { self.path.clone() };
        archive::pack_folder(root.clone(), pattern)
            .await
            .map_err(|error| control::failed("reading files of", &root, &error))
    }
}

/// Copies files, folders and symlinks with their permissions. A copy that was begun before is completed.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    archive::walk(from, Path::new(""), &mut |file| {
        let target = to.join(file.path);
        if file.path.as_os_str().is_empty() {
            return fs::set_permissions(to, file.metadata.permissions());
        }
        if file.metadata.is_symlink() {
            drop(fs::remove_file(&target));
            return std::os::unix::fs::symlink(fs::read_link(from.join(file.path))?, &target);
        }
        if file.metadata.is_dir() {
            fs::create_dir_all(&target)?;
            return fs::set_permissions(&target, file.metadata.permissions());
        }
        if file.metadata.is_file() {
            fs::copy(from.join(file.path), &target)?;
        }
        Ok(())
    })
}
