//! Files of stages from another repository, with the built binary and bare repositories of real `git`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LIBRARY: &str = "version: 1\nstages:\n  lint: { run: echo one }\n";

/// A repository whose `origin` is a path, and a library beside that.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new(file: &str, library: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for folder in [world.shop(), world.draft(), world.folder.path().join("platform")] {
            fs::create_dir(folder).unwrap();
        }
        git(&world.draft(), &["init", "--quiet", "--initial-branch", "main"]);
        world.publish(file, library);
        git(&world.draft(), &["tag", "--annotate", "--message", "3.2", "v3.2.0"]);
        git(&world.draft(), &["clone", "--quiet", "--bare", ".", "../platform/ci-library.git"]);
        let origin = world.folder.path().join("acme/shop.git");
        git(&world.shop(), &["init", "--quiet", "--initial-branch", "main"]);
        git(&world.shop(), &["remote", "add", "origin", origin.to_str().unwrap()]);
        world
    }

    fn shop(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn draft(&self) -> PathBuf {
        self.folder.path().join("draft")
    }

    fn bare(&self) -> PathBuf {
        self.folder.path().join("platform/ci-library.git")
    }

    /// Commits a file of the library, and pushes it if the bare repository is there.
    fn publish(&self, file: &str, text: &str) {
        fs::write(self.draft().join(file), text).unwrap();
        git(&self.draft(), &["add", "."]);
        git(&self.draft(), &["commit", "--quiet", "--message", "Stages"]);
        if self.bare().exists() {
            git(
                &self.draft(),
                &["push", "--quiet", "--force", "../platform/ci-library.git", "main"],
            );
        }
    }

    fn pipeline(&self, text: &str) -> &Self {
        fs::write(self.shop().join(".trunkline.yml"), text).unwrap();
        git(&self.shop(), &["add", "."]);
        git(&self.shop(), &["commit", "--quiet", "--message", "Pipeline", "--allow-empty"]);
        self
    }

    /// A pipeline that includes `python.yml` with these keys, and nothing else.
    fn including(&self, keys: &str) -> &Self {
        self.pipeline(&format!(
            "version: 1\nname: shop\ndefaults: {{ image: busybox }}\ninclude: [{{ {keys}, file: python.yml }}]\n"
        ))
    }

    /// Exit code, and everything that was said, with the folder of the world taken out.
    fn trunkline(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.args(arguments).current_dir(self.shop()).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("USER", "ada");
        command.env("TRUNKLINE_STATE", self.folder.path().join("state"));
        let output = command.env("TRUNKLINE_EXECUTOR", "host").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        let text = text.replace(&self.folder.path().display().to_string(), "<folder>");
        (output.status.code().unwrap(), text)
    }

    fn says(&self, code: i32, arguments: &[&str]) -> String {
        let (found, text) = self.trunkline(arguments);
        assert_eq!(found, code, "{arguments:?}\n{text}");
        text
    }

    fn lose_the_library(&self) {
        fs::remove_dir_all(self.bare()).unwrap();
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    assert!(git.args(arguments).current_dir(folder).status().unwrap().success(), "{arguments:?}");
}

/// The block of a page of the documentation that begins with this comment.
fn documented(comment: &str) -> String {
    let page = fs::read_to_string("docs/include.md").unwrap();
    let start = page.find(comment).unwrap();
    let (block, _) = page[start..].split_once("```").unwrap();
    block.to_owned()
}

#[test]
fn the_example_of_the_documentation_works_and_goes_on_working_without_the_library() {
    let world = World::new("python.yml", &documented("# python.yml"));
    world.pipeline(&documented("# .trunkline.yml"));
    assert_eq!(world.says(0, &["check"]), "✓ .trunkline.yml: fine, 2 stages\n");
    world.says(0, &["run"]);
    assert_eq!(world.says(0, &["logs", "last", "lint"]), "linting src\n");
    world.lose_the_library();
    assert_eq!(world.says(0, &["check"]), "✓ .trunkline.yml: fine, 2 stages\n");
    world.says(0, &["run"]);
    world.says(0, &["rerun", "1"]);
}

#[test]
fn a_branch_is_a_warning_and_each_run_takes_its_newest_state() {
    let world = World::new("python.yml", LIBRARY);
    world.including("from: platform/ci-library, ref: main");
    let told = world.says(0, &["check"]);
    assert!(told.contains("warning[pipeline/moving-ref]"), "{told}");
    assert!(told.contains("pin what it is now: `sha256: "), "{told}");
    world.publish("python.yml", &LIBRARY.replace("one", "two"));
    world.says(0, &["run"]);
    assert_eq!(world.says(0, &["logs", "last", "lint"]), "two\n");
    world.lose_the_library();
    assert!(world.says(0, &["check"]).contains("✓"), "the known state is enough for a check");
    world.says(0, &["rerun", "1"]);
    assert_eq!(world.says(0, &["logs", "1", "lint"]), "two\n");
    let told = world.says(2, &["run"]);
    assert!(
        told.contains("what was fetched before is only taken when `sha256` says that it is right"),
        "{told}"
    );
}

#[test]
fn a_commit_is_fetched_by_its_id_and_never_again() {
    let world = World::new("python.yml", LIBRARY);
    let mut git = Command::new("git");
    let output = git.args(["rev-parse", "HEAD"]).current_dir(world.draft()).output().unwrap();
    let commit = String::from_utf8(output.stdout).unwrap();
    world.including(&format!("from: platform/ci-library, ref: {}", commit.trim()));
    assert_eq!(world.says(0, &["check"]), "✓ .trunkline.yml: fine, 1 stage\n");
    world.lose_the_library();
    world.says(0, &["run"]);
}

#[test]
fn another_content_than_the_digest_says_is_refused_with_both() {
    let world = World::new("python.yml", LIBRARY);
    let zeros = "0".repeat(64);
    world.including(&format!("from: platform/ci-library, ref: v3.2.0, sha256: \"{zeros}\""));
    insta::assert_snapshot!(world.says(2, &["check"]));
}

#[test]
fn a_new_digest_fetches_a_branch_again() {
    let world = World::new("python.yml", LIBRARY);
    world.including("from: platform/ci-library, ref: main").says(0, &["check"]);
    let text = LIBRARY.replace("one", "two");
    world.publish("python.yml", &text);
    let digest = trunkline::model::Digest::of(text.as_bytes());
    world.including(&format!("from: platform/ci-library, ref: main, sha256: {}", digest.hex()));
    world.says(0, &["check"]);
}

#[test]
fn a_file_of_the_library_includes_others_of_the_same_state() {
    let world = World::new("python.yml", "include: [{ file: parts/lint.yml }]\n");
    fs::create_dir(world.draft().join("parts")).unwrap();
    world.publish("parts/lint.yml", LIBRARY);
    world.including("from: platform/ci-library, ref: main");
    world.says(0, &["run"]);
    assert_eq!(world.says(0, &["logs", "last", "lint"]), "one\n");
}

#[test]
fn what_cannot_be_fetched_says_why() {
    let world = World::new("other.yml", LIBRARY);
    let mut told = Vec::new();
    for keys in [
        "from: platform/ci-library, ref: v9",
        "from: platform/ci-library, ref: v3.2.0",
        "from: \"ext::sh -c true\", ref: v1",
        "from: \"http://git.example/a/b\", ref: v1",
        "from: platform/ci-library, ref: --upload-pack=x",
    ] {
        told.push(world.including(keys).says(2, &["check"]));
    }
    insta::assert_snapshot!(told.join("\n"));
    let told = world.including("from: platform/nothing, ref: v1").says(2, &["check"]);
    assert!(told.contains("fetching `v1` of `<folder>/platform/nothing.git` failed: "), "{told}");
}

#[test]
fn a_path_of_the_machine_is_refused_where_origin_is_elsewhere() {
    let world = World::new("python.yml", LIBRARY);
    let url = "https://git.example/acme/shop.git";
    git(&world.shop(), &["remote", "set-url", "origin", url]);
    let keys = format!("from: {}, ref: main", world.bare().display());
    let told = world.including(&keys).says(2, &["check"]);
    assert!(
        told.contains("is a path of this machine, and `origin` of the repository is not"),
        "{told}"
    );
}
