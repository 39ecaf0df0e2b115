//! Copy-on-write folders of the kernel: when they can be had, and mounting them.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

/// Folders in which it is tried whether overlays can be mounted begin with this; then the process.
const PROBE: &str = "overlay-probe-";

/// The layers of one overlay, all in one folder: `lower` (a symlink to what is below), `upper`, `work`.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    folder: PathBuf,
}

impl Layers {
    /// `folder` must have passed [`safe_alias`], as mount options have no reliable way to quote.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the layers, or completes them. The top folder of the overlay belongs to `owner`.
    pub(super) fn create(&self, lower: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
        let link = self.folder.join("lower");
        match std::os::unix::fs::symlink(lower, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for name in ["upper", "work"] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(self.upper(), Some(uid), Some(gid))?;
        }
        Ok(())
    }

    pub(super) fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Options for `mount -t overlay`.
    pub(super) fn options(&self) -> String {
        let folder = self.folder.display();
        format!("lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work")
    }
}

/// Mounts an overlay.
pub(super) fn mount(options: &str, target: &Path) -> io::Result<()> {
    let options = CString::new(options)?;
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    rustix::mount::mount("overlay", target, "overlay", flags, options.as_c_str())?;
    Ok(())
}

/// Unmounts; no error if nothing is mounted there. Busy files stay usable for who has them open.
pub(super) fn unmount(target: &Path) -> io::Result<()> {
    match rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether something is mounted at `target`: it then is on another device than its parent.
pub(super) fn is_mounted(target: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| fs::symlink_metadata(path).map(|it| it.dev()).ok();
    target.parent().is_some_and(|parent| device(target) != device(parent))
}

/// Whether overlays of folders below `state_folder` can be mounted: tries it.
pub(super) fn is_available(state_folder: &Path) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let Some(state_folder) = safe_alias(state_folder) else {
        return false;
    };
    let probe = state_folder.join(format!("{PROBE}{}", std::process::id()));
    let mounted = try_mount(&probe).is_ok();
    drop(fs::remove_dir_all(&probe));
    mounted
}

/// Removes the trials of processes that were killed in the middle of one.
pub(super) fn remove_old_probes(state_folder: &Path) {
    for entry in fs::read_dir(state_folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|it| it.strip_prefix(PROBE)?.parse::<u32>().ok());
        let is_alive = |id: u32| Path::new("/proc").join(id.to_string()).exists();
        if process.is_some_and(|id| !is_alive(id)) {
            drop(unmount(&entry.path().join("merged")));
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

fn try_mount(probe: &Path) -> io::Result<()> {
    let target = probe.join("merged");
    fs::create_dir_all(&target)?;
    fs::create_dir_all(probe.join("below"))?;
    let layers = Layers::new(probe.to_owned());
    layers.create(&probe.join("below"), None)?;
    mount(&layers.options(), &target)?;
    unmount(&target)
}

/// The folder itself, or a symlink to it whose path can stand in mount options (no `,`, `:`, `\`).
pub(super) fn safe_alias(folder: &Path) -> Option<PathBuf> {
    let is_safe = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'_' | b'-' | b'.');
    if folder.as_os_str().as_bytes().iter().all(is_safe) {
        return Some(folder.to_owned());
    }
    let digest = crate::model::Digest::of(folder.as_os_str().as_bytes());
    let short = digest.hex().get(..16)?;
    let alias = PathBuf::from(format!("/run/trunkline-{short}"));
    match std::os::unix::fs::symlink(folder, &alias) {
        Ok(()) => Some(alias),
        Err(_) => (fs::read_link(&alias).ok()? == folder).then_some(alias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_of_a_killed_process_goes_and_that_of_a_living_one_stays() {
        let state = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = state.path().join(format!("{PROBE}{}", child.id()));
        child.wait().unwrap();
        let alive = state.path().join(format!("{PROBE}{}", std::process::id()));
        fs::create_dir_all(dead.join("merged")).unwrap();
        fs::create_dir_all(&alive).unwrap();
        remove_old_probes(state.path());
        assert!(!dead.exists() && alive.exists());
    }
}
