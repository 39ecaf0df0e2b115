//! Files: the checked-out revision, artifacts, caches, images.

use std::path::Path;

use crate::bench::Bench;
use crate::docker;

#[test]
fn the_dirty_working_tree_is_what_runs_and_is_left_alone() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new()
        .file("committed.txt", "old\n")
        .file(".gitignore", "ignored\n")
        .file("ignored", "x")
        .file("naïve name.txt", "first\n")
        .stages(
            r"
  s:
    run: |
      cat committed.txt 'naïve name.txt'
      ls ignored || true
      echo changed > committed.txt
",
        );
    bench.git(&["add", "."]);
    bench.git(&["commit", "-qm", "all"]);
    bench.write("committed.txt", "new\n");
    bench.write("naïve name.txt", "unicode and a space\n");
    bench.run(&[]).expect_code(0);
    let log = bench.log("s");
    assert!(log.starts_with("new\nunicode and a space\n"), "{log}");
    assert!(log.contains("ignored: No such file"), "{log}");
    let kept = std::fs::read_to_string(bench.repository().join("committed.txt")).unwrap();
    assert_eq!(kept, "new\n");

    bench.run(&["--committed"]).expect_code(0);
    assert!(bench.log("s").starts_with("old\nfirst\n"), "{}", bench.log("s"));
}

#[test]
fn artifacts_are_handed_on_and_nothing_else_is() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r"
  build:
    run: |
      mkdir -p out/sub
      echo one > 'out/sub/a b.txt'
      ln -s sub/nowhere out/link
      chmod 750 out/sub
      echo secret > not-declared
    artifacts: { paths: [out/] }
  use:
    needs: [build]
    run: |
      cat 'out/sub/a b.txt'
      readlink out/link
      stat -c %a out/sub
      ls not-declared || true
",
    );
    bench.run(&[]).expect_code(0);
    let log = bench.log("use");
    assert!(log.starts_with("one\nsub/nowhere\n750\n"), "{log}");
    assert!(log.contains("not-declared: No such file"), "{log}");

    let folder = bench.state().join("downloaded");
    bench.trunkline(&["artifacts", "last", "--download", folder.to_str().unwrap()]).expect_code(0);
    let mut files = Vec::new();
    find(&folder, &mut files);
    assert!(files.iter().any(|it| it.ends_with("out/sub/a b.txt")), "{files:?}");
}

fn find(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            find(&path, files);
        } else {
            files.push(path.display().to_string());
        }
    }
}

#[test]
fn a_cache_is_kept_between_runs_by_key_with_a_fallback() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().file("lock", "1").stages(
        r#"
  s:
    cache: [{ key: "dep-${{ hash('lock') }}", fallback: dep-, paths: [.cache/dep] }]
    run: |
      cat .cache/dep/file 2>/dev/null || echo nothing yet
      mkdir -p .cache/dep; cp lock .cache/dep/file
"#,
    );
    bench.run(&[]).expect_code(0);
    assert!(bench.log("s").ends_with("nothing yet\n"), "{}", bench.log("s"));
    bench.run(&[]).expect_code(0);
    assert!(bench.log("s").ends_with("\n1"), "{}", bench.log("s"));
    bench.write("lock", "2");
    bench.run(&[]).expect_code(0);
    assert!(bench.log("s").ends_with("\n1"), "from the fallback: {}", bench.log("s"));
}

#[test]
fn an_image_is_built_by_the_engine_and_used_by_the_next_stage() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new()
        .file("app/Dockerfile", "FROM busybox:stable\nCOPY hello.txt /hello.txt\nUSER 1000\n")
        .file("app/hello.txt", "built in\n")
        .stages(
            r"
  image: { uses: builtin/image, with: { context: app }, outputs: [digest] }
  use:
    needs: [image]
    image: ${{ needs.image.outputs.reference }}
    env: { DIGEST: '${{ needs.image.outputs.digest }}' }
    run: [cat /hello.txt, id -u, 'echo $DIGEST | cut -c 1-7']
",
        );
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.log("use"), "built in\n1000\nsha256:\n");
}

#[test]
fn a_dockerfile_that_fails_shows_where() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new()
        .file("Dockerfile", "FROM busybox:stable\nRUN echo about to fail && exit 3\n")
        .stages("  image: { uses: builtin/image, with: { context: . } }\n");
    bench.run(&[]).expect_code(1);
    let story = bench.story();
    assert!(story.starts_with("image: failed, user: ") && story.contains("exit 3"), "{story}");
    assert!(bench.log("image").contains("about to fail"), "{}", bench.log("image"));
}

#[test]
fn submodules_symlinks_and_git_are_there() {
    if !docker::is_here() {
        return;
    }
    let library = Bench::new().file("lib.txt", "from the submodule\n");
    library.git(&["add", "."]);
    library.git(&["commit", "-qm", "library"]);
    let bench = Bench::new().stages(
        r"
  s:
    run: |
      cat vendor/library/lib.txt link
      readlink link
      cat .git/HEAD
",
    );
    let address = library.repository();
    let address = address.to_str().unwrap();
    let allow = "protocol.file.allow=always";
    bench.git(&["-c", allow, "submodule", "-q", "add", address, "vendor/library"]);
    std::os::unix::fs::symlink(".gitmodules", bench.repository().join("link")).unwrap();
    bench.git(&["add", "."]);
    bench.git(&["commit", "-qm", "with a submodule"]);
    bench.run(&[]).expect_code(0);
    let log = bench.log("s");
    let start = "from the submodule\n[submodule \"vendor/library\"]";
    assert!(log.starts_with(start), "{log}");
    assert!(log.contains("\n.gitmodules\n"), "{log}");
}

#[test]
fn an_artifact_that_was_not_made_fails_its_stage_and_a_glob_only_warns() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r#"
  literal:
    run: mkdir -p dist/css; touch dist/main.js dist/css/a
    artifacts: [dist/app.js, "logs/*.log"]
  glob:
    run: echo fine
    artifacts: { paths: ["dist/*.js"], reports: { junit: "out/*.xml" } }
  failed:
    run: mkdir -p out; touch out/kept; exit 3
    artifacts: [out/, missing.txt]
  report:
    run: "true"
    artifacts: { reports: { junit: out/junit.xml } }
"#,
    );
    bench.run(&["--jobs", "2"]).expect_code(1);
    insta::assert_snapshot!(bench.story(), @r"
    literal: failed, user: the artifact `dist/app.js` is not there after the last step
    help: `dist` has `main.js`, `css/`; correct the path under `artifacts`, or let a step make the file
    glob: passed
    failed: failed, user: step `mkdir -p out; touch out/kept; exit 3` exited with 3
    report: failed, user: the JUnit report `out/junit.xml` is not there after the last step
    help: the workspace has `.git/`, `.trunkline.yml`; correct the path under `artifacts`, or let a step make the file
    ");
    let log = bench.log("glob");
    let warnings = "fine\nwarning: no file matches the JUnit report `out/*.xml`\n\
                    warning: no file matches the artifact `dist/*.js`\n";
    assert!(log.ends_with(warnings), "{log}");
    let shown = bench.trunkline(&["show", "last"]).expect_code(0).stdout;
    assert!(shown.contains("glob: no file matches the artifact `dist/*.js`"), "{shown}");
    let kept = bench.trunkline(&["artifacts", "last", "failed"]).expect_code(0).stdout;
    assert!(kept.contains("out/"), "{kept}");
}

#[test]
fn a_link_out_of_the_workspace_is_the_makers_mistake() {
    if !docker::is_here() {
        return;
    }
    for target in ["../../../../etc/shadow", "/etc/shadow"] {
        let bench = Bench::new().stages(&format!(
            r"
  make:
    run: ln -s {target} stolen
    artifacts: [stolen]
  use: {{ needs: [make], run: cat stolen }}
"
        ));
        bench.run(&[]).expect_code(1);
        let story = bench.story();
        let wanted =
            format!("make: failed, user: the artifact `stolen` links to `{target}`, outside");
        assert!(story.starts_with(&wanted) && story.contains("use: skipped"), "{story}");
    }
}

#[test]
fn what_cannot_be_handed_on_is_left_out_with_a_warning() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r#"
  make:
    run: |
      mkdir -p a/out
      cd a/out
      echo one > first
      ln first same
      ln -s first near
      ln -s /workspace/a/out/first whole
      ln -s ../../../etc/shadow up
      mkfifo pipe
      mknod disk b 1 1 2>/dev/null || true
    artifacts: [a/out, "a/out/s*"]
  use:
    needs: [make]
    run: |
      ls a/out
      cat a/out/same a/out/near a/out/whole
"#,
    );
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.log("use"), "first\nnear\nsame\nwhole\none\none\none\n");
    let log = bench.log("make");
    let up =
        "warning: `a/out/up` of artifact `a/out` is left out: it links to `../../../etc/shadow`";
    assert!(log.contains(up), "{log}");
    let pipe = "warning: `a/out/pipe` of artifact `a/out` is left out: it is a FIFO or socket";
    assert!(log.contains(pipe), "{log}");
}

#[test]
fn artifacts_are_not_unpacked_through_a_link() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().stages(
        r#"
  make:
    run: |
      rm out; mkdir out; echo x > out/passwd
    artifacts: ["out/*"]
  use:
    needs: [make]
    run: |
      cat out/passwd
      test ! -L out
      ! grep -qs '^x$' /etc/passwd
"#,
    );
    std::os::unix::fs::symlink("/etc", bench.repository().join("out")).unwrap();
    bench.git(&["add", "."]);
    bench.git(&["commit", "-qm", "a link"]);
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.log("use"), "x\n");
}

#[test]
fn gc_removes_what_ended_and_removed_runs_have_left() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new().file("Dockerfile", "FROM busybox:stable\nRUN true\n").stages(
        r"
  image: { uses: builtin/image, with: { context: . } }
",
    );
    bench.run(&[]).expect_code(0);
    assert_eq!(docker::images_of(&bench.instance()).len(), 1);
    let again = bench.trunkline(&["gc", "--json"]).expect_code(0).stdout;
    assert!(again.contains(r#""images":1"#), "{again}");
    assert!(docker::images_of(&bench.instance()).is_empty());

    let bench = Bench::new().file("new", "never committed").stages("  s: { run: exit 1 }\n");
    bench.run(&["--keep"]).expect_code(1);
    assert!(!docker::things_of(&bench.instance()).is_empty());
    bench.trunkline(&["gc"]).expect_code(0);
    assert!(!docker::things_of(&bench.instance()).is_empty(), "kept for a person");
    let objects = bench.state().join("objects/objects");
    let mut files = Vec::new();
    find(&objects, &mut files);
    assert!(!files.is_empty());
    for file in files {
        let long_ago = std::time::UNIX_EPOCH;
        std::fs::File::open(file).unwrap().set_modified(long_ago).unwrap();
    }
    let probe = bench.state().join("overlay-probe-4000000");
    std::fs::create_dir_all(&probe).unwrap();
    bench.trunkline(&["gc", "--runs-older-than", "0"]).expect_code(0);
    assert_eq!(docker::things_of(&bench.instance()), [] as [&str; 0]);
    let mut left = Vec::new();
    find(&objects, &mut left);
    assert_eq!(left, [] as [&str; 0]);
    assert!(!probe.exists());
}
