use super::*;

fn taken(pattern: &str, paths: &[&str]) -> Vec<String> {
    let pattern = Pattern::parse(pattern).unwrap();
    let is_taken =
        |path: &&&str| pattern.takes(Path::new(path.trim_end_matches('/')), path.ends_with('/'));
    paths.iter().filter(is_taken).map(|it| (*it).to_owned()).collect()
}

const PATHS: &[&str] =
    &["a.xml", "out/", "out/a.xml", "out/b.txt", "out/deep/", "out/deep/c.xml", "other/d.xml"];

#[test]
fn a_folder_means_all_below_it() {
    assert_eq!(
        taken("out/", PATHS),
        ["out/", "out/a.xml", "out/b.txt", "out/deep/", "out/deep/c.xml"]
    );
    assert_eq!(taken("./out/a.xml", PATHS), ["out/a.xml"]);
}

#[test]
fn a_star_stays_in_its_folder_and_two_stars_do_not() {
    assert_eq!(taken("out/*.xml", PATHS), ["out/a.xml"]);
    assert_eq!(taken("**/*.xml", PATHS), ["a.xml", "out/a.xml", "out/deep/c.xml", "other/d.xml"]);
    assert_eq!(taken("out/**", PATHS), ["out/a.xml", "out/b.txt", "out/deep/c.xml"]);
}

#[test]
fn a_glob_that_names_folders_means_all_below_them() {
    assert_eq!(taken("out/d*", PATHS), ["out/deep/", "out/deep/c.xml"]);
}

#[test]
fn the_workspace_itself_is_never_meant() {
    for pattern in ["*", "**", ".", "out"] {
        assert!(!Pattern::parse(pattern).unwrap().takes(Path::new(""), true), "{pattern}");
    }
    assert_eq!(taken("*", PATHS).len(), PATHS.len());
}

#[test]
fn a_dot_is_everything() {
    assert_eq!(taken(".", PATHS).len(), PATHS.len());
}

#[test]
fn a_pattern_that_climbs_out_is_refused() {
    insta::assert_snapshot!(
        Pattern::parse("out/../../etc").unwrap_err(),
        @"`out/../../etc` is not a path or glob of a workspace: `..` leads out of it"
    );
}

#[test]
fn the_prefix_has_no_wildcard() {
    assert_eq!(Pattern::parse("a/b/*.x").unwrap().prefix(), Path::new("a/b"));
    assert_eq!(Pattern::parse("a/b").unwrap().prefix(), Path::new("a/b"));
    assert_eq!(Pattern::parse("*.x").unwrap().prefix(), Path::new(""));
}
