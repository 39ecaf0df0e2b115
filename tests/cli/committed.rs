//! `--committed`: nothing counts that is not committed, the pipeline least of all.

use crate::World;

const HEAD: &str = "version: 1\nname: demo\non: { push: {} }\ndefaults: { image: x }\n";

fn file(stages: &str) -> String {
    format!("{HEAD}stages:\n  {stages}\n")
}

#[test]
fn the_pipeline_is_that_of_the_commit_and_so_is_what_it_includes() {
    let with_include = "include: [{ file: ci/part.yml }]\n";
    let world =
        World::new(&format!("{HEAD}{with_include}stages:\n  own: {{ run: echo committed }}\n"));
    std::fs::create_dir(world.repository().join("ci")).unwrap();
    let part =
        |word: &str| format!("version: 1\nstages:\n  part: {{ image: x, run: echo {word} }}\n");
    world.write("ci/part.yml", &part("included"));
    world.git(&["add", "."]);
    world.git(&["commit", "--quiet", "--message", "Second"]);

    world.write(".trunkline.yml", &file("own: { run: echo dirty }"));
    world.write("ci/part.yml", &part("dirty"));
    let told = world.says(0, &["run", "--committed"]);
    assert!(told.contains("| committed") && told.contains("| included"), "{told}");
    assert!(!told.contains("dirty"), "{told}");
    assert!(world.says(0, &["graph", "--committed"]).contains("part"));
    assert!(world.says(0, &["run"]).contains("| dirty"));

    std::fs::remove_file(world.repository().join("ci/part.yml")).unwrap();
    std::fs::remove_file(world.repository().join(".trunkline.yml")).unwrap();
    assert!(world.says(0, &["run", "--committed"]).contains("| included"));
}

#[test]
fn what_is_not_committed_is_not_found() {
    let world = World::new(&file("a: { run: 'true' }"));
    std::fs::create_dir(world.repository().join("pipelines")).unwrap();
    world.write("pipelines/new.yml", &file("b: { run: 'true' }").replace("demo", "new"));
    let several = world.complains(2, &["run"]);
    assert!(several.contains("there are several pipelines"), "{several}");
    assert!(world.says(0, &["run", "--committed"]).contains("demo #1"));
    for (wanted, complaint) in [
        (
            "new",
            "error: there is no pipeline `new` in the last commit\nhelp: known are `.trunkline.yml`\n",
        ),
        (
            "pipelines/new.yml",
            "error: the last commit has no file `pipelines/new.yml`\n\
             help: commit it first, or leave `--committed` out\n",
        ),
    ] {
        assert_eq!(world.complains(2, &["run", "--committed", wanted]), complaint);
    }
    world.git(&["rm", "--quiet", "--cached", ".trunkline.yml"]);
    world.git(&["commit", "--quiet", "--message", "None"]);
    let none = world.complains(2, &["run", "--committed"]);
    assert!(none.starts_with("error: the last commit has no pipeline"), "{none}");
}

#[test]
fn a_link_of_the_commit_is_followed_inside_of_it_only() {
    let world = World::new(&file("a: { run: 'true' }"));
    std::fs::create_dir(world.repository().join("ci")).unwrap();
    world.write("ci/real.yml", &file("b: { run: echo linked }").replace("demo", "real"));
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, world.repository().join(name)).unwrap();
    };
    link("../ci/real.yml", "ci/link.yml");
    link("ci/../ci/real.yml", "inside.yml");
    link("../outside.yml", "outside.yml");
    std::fs::write(world.folder.path().join("outside.yml"), file("c: { run: x }")).unwrap();
    world.git(&["add", "."]);
    world.git(&["commit", "--quiet", "--message", "Links"]);
    for name in ["inside.yml", "ci/link.yml"] {
        assert!(world.says(0, &["run", "--committed", name]).contains("| linked"), "{name}");
    }
    assert!(world.complains(2, &["run", "--committed", "outside.yml"]).contains("no file"));
}
