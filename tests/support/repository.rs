//! Makes git repositories for tests, with the `git` of the machine. Use it from an integration test by
//! `#[path = "support/repository.rs"] mod repository;`, with `#[expect(dead_code, reason = "…")]` where
//! the test does not use all of it.
//!
//! `Repo::new().file("a.txt", "x").commit("first").branch("topic").file("b.txt", "y")`

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository in a folder of its own, with branch `main`. Removed when dropped.
pub(crate) struct Repo {
    home: tempfile::TempDir,
    folder: PathBuf,
}

impl Repo {
    /// An empty repository.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = home.path().join("repository");
        fs::create_dir(&folder).expect("the folder is new");
        let repo = Self { home, folder };
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    /// Its working tree.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder beside it for anything else, such as checkouts; removed with it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file; nothing is committed.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Writes an executable file.
    pub(crate) fn executable(self, path: &str, content: &str) -> Self {
        self.write(path, content);
        let path = self.folder.join(path);
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("the file is ours");
        self
    }

    /// Makes a symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        let path = self.folder.join(path);
        make_parent(&path);
        symlink(target, path).expect("the link is new");
        self
    }

    /// Removes a file.
    pub(crate) fn without(self, path: &str) -> Self {
        fs::remove_file(self.folder.join(path)).expect("the file is there");
        self
    }

    /// Adds another repository as a submodule.
    pub(crate) fn submodule(self, path: &str, other: &Self) -> Self {
        let other = other.folder.to_string_lossy().into_owned();
        self.git(&[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            &other,
            path,
        ]);
        self
    }

    /// Commits everything, ignored files aside.
    pub(crate) fn commit(self, message: &str) -> Self {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self
    }

    /// Commits files `folder-<0 to 199>/<nth>` with `content <nth>`, without writing them to the
    /// working tree: fast, however many there are.
    pub(crate) fn commit_of_many_files(self, count: usize) -> Self {
        let mut commands = String::from("commit refs/heads/main\n");
        commands.push_str("committer Ada <ada@example.org> 1767323045 +0000\ndata 4\nmany\n");
        for nth in 0..count {
            let content = format!("content {nth}");
            let path = format!("folder-{}/{nth}", nth % 200);
            let length = content.len();
            writeln!(commands, "M 644 inline {path}\ndata {length}\n{content}")
                .expect("writing to a string cannot fail");
        }
        let script = self.beside("fast-import");
        fs::write(&script, commands).expect("the file can be written");
        let status = Command::new("git")
            .args(["fast-import", "--quiet"])
            .current_dir(&self.folder)
            .stdin(fs::File::open(script).expect("the file was just written"))
            .status();
        assert!(status.expect("git is installed").success(), "git fast-import failed");
        self
    }

    /// Creates a branch and goes there.
    pub(crate) fn branch(self, name: &str) -> Self {
        self.git(&["switch", "-q", "-c", name]);
        self
    }

    /// Makes an annotated tag.
    pub(crate) fn tag(self, name: &str) -> Self {
        self.git(&["tag", "-a", "-m", name, name]);
        self
    }

    /// Runs git here and gives what it prints, without the last line feed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.folder, arguments)
    }

    /// As [`Repo::file`], without taking the repository.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(path);
        make_parent(&path);
        fs::write(path, content).expect("the file can be written");
    }
}

/// Runs git in a folder, with nobody's configuration and at a fixed time. Panics when it fails.
pub(crate) fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.org"),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.org"),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
        ])
        .output()
        .expect("git is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
}

fn make_parent(path: &Path) {
    let parent = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(parent).expect("the folder can be made");
}
