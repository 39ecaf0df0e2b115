//! Git, on repositories that real `git` has made.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use trunkline::model::Timestamp;
use trunkline::source::{
    Checkout, Repository, Snapshot, SourceError, digest_of_globs, prune_checkouts, prune_objects,
};

use repository::{Repo, git_in};

#[path = "source/earlier.rs"]
mod earlier;
#[path = "source/line_by_line.rs"]
mod line_by_line;
#[path = "support/repository.rs"]
mod repository;

/// What the product keeps beside a repository.
struct Setting {
    repo: Repo,
    source: Repository,
    objects: PathBuf,
    checkouts: PathBuf,
}

impl Setting {
    fn of(repo: Repo) -> Self {
        let source = Repository::discover(repo.folder()).unwrap();
        let (objects, checkouts) = (repo.beside("state/objects"), repo.beside("state/checkouts"));
        Self { repo, source, objects, checkouts }
    }

    fn snapshot(&self) -> Snapshot {
        self.source.snapshot_working_tree(&self.objects).unwrap()
    }

    fn try_checkout(&self, snapshot: &Snapshot) -> Result<Checkout, SourceError> {
        self.source.checkout(snapshot, &self.objects, &self.checkouts, None)
    }

    /// The checkout of the working tree, as text.
    fn tree(&self) -> String {
        show(&self.try_checkout(&self.snapshot()).unwrap().folder)
    }

    fn paths(&self, snapshot: &Snapshot) -> Vec<String> {
        let files = self.source.list_files(snapshot, &self.objects).unwrap();
        files.into_iter().map(|(path, _)| path).collect()
    }

    fn changed(&self, base: &str) -> Option<Vec<String>> {
        self.source.changed_paths(&self.snapshot(), &self.objects, base).unwrap()
    }
}

/// The files of a folder but `.git`: path, mark of the kind, content.
fn show(folder: &Path) -> String {
    let mut lines = Vec::new();
    add_lines(folder, folder, &mut lines);
    lines.sort();
    lines.join("\n")
}

fn add_lines(root: &Path, folder: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_symlink() {
            lines.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
        } else if metadata.is_file() {
            let mark = if metadata.mode() & 0o100 != 0 { "*" } else { "" };
            let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            lines.push(format!("{name}{mark}: {}", content.trim_end()));
        } else if name != ".git" {
            if fs::read_dir(&path).unwrap().next().is_none() {
                lines.push(format!("{name}/"));
            }
            add_lines(root, &path, lines);
        }
    }
}

/// All files of a repository's `.git` with their contents: what must never change.
fn contents_of_git(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.join(".git")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    files
}

/// What git says in a checkout, with its objects where a container would see them.
fn git_in_checkout(checkout: &Checkout, arguments: &[&str]) -> String {
    let copy = checkout.folder.with_extension("workspace");
    if !copy.exists() {
        let mut command = std::process::Command::new("cp");
        let status = command.arg("-a").args([&checkout.folder, &copy]).status().unwrap();
        assert!(status.success());
        let alternates = copy.join(".git/objects/info/alternates");
        let mut text = fs::read_to_string(&alternates).unwrap();
        for (host, container) in &checkout.objects {
            text = text.replace(container, &host.to_string_lossy());
        }
        fs::write(alternates, text).unwrap();
    }
    git_in(&copy, arguments)
}

#[test]
fn a_clean_working_tree_is_the_last_commit() {
    let setting = Setting::of(Repo::new().file("a.txt", "one").commit("The first\n\nBody"));
    let snapshot = setting.snapshot();
    assert_eq!(snapshot, setting.source.snapshot_head().unwrap());
    assert_eq!(snapshot.commit, setting.repo.git(&["rev-parse", "HEAD"]));
    assert_eq!(snapshot.tree, setting.repo.git(&["rev-parse", "HEAD^{tree}"]));
    assert_eq!(snapshot.r#ref, "refs/heads/main");
    assert_eq!((snapshot.title.as_str(), snapshot.author.as_str()), ("The first", "Ada"));
    assert!(!snapshot.dirty);
}

#[test]
fn a_dirty_working_tree_is_taken_as_it_is() {
    let repo = Repo::new()
        .file(".gitignore", "*.log\nbuild/\n!keep.log\n")
        .file("same", "same")
        .file("changed", "old")
        .file("deleted", "x")
        .file("staged", "old")
        .file("staged-and-changed", "old")
        .file("made-executable", "run")
        .file("file-to-folder", "x")
        .file("folder-to-file/inner", "x")
        .file("to-link", "x")
        .file("sub/.gitignore", "ignored-below")
        .commit("first");
    repo.write("staged", "index");
    repo.write("staged-and-changed", "index");
    repo.write("new-and-staged", "index");
    repo.git(&["add", "staged", "staged-and-changed", "new-and-staged"]);
    repo.write("staged-and-changed", "disk");
    let repo = repo.without("deleted").without("file-to-folder").without("to-link");
    fs::remove_dir_all(repo.folder().join("folder-to-file")).unwrap();
    let path = repo.folder().join("made-executable");
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    let repo = repo
        .file("changed", "new")
        .file("file-to-folder/inner", "folder")
        .file("folder-to-file", "file")
        .link("to-link", "changed")
        .file("untracked/deep/file", "untracked")
        .file("ignored.log", "x")
        .file("keep.log", "kept")
        .file("build/out", "x")
        .file("sub/ignored-below", "x");
    let before = contents_of_git(repo.folder());
    let setting = Setting::of(repo);
    let snapshot = setting.snapshot();
    assert!(snapshot.dirty);
    insta::assert_snapshot!(setting.tree(), @r"
    .gitignore: *.log
    build/
    !keep.log
    changed: new
    file-to-folder/inner: folder
    folder-to-file: file
    keep.log: kept
    made-executable*: run
    new-and-staged: index
    same: same
    staged-and-changed: disk
    staged: index
    sub/.gitignore: ignored-below
    to-link -> changed
    untracked/deep/file: untracked
    ");
    assert_eq!(contents_of_git(setting.repo.folder()), before, "the repository is untouched");
    let read = |path| setting.source.read_file(&snapshot, &setting.objects, path).unwrap();
    assert_eq!(read("changed").as_deref(), Some(b"new".as_slice()));
    assert_eq!(read("./untracked/deep/file").as_deref(), Some(b"untracked".as_slice()));
    assert_eq!((read("deleted"), read("untracked")), (None, None));
}

#[test]
fn the_same_dirty_state_is_the_same_snapshot() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first").file("b", "2"));
    let first = setting.snapshot();
    assert_eq!(setting.snapshot(), first);
    setting.repo.write("b", "3");
    assert_ne!(setting.snapshot().tree, first.tree);
    assert!(!setting.source.snapshot_head().unwrap().dirty);
}

#[test]
fn a_repository_without_commits_works() {
    let setting = Setting::of(Repo::new());
    let snapshot = setting.snapshot();
    assert_eq!((snapshot.commit.as_str(), snapshot.dirty), ("", false));
    assert_eq!(setting.source.snapshot_head().unwrap(), snapshot);
    assert_eq!(setting.tree(), "");

    setting.repo.write("a", "1");
    let snapshot = setting.snapshot();
    assert_eq!((snapshot.r#ref.as_str(), snapshot.dirty), ("refs/heads/main", true));
    assert_eq!(setting.tree(), "a: 1");
    assert_eq!(setting.changed("main"), None);
    assert_eq!(setting.source.default_base(&snapshot), None);
    let checkout = setting.try_checkout(&snapshot).unwrap();
    assert_eq!(
        git_in_checkout(&checkout, &["status", "--short", "--branch"]),
        "## No commits yet on main\n?? a"
    );
}

#[test]
fn a_subfolder_a_worktree_and_a_bare_repository_are_found() {
    let repo = Repo::new().file("sub/a", "1").commit("first");
    let worktree = repo.beside("worktree");
    let bare = repo.beside("bare.git");
    repo.git(&["worktree", "add", "-q", "-b", "other", worktree.to_str().unwrap()]);
    repo.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    fs::write(worktree.join("b"), "2").unwrap();
    let setting = Setting::of(repo);
    let found = Repository::discover(&setting.repo.folder().join("sub")).unwrap();
    assert_eq!(found.folder(), setting.repo.folder().canonicalize().unwrap());

    let linked = Repository::discover(&worktree).unwrap();
    let snapshot = linked.snapshot_working_tree(&setting.objects).unwrap();
    assert_eq!((snapshot.r#ref.as_str(), snapshot.dirty), ("refs/heads/other", true));
    assert_eq!(setting.paths(&snapshot), ["b", "sub/a"]);
    let checkout = linked.checkout(&snapshot, &setting.objects, &setting.checkouts, None).unwrap();
    assert_eq!(show(&checkout.folder), "b: 2\nsub/a: 1");
    assert_eq!(git_in_checkout(&checkout, &["status", "--short"]), "?? b");

    let bare = Repository::discover(&bare).unwrap();
    let snapshot = bare.snapshot_working_tree(&setting.objects).unwrap();
    assert_eq!(snapshot, setting.source.snapshot_head().unwrap());
    let checkout = bare.checkout(&snapshot, &setting.objects, &setting.checkouts, None).unwrap();
    assert_eq!(show(&checkout.folder), "sub/a: 1");

    let error = Repository::discover(&setting.repo.beside("")).unwrap_err();
    assert!(matches!(error, SourceError::NotARepository(_)), "{error}");
}

#[test]
fn unusual_names_links_and_modes_survive() {
    let repo = Repo::new()
        .file("with space/ünïcode 名前.txt", "1")
        .file("-dash", "2")
        .file("quote\"'\\", "3")
        .executable("run.sh", "#!/bin/sh")
        .link("outside", "/etc/passwd")
        .link("up", "../../../x")
        .link("dangling", "nowhere")
        .commit("first");
    let checkout = Setting::of(repo);
    insta::assert_snapshot!(checkout.tree(), @r#"
    -dash: 2
    dangling -> nowhere
    outside -> /etc/passwd
    quote"'\: 3
    run.sh*: #!/bin/sh
    up -> ../../../x
    with space/ünïcode 名前.txt: 1
    "#);
}

#[test]
fn a_path_that_is_not_utf_8_is_checked_out_and_listed_with_marks() {
    use std::os::unix::ffi::OsStrExt as _;

    let repo = Repo::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xE9");
    fs::write(repo.folder().join(name), "1").unwrap();
    let setting = Setting::of(repo.commit("first"));
    let snapshot = setting.snapshot();
    let folder = setting.try_checkout(&snapshot).unwrap().folder;
    assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "1");
    assert_eq!(setting.paths(&snapshot), ["caf\u{FFFD}"]);
}

#[test]
fn a_link_never_leads_a_file_out_of_the_checkout() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first"));
    let outside = setting.repo.beside("outside");
    fs::create_dir(&outside).unwrap();
    // Git itself never makes such a tree: the name `x` twice, a link and a folder.
    let blob = |text: &str| {
        setting.repo.write("blob", text);
        setting.repo.git(&["hash-object", "-w", "blob"])
    };
    let (link, file) = (blob(outside.to_str().unwrap()), blob("evil"));
    let raw = |entries: &[(&str, &str, &str)]| {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend(format!("{mode} {name}\0").into_bytes());
            let pairs = id.as_bytes().chunks(2);
            bytes.extend(
                pairs.map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap()),
            );
        }
        setting.repo.write("tree", bytes);
        setting.repo.git(&["hash-object", "-w", "--literally", "-t", "tree", "tree"])
    };
    let below = raw(&[("100644", "evil", &file)]);
    let up = raw(&[("40000", "..", &below)]);
    let twice = raw(&[("120000", "x", &link), ("40000", "x", &below)]);
    let git = raw(&[("40000", ".GIT", &below)]);
    for tree in [up, twice, git] {
        let snapshot = Snapshot { tree, ..setting.snapshot() };
        setting.try_checkout(&snapshot).unwrap_err();
    }
    assert_eq!(show(&outside), "");
}

#[test]
fn git_works_in_a_checkout() {
    let repo = Repo::new()
        .file("a", "1")
        .file("b/c", "2")
        .link("l", "a")
        .executable("run", "3")
        .commit("first")
        .tag("v1.0")
        .file("a", "11")
        .commit("second");
    let setting = Setting::of(repo);
    let clean = setting.try_checkout(&setting.snapshot()).unwrap();
    assert_eq!(git_in_checkout(&clean, &["status", "--porcelain"]), "");
    assert_eq!(git_in_checkout(&clean, &["log", "--format=%s"]), "second\nfirst");
    assert!(git_in_checkout(&clean, &["describe"]).starts_with("v1.0-1-g"));
    assert_eq!(git_in_checkout(&clean, &["diff", "--stat", "main"]), "");
    assert_eq!(git_in_checkout(&clean, &["fsck", "--strict"]), "");
    // The index tells git that nothing has changed, so it need not read the files.
    assert_eq!(git_in_checkout(&clean, &["ls-files", "-s"]), setting.repo.git(&["ls-files", "-s"]));

    setting.repo.write("a", "dirty");
    setting.repo.write("new", "new");
    fs::remove_file(setting.repo.folder().join("run")).unwrap();
    let dirty = setting.try_checkout(&setting.snapshot()).unwrap();
    assert_eq!(git_in_checkout(&dirty, &["status", "--porcelain"]), " M a\n D run\n?? new");
    git_in_checkout(&dirty, &["commit", "-q", "-a", "-m", "in the container"]);
    assert_eq!(
        git_in_checkout(&dirty, &["show", "--format=%s", "--name-only"]),
        "in the container\n\na\nrun"
    );
}

#[test]
fn git_sees_from_the_index_alone_that_a_file_is_unchanged() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first"));
    let checkout = setting.try_checkout(&setting.snapshot()).unwrap();
    let index = git_in(&checkout.folder, &["ls-files", "--debug"]);
    let stat = fs::metadata(checkout.folder.join("a")).unwrap();
    assert!(index.contains(&format!("ino: {}", stat.ino())), "{index}");
    let time = format!("mtime: {}:{}", stat.mtime(), stat.mtime_nsec());
    assert!(index.contains(&time), "{index}");
    assert_eq!(git_in(&checkout.folder, &["config", "core.trustctime"]), "false");
}

#[test]
fn a_checkout_is_made_once_and_all_of_it_at_one_time() {
    let setting = Setting::of(Repo::new().file("sub/a", "1").commit("first"));
    let snapshot = setting.snapshot();
    let first = setting.try_checkout(&snapshot).unwrap();
    let inode = fs::metadata(&first.folder).unwrap().ino();
    let second = setting.try_checkout(&snapshot).unwrap();
    assert_eq!(first, second);
    assert_eq!(fs::metadata(&second.folder).unwrap().ino(), inode);
    let time = fs::metadata(first.folder.join("sub/a")).unwrap().mtime();
    for path in ["", "sub", "sub/a", ".git", ".git/HEAD", ".git/index"] {
        let metadata = fs::metadata(first.folder.join(path)).unwrap();
        // The index is younger than the files, or git would read them all to see what has changed.
        assert_eq!(metadata.mtime(), time + i64::from(path == ".git/index"), "{path}");
        let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
        assert_eq!(metadata.mode() & 0o7777, mode, "{path}");
    }
}

#[test]
fn a_checkout_belongs_to_its_owner_or_is_open_to_everybody() {
    let setting = Setting::of(Repo::new().executable("a", "1").link("l", "a").commit("first"));
    let snapshot = setting.snapshot();
    let owner = Some((12_345, 54_321));
    let checkout =
        setting.source.checkout(&snapshot, &setting.objects, &setting.checkouts, owner).unwrap();
    assert_ne!(checkout.folder, setting.try_checkout(&snapshot).unwrap().folder);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for path in ["", "a", "l", ".git", ".git/index"] {
        let metadata = fs::symlink_metadata(checkout.folder.join(path)).unwrap();
        if is_root {
            assert_eq!((metadata.uid(), metadata.gid()), (12_345, 54_321), "{path}");
        } else if path != "l" {
            assert_eq!(metadata.mode() & 0o666, 0o666, "{path}");
        }
    }
}

#[test]
fn many_at_once_get_the_same_complete_checkout() {
    let setting = Setting::of(Repo::new().commit_of_many_files(300));
    let snapshot = setting.source.snapshot_head().unwrap();
    let left_over = setting.checkouts.join(format!(
        ".{}-{}.part/folder-1",
        snapshot.tree,
        &snapshot.commit[..12]
    ));
    fs::create_dir_all(&left_over).unwrap();
    fs::write(left_over.join("half"), "of a process that was killed").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let checkout = setting.try_checkout(&snapshot).unwrap();
                assert_eq!(show(&checkout.folder).lines().count(), 300);
            });
        }
    });
    let names: Vec<_> =
        fs::read_dir(&setting.checkouts).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "the checkout, locks and the record of uses: {names:?}");
}

#[test]
fn a_failed_checkout_leaves_none() {
    let setting = Setting::of(Repo::new().file("a", "1").file("b", "2").commit("first"));
    let snapshot = setting.snapshot();
    let blob = setting.repo.git(&["rev-parse", "HEAD:b"]);
    let path = setting.repo.folder().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    let object = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = setting.try_checkout(&snapshot).unwrap_err();
    assert!(error.to_string().contains("`b`"), "{error}");
    fs::write(&path, object).unwrap();
    let checkout = setting.try_checkout(&snapshot).unwrap();
    assert_eq!(show(&checkout.folder), "a: 1\nb: 2");
}

#[test]
fn submodules_are_checked_out_with_their_own_submodules() {
    let inner = Repo::new().file("inner.txt", "inner").commit("inner");
    let middle = Repo::new().file("middle.txt", "middle").submodule("in ner", &inner).commit("m");
    let outer = Repo::new().file("a", "1").submodule("libs/middle", &middle).commit("outer");
    outer.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "update",
        "--init",
        "--recursive",
    ]);
    let setting = Setting::of(outer);
    let snapshot = setting.snapshot();
    assert!(!snapshot.dirty);
    assert_eq!(
        setting.paths(&snapshot),
        [
            ".gitmodules",
            "a",
            "libs/middle/.gitmodules",
            "libs/middle/in ner/inner.txt",
            "libs/middle/middle.txt"
        ]
    );
    let checkout = setting.try_checkout(&snapshot).unwrap();
    assert_eq!(
        fs::read_to_string(checkout.folder.join("libs/middle/in ner/inner.txt")).unwrap(),
        "inner"
    );
    assert_eq!(git_in_checkout(&checkout, &["status", "--porcelain"]), "");

    // Uncommitted work in a submodule counts too, and does not touch it.
    let folder = setting.repo.folder().join("libs/middle");
    let before = contents_of_git(setting.repo.folder());
    fs::write(folder.join("in ner/inner.txt"), "dirty").unwrap();
    fs::write(folder.join("new"), "new").unwrap();
    let dirty = setting.snapshot();
    assert!(dirty.dirty);
    assert_eq!(setting.snapshot(), dirty);
    let checkout = setting.try_checkout(&dirty).unwrap();
    assert_eq!(
        fs::read_to_string(checkout.folder.join("libs/middle/in ner/inner.txt")).unwrap(),
        "dirty"
    );
    assert_eq!(
        setting.changed("HEAD").unwrap(),
        ["libs/middle", "libs/middle/in ner/inner.txt", "libs/middle/new"]
    );
    assert_eq!(contents_of_git(setting.repo.folder()), before);
}

#[test]
fn a_submodule_that_is_not_cloned_is_an_error_that_says_what_to_do() {
    let inner = Repo::new().file("i", "1").commit("inner");
    let outer = Repo::new().submodule("libs/inner", &inner).commit("outer");
    let clone = outer.beside("clone");
    outer.git(&["clone", "-q", ".", clone.to_str().unwrap()]);
    let source = Repository::discover(&clone).unwrap();
    let (objects, checkouts) = (outer.beside("objects"), outer.beside("checkouts"));
    let snapshot = source.snapshot_working_tree(&objects).unwrap();
    assert!(!snapshot.dirty);
    let error = source.checkout(&snapshot, &objects, &checkouts, None).unwrap_err();
    let commit = inner.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        error.to_string(),
        format!("submodule `libs/inner` is not here at commit `{commit}`")
    );
    assert!(error.help().unwrap().contains("git submodule update --init"));
    let files = source.list_files(&snapshot, &objects).unwrap();
    assert!(files.contains(&("libs/inner".to_owned(), commit)));
}

#[test]
fn a_repository_that_is_no_submodule_is_left_out_or_told_about() {
    let repo = Repo::new().file("a", "1").commit("first");
    let nested = repo.folder().join("nested");
    fs::create_dir(&nested).unwrap();
    git_in(&nested, &["init", "-q", "-b", "main"]);
    fs::write(nested.join("x"), "x").unwrap();
    git_in(&nested, &["add", "x"]);
    git_in(&nested, &["commit", "-q", "-m", "nested"]);
    let setting = Setting::of(repo);
    assert!(!setting.snapshot().dirty);
    setting.repo.git(&["-c", "advice.addEmbeddedRepo=false", "add", "nested"]);
    setting.repo.git(&["commit", "-q", "-m", "by mistake"]);
    fs::remove_dir_all(&nested).unwrap();
    let checkout = setting.try_checkout(&setting.snapshot()).unwrap();
    assert_eq!(show(&checkout.folder), "a: 1\nnested/");
    assert_eq!(checkout.warnings.len(), 1);
    assert!(checkout.warnings[0].contains("`nested` is empty"), "{:?}", checkout.warnings);
}

#[test]
fn large_file_pointers_are_told() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let repo = Repo::new().file("a.bin", pointer).file("b/b.bin", pointer).file("c", "1");
    let setting = Setting::of(repo.commit("first"));
    let expected = "Git LFS pointers in place of their content: `a.bin`, `b/b.bin`";
    for _ in 0..2 {
        let checkout = setting.try_checkout(&setting.snapshot()).unwrap();
        assert_eq!(checkout.warnings, [expected]);
    }
}

#[test]
fn line_endings_follow_the_attributes() {
    let repo = Repo::new().file(".gitattributes", "* text=auto\n").file("a", "1\n").commit("first");
    repo.write("a", "1\r\n");
    let setting = Setting::of(repo);
    assert!(!setting.snapshot().dirty, "git would commit the same");
}

#[test]
fn files_outside_of_a_sparse_checkout_are_not_deleted() {
    let repo = Repo::new().file("in/a", "1").file("out/b", "2").commit("first");
    repo.git(&["sparse-checkout", "set", "--no-sparse-index", "in"]);
    assert!(!repo.folder().join("out/b").exists());
    let setting = Setting::of(repo);
    assert!(!setting.snapshot().dirty);
}

#[test]
fn an_unmerged_file_is_taken_from_the_disk() {
    let repo = Repo::new().file("a", "base\n").commit("first").branch("topic");
    let repo = repo.file("a", "topic\n").commit("topic");
    repo.git(&["switch", "-q", "main"]);
    let repo = repo.file("a", "main\n").commit("main");
    let merge = std::process::Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=b", "merge", "-q", "topic"])
        .current_dir(repo.folder())
        .output()
        .unwrap();
    assert!(!merge.status.success());
    let setting = Setting::of(repo);
    assert!(setting.tree().contains("<<<<<<<"));
    setting.repo.write("a", "solved");
    assert_eq!(setting.tree(), "a: solved");
    fs::remove_file(setting.repo.folder().join("a")).unwrap();
    assert_eq!(setting.tree(), "");
}

#[test]
fn a_repository_of_somebody_else_can_be_read() {
    let repo = Repo::new().file("a", "1").commit("first");
    if std::os::unix::fs::chown(repo.folder(), Some(12_345), None).is_err() {
        return println!("skipped: only root can give a folder away");
    }
    for path in [".git", ".git/HEAD", ".git/objects"] {
        std::os::unix::fs::chown(repo.folder().join(path), Some(12_345), None).unwrap();
    }
    assert_eq!(Setting::of(repo).tree(), "a: 1");
}

#[test]
fn changed_paths_count_from_the_merge_base_and_include_the_working_tree() {
    let repo =
        Repo::new().file("a", "1").file("old name", "long enough to be a rename").commit("1");
    let repo = repo.branch("topic").file("topic", "1").commit("topic");
    repo.git(&["mv", "old name", "new name"]);
    let repo = repo.commit("rename");
    repo.git(&["switch", "-q", "main"]);
    let repo = repo.file("only on main", "1").commit("main");
    repo.git(&["switch", "-q", "topic"]);
    let setting = Setting::of(repo.file("dirty", "1"));
    assert_eq!(setting.changed("main").unwrap(), ["dirty", "new name", "old name", "topic"]);
    assert_eq!(setting.changed("HEAD").unwrap(), ["dirty"]);
    assert_eq!(setting.changed("HEAD~1").unwrap(), ["dirty", "new name", "old name"]);
    assert_eq!(setting.changed("no-such-ref"), None);
    setting.repo.git(&["switch", "-q", "--orphan", "unrelated"]);
    setting.repo.git(&["commit", "-q", "--allow-empty", "-m", "unrelated"]);
    assert_eq!(setting.changed("main"), None);
}

#[test]
fn the_base_of_a_local_run_is_upstream_then_trunk_then_the_commit_before() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first"));
    let base = |setting: &Setting| setting.source.default_base(&setting.snapshot());
    let head = |setting: &Setting| setting.repo.git(&["rev-parse", "HEAD"]);
    assert_eq!(base(&setting), None);
    setting.repo.write("a", "dirty");
    assert_eq!(base(&setting), Some(head(&setting)));

    let setting = Setting { repo: setting.repo.commit("second"), ..setting };
    assert_eq!(base(&setting), Some(format!("{}~1", head(&setting))));

    let setting =
        Setting { repo: setting.repo.branch("topic").file("b", "1").commit("b"), ..setting };
    assert_eq!(base(&setting).as_deref(), Some("refs/heads/main"));

    setting.repo.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    assert_eq!(base(&setting).as_deref(), Some("refs/remotes/origin/main"));

    setting.repo.git(&["remote", "add", "origin", "/nowhere"]);
    setting.repo.git(&["update-ref", "refs/remotes/origin/topic", "topic~1"]);
    setting.repo.git(&["branch", "-q", "--set-upstream-to=origin/topic"]);
    assert_eq!(base(&setting).as_deref(), Some("refs/remotes/origin/topic"));

    // All pushed: what the branch is compared with is the trunk again.
    setting.repo.git(&["update-ref", "refs/remotes/origin/topic", "topic"]);
    assert_eq!(base(&setting).as_deref(), Some("refs/remotes/origin/main"));
}

#[test]
fn digests_follow_paths_contents_and_modes_of_what_matches() {
    let repo = Repo::new().file("src/a.rs", "1").file("src/deep/b.rs", "2").file("c.md", "3");
    let setting = Setting::of(repo.commit("first"));
    let files = || setting.source.list_files(&setting.snapshot(), &setting.objects).unwrap();
    let globs = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let of = |list: &[&str]| digest_of_globs(&files(), &globs(list));

    let rust = of(&["**/*.rs"]);
    assert_eq!(rust, of(&["src/**"]));
    assert_eq!(rust, of(&["./src/deep/b.rs", "src/*.rs"]));
    assert_ne!(rust, of(&["src/*"]), "a star ends at a slash");
    assert_eq!(of(&["nothing/**"]), of(&[]));
    let mut reversed = files();
    reversed.reverse();
    assert_eq!(digest_of_globs(&reversed, &globs(&["**"])), of(&["**"]));

    setting.repo.write("c.md", "changed");
    assert_eq!(rust, of(&["**/*.rs"]));
    let path = setting.repo.folder().join("src/a.rs");
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    assert_ne!(rust, of(&["**/*.rs"]));
}

#[test]
fn unused_checkouts_are_removed_and_others_stay() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first"));
    let mut checkouts = Vec::new();
    for nth in 0..3 {
        setting.repo.write("a", format!("{nth}"));
        let snapshot = setting.snapshot();
        checkouts.push((setting.try_checkout(&snapshot).unwrap().folder, snapshot));
    }
    let keep = [checkouts[1].1.tree.clone()];
    assert_eq!(prune_checkouts(&setting.checkouts, &keep, Timestamp(0)).unwrap(), 0);
    let future = Timestamp(i64::MAX);
    assert_eq!(prune_checkouts(&setting.checkouts, &keep, future).unwrap(), 2);
    let there: Vec<bool> = checkouts.iter().map(|(folder, _)| folder.exists()).collect();
    assert_eq!(there, [false, true, false]);
    let again = setting.try_checkout(&checkouts[0].1).unwrap();
    assert_eq!(show(&again.folder), "a: 0");
    assert_eq!(prune_checkouts(&setting.repo.beside("nothing"), &[], future).unwrap(), 0);
}

#[test]
fn objects_that_no_run_needs_are_removed() {
    let setting = Setting::of(Repo::new().file("a", "1").file("b/c", "2").commit("first"));
    let mut snapshots = Vec::new();
    for nth in 0..3 {
        setting.repo.write("b/d", format!("dirty {nth}"));
        snapshots.push(setting.snapshot());
    }
    let keep = [snapshots[1].tree.clone()];
    let future = Timestamp(i64::MAX);
    assert_eq!(prune_objects(&setting.objects, &keep, Timestamp(0)).unwrap(), 0);
    // Of two snapshots: the file, the folder it is in, and the one above.
    assert_eq!(prune_objects(&setting.objects, &keep, future).unwrap(), 6);
    let kept = setting.try_checkout(&snapshots[1]).unwrap();
    assert_eq!(fs::read_to_string(kept.folder.join("b/d")).unwrap(), "dirty 1");
    assert!(setting.try_checkout(&snapshots[0]).is_err());
    assert_eq!(prune_objects(&setting.repo.beside("nothing"), &[], future).unwrap(), 0);
}

#[test]
fn objects_of_a_shared_clone_are_found_and_mounted() {
    let repo = Repo::new().file("a", "1").commit("first");
    let clone = repo.beside("clone");
    repo.git(&["clone", "-q", "--shared", ".", clone.to_str().unwrap()]);
    let source = Repository::discover(&clone).unwrap();
    let objects = repo.beside("objects");
    let snapshot = source.snapshot_working_tree(&objects).unwrap();
    let checkout = source.checkout(&snapshot, &objects, &repo.beside("checkouts"), None).unwrap();
    assert_eq!(show(&checkout.folder), "a: 1");
    let containers: Vec<&str> = checkout.objects.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(containers, ["/trunkline-git/0", "/trunkline-git/1", "/trunkline-git/2"]);
    assert_eq!(git_in_checkout(&checkout, &["log", "--format=%s"]), "first");
}

#[test]
fn a_shallow_clone_works() {
    let repo = Repo::new().file("a", "1").commit("first").file("a", "2").commit("second");
    let clone = repo.beside("clone");
    let url = format!("file://{}", repo.folder().display());
    repo.git(&["clone", "-q", "--depth=1", &url, clone.to_str().unwrap()]);
    let source = Repository::discover(&clone).unwrap();
    let objects = repo.beside("objects");
    let snapshot = source.snapshot_working_tree(&objects).unwrap();
    let checkout = source.checkout(&snapshot, &objects, &repo.beside("checkouts"), None).unwrap();
    assert_eq!(git_in_checkout(&checkout, &["log", "--format=%s"]), "second");
    assert_eq!(source.default_base(&snapshot), None);
}

#[test]
fn clean_up_beside_checkouts_never_leaves_half_of_one() {
    let setting = Setting::of(Repo::new().file("a", "1").file("b/c", "2").commit("first"));
    let snapshot = setting.snapshot();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                prune_checkouts(&setting.checkouts, &[], Timestamp(i64::MAX)).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    setting.try_checkout(&snapshot).unwrap();
                }
            });
        }
    });
    let checkout = setting.try_checkout(&snapshot).unwrap();
    assert_eq!(show(&checkout.folder), "a: 1\nb/c: 2");
}

#[test]
fn twenty_thousand_files_are_checked_out() {
    let setting = Setting::of(Repo::new().commit_of_many_files(20_000));
    let snapshot = setting.source.snapshot_head().unwrap();
    assert_eq!(setting.paths(&snapshot).len(), 20_000);
    let checkout = setting.try_checkout(&snapshot).unwrap();
    for nth in (0..20_000).step_by(997) {
        let path = checkout.folder.join(format!("folder-{}/{nth}", nth % 200));
        assert_eq!(fs::read_to_string(path).unwrap(), format!("content {nth}"));
    }
    let index = git_in(&checkout.folder, &["ls-files"]);
    assert_eq!(index.lines().count(), 20_000);
}
