//! Checkouts that share files with the one before.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;
use trunkline::model::Timestamp;
use trunkline::source::prune_checkouts;

use super::repository::{Repo, git_in};
use super::{Setting, git_in_checkout, show};

/// Names that are files, folders and links in turn.
const NAMES: [&str; 5] = ["a", "sub", "sub/b", "sub/deep/ü ✓", "c"];

/// A change of a working tree.
#[derive(Debug, Clone)]
enum Edit {
    Write(&'static str, String),
    Execute(&'static str),
    Link(&'static str, &'static str),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    Commit,
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || prop::sample::select(&NAMES[..]);
    prop_oneof![
        4 => (name(), "[01]?\\PC{0,3}").prop_map(|(name, text)| Edit::Write(name, text)),
        1 => name().prop_map(Edit::Execute),
        1 => (name(), name()).prop_map(|(name, target)| Edit::Link(name, target)),
        1 => (name(), name()).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => name().prop_map(Edit::Remove),
        1 => Just(Edit::Commit),
    ]
}

/// Does it as far as it can be done.
fn carry_out(edit: &Edit, repo: &Repo) {
    let at = |name: &str| repo.folder().join(name);
    match edit {
        Edit::Write(name, text) => {
            make_room(&at(name), repo.folder());
            fs::write(at(name), text).unwrap();
        }
        Edit::Execute(name) => {
            make_room(&at(name), repo.folder());
            fs::write(at(name), "run").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(at(name), mode).unwrap();
        }
        Edit::Link(name, target) => {
            make_room(&at(name), repo.folder());
            symlink(target, at(name)).unwrap();
        }
        Edit::Rename(from, to) => drop(fs::rename(at(from), at(to))),
        Edit::Remove(name) => remove(&at(name)),
        Edit::Commit => {
            repo.git(&["add", "--all"]);
            repo.git(&["commit", "-q", "--allow-empty", "-m", "next"]);
        }
    }
}

fn remove(path: &Path) {
    if path.symlink_metadata().is_ok_and(|it| it.is_dir()) {
        fs::remove_dir_all(path).unwrap();
    } else {
        drop(fs::remove_file(path));
    }
}

/// Removes what is at `path`, and files and links on the way to it.
fn make_room(path: &Path, root: &Path) {
    let parents = path.ancestors().skip(1).take_while(|it| *it != root);
    for parent in parents.collect::<Vec<_>>().into_iter().rev() {
        if parent.symlink_metadata().is_ok_and(|it| !it.is_dir()) {
            fs::remove_file(parent).unwrap();
        }
    }
    remove(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_checkout_that_shares_files_is_as_one_that_does_not(
        edits in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..6)
    ) {
        let setting = Setting::of(Repo::new().file("same", "1").commit("first"));
        setting.tree();
        for (nth, edits) in edits.iter().enumerate() {
            for edit in edits {
                carry_out(edit, &setting.repo);
            }
            let snapshot = setting.snapshot();
            let shared = setting.try_checkout(&snapshot).unwrap();
            let alone = setting.repo.beside(&format!("alone-{nth}"));
            let alone =
                setting.source.checkout(&snapshot, &setting.objects, &alone, None).unwrap();
            prop_assert_eq!(show(&shared.folder), show(&alone.folder));
            let status = ["status", "--porcelain"];
            prop_assert_eq!(git_in_checkout(&shared, &status), git_in_checkout(&alone, &status));
        }
    }
}

#[test]
fn only_what_has_changed_is_written() {
    let repo = Repo::new().file("same", "1").file("sub/same", "2").executable("changed", "3");
    let setting = Setting::of(repo.commit("first"));
    let first = setting.try_checkout(&setting.snapshot()).unwrap().folder;
    setting.repo.write("changed", "4");
    let second = setting.try_checkout(&setting.snapshot()).unwrap().folder;
    let inode = |folder: &Path, file: &str| fs::metadata(folder.join(file)).unwrap().ino();
    for (file, is_shared) in [("same", true), ("sub/same", true), ("changed", false)] {
        assert_eq!(inode(&first, file) == inode(&second, file), is_shared, "{file}");
    }
    assert_eq!(show(&first), "changed*: 3\nsame: 1\nsub/same: 2");
    assert_eq!(show(&second), "changed*: 4\nsame: 1\nsub/same: 2");
    assert_eq!(git_in(&first, &["diff-files", "--name-only"]), "", "as the times of change differ");
}

#[test]
fn an_unchanged_file_keeps_its_time_and_a_changed_one_is_new() {
    let setting = Setting::of(Repo::new().file("same", "1").file("turns", "1").commit("first"));
    let first = setting.try_checkout(&setting.snapshot()).unwrap().folder;
    for file in ["same", "turns"] {
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        fs::File::open(first.join(file)).unwrap().set_modified(long_ago).unwrap();
    }
    setting.repo.write("turns", "2");
    setting.try_checkout(&setting.snapshot()).unwrap();
    // Back to what the first one has: outputs that were built from the second are younger than that.
    setting.repo.write("turns", "1");
    setting.repo.write("new", "1");
    let third = setting.try_checkout(&setting.snapshot()).unwrap().folder;
    let time = |file: &str| fs::metadata(third.join(file)).unwrap().mtime();
    assert_eq!(time("same"), 1_000_000_000);
    assert!(time("turns") > 1_000_000_000);
}

/// A `make` that keeps its outputs beside the checkouts, as a cache does.
fn make(checkout: &Path, outputs: &Path) -> String {
    let rule = format!("{0}/%: %\n\tcat $< > $@\n", outputs.display());
    let rules = format!("all: {0}/a {0}/b\n{rule}", outputs.display());
    fs::write(outputs.join("rules"), rules).unwrap();
    let rules = outputs.join("rules");
    let made = std::process::Command::new("make")
        .args(["-C".as_ref(), checkout.as_os_str(), "-f".as_ref(), rules.as_os_str()])
        .arg("--no-builtin-rules")
        .output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| fs::read_to_string(outputs.join(name)).unwrap();
    let runs = String::from_utf8_lossy(&made.stdout).matches("cat ").count();
    format!("a: {}, b: {}, built {runs}", read("a"), read("b"))
}

#[test]
fn a_build_tool_sees_what_has_changed_since_the_last_use_and_only_that() {
    if std::process::Command::new("make").arg("--version").output().is_err() {
        eprintln!("SKIPPED: make is not here");
        return;
    }
    let setting = Setting::of(Repo::new().file("a", "1").file("b", "1").commit("first"));
    let outputs = setting.repo.beside("outputs");
    fs::create_dir(&outputs).unwrap();
    let build = |setting: &Setting| {
        make(&setting.try_checkout(&setting.snapshot()).unwrap().folder, &outputs)
    };
    assert_eq!(build(&setting), "a: 1, b: 1, built 2");
    setting.repo.write("b", "2");
    assert_eq!(build(&setting), "a: 1, b: 2, built 1");
    // The tree before: what its checkout has of `b` is older than the output of the other one.
    setting.repo.write("b", "1");
    assert_eq!(build(&setting), "a: 1, b: 1, built 1");
    assert_eq!(build(&setting), "a: 1, b: 1, built 0", "it is the one that was used last");
    setting.repo.write("b", "2");
    assert_eq!(build(&setting), "a: 1, b: 2, built 1");
}

#[test]
fn an_old_checkout_is_neither_changed_nor_used_again() {
    let setting = Setting::of(Repo::new().file("a", "1").file("same", "1").commit("first"));
    let inode = |folder: &Path, file: &str| fs::metadata(folder.join(file)).unwrap().ino();
    let checkout = || setting.try_checkout(&setting.snapshot()).unwrap().folder;
    let first = checkout();
    let before = fs::metadata(first.join("a")).unwrap().modified().unwrap();
    setting.repo.write("a", "2");
    let second = checkout();
    setting.repo.write("a", "1");
    let third = checkout();
    assert_ne!(first, third);
    assert_eq!(checkout(), third);
    assert_eq!(fs::metadata(first.join("a")).unwrap().modified().unwrap(), before);
    assert!(fs::metadata(third.join("a")).unwrap().modified().unwrap() > before);
    for folder in [&second, &third] {
        assert_eq!(inode(folder, "same"), inode(&first, "same"));
    }
    assert_eq!(git_in(&third, &["diff-files", "--name-only"]), "");
}

#[test]
fn another_owner_sees_the_same_times() {
    let setting = Setting::of(Repo::new().file("same", "1").file("turns", "1").commit("first"));
    let owner = Some((12_345, 54_321));
    let checkout = |owner| {
        let snapshot = setting.snapshot();
        let made = setting.source.checkout(&snapshot, &setting.objects, &setting.checkouts, owner);
        made.unwrap().folder
    };
    let time =
        |folder: &Path, file: &str| fs::metadata(folder.join(file)).unwrap().modified().unwrap();
    let (ours, theirs) = (checkout(None), checkout(owner));
    assert_eq!(time(&ours, "same"), time(&theirs, "same"));
    setting.repo.write("turns", "2");
    checkout(None);
    setting.repo.write("turns", "1");
    // They have not seen the tree between; what was built from it may reach them all the same.
    let back = checkout(owner);
    assert_eq!(time(&back, "same"), time(&theirs, "same"));
    assert!(time(&back, "turns") > time(&theirs, "turns"));
    assert_eq!(checkout(owner), back);
}

#[test]
fn nothing_is_shared_between_owners_or_with_a_file_that_was_touched() {
    let setting = Setting::of(Repo::new().file("a", "1").file("b", "2").commit("first"));
    let first = setting.try_checkout(&setting.snapshot()).unwrap().folder;
    fs::write(first.join("a"), "").unwrap();
    setting.repo.write("c", "3");
    assert_eq!(setting.tree(), "a: 1\nb: 2\nc: 3", "an empty file is one that was never stored");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(first.join("b"), mode).unwrap();
    let owner = Some((12_345, 54_321));
    let snapshot = setting.snapshot();
    let other = setting.source.checkout(&snapshot, &setting.objects, &setting.checkouts, owner);
    let b = fs::metadata(other.unwrap().folder.join("b")).unwrap();
    assert_eq!((b.nlink(), b.mode() & 0o044), (1, 0o044));
}

#[test]
fn pointers_of_large_files_are_told_when_they_are_shared() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let setting = Setting::of(Repo::new().file("a.bin", pointer).commit("first"));
    setting.try_checkout(&setting.snapshot()).unwrap();
    setting.repo.write("other", "1");
    let second = setting.try_checkout(&setting.snapshot()).unwrap();
    assert_eq!(second.warnings, ["Git LFS pointers in place of their content: `a.bin`"]);
    assert_eq!(fs::metadata(second.folder.join("a.bin")).unwrap().nlink(), 2);
}

#[test]
fn a_shared_file_outlives_the_checkout_that_it_was_written_for() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first"));
    let first = setting.try_checkout(&setting.snapshot()).unwrap().folder;
    setting.repo.write("b", "2");
    let snapshot = setting.snapshot();
    let second = setting.try_checkout(&snapshot).unwrap().folder;
    let keep = [snapshot.tree];
    assert_eq!(prune_checkouts(&setting.checkouts, &keep, Timestamp(i64::MAX)).unwrap(), 1);
    assert!(!first.exists());
    assert_eq!(show(&second), "a: 1\nb: 2");
}

#[test]
fn clean_up_may_take_the_earlier_checkout_away_at_any_time() {
    let setting = Setting::of(Repo::new().commit_of_many_files(300));
    setting.repo.git(&["reset", "-q", "--hard"]);
    std::thread::scope(|scope| {
        let cleaner = scope.spawn(|| {
            for _ in 0..100 {
                prune_checkouts(&setting.checkouts, &[], Timestamp(i64::MAX)).unwrap();
            }
        });
        for nth in 0.. {
            setting.repo.write("nth", format!("{nth}"));
            let snapshot = setting.snapshot();
            setting.try_checkout(&snapshot).unwrap();
            if cleaner.is_finished() {
                break;
            }
        }
    });
    assert_eq!(setting.tree().lines().count(), 301);
}
