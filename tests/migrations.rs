//! A migration that has left this repository has run somewhere, so it is never changed again.
//! That they run on both databases is what each test of `tests/store.rs` begins with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use trunkline::model::Digest;

const SUMS: &str = "tests/fixtures/migrations.sum";

#[test]
fn no_migration_is_rewritten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sums = std::fs::read_to_string(root.join(SUMS)).unwrap();

    let expected: BTreeMap<String, String> = sums
        .lines()
        .map(|line| line.split_once("  ").expect("`<digest>  <file>` on each line"))
        .map(|(digest, file)| (file.to_owned(), digest.to_owned()))
        .collect();
    let actual = digests_of(&root.join("migrations"));

    assert_eq!(
        actual,
        expected,
        "A new migration gets a line in `{SUMS}`; an old one is left alone. Now it would be:\n{}",
        actual.iter().fold(String::new(), |mut text, (file, digest)| {
            writeln!(text, "{digest}  {file}").unwrap();
            text
        })
    );
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, number) in digests_of(&root.join("migrations")).keys().zip(1..) {
        assert!(file.starts_with(&format!("{number:04}_")), "`{file}` is not number {number}");
    }
}

fn digests_of(folder: &Path) -> BTreeMap<String, String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            (file, Digest::of(&std::fs::read(path).unwrap()).to_string())
        })
        .collect()
}
