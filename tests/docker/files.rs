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
