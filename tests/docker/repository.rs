//! A large repository: every stage gets all of it, for itself, and only the first run pays for the checkout.
//!
//! `REPOSITORY_MB` says how large it is (100 without, a file for every 50 kB).

use crate::bench::{Bench, setting};
use crate::docker;
use crate::large::{self, Size};

#[test]
fn a_large_repository_is_whole_in_every_stage_and_checked_out_once() {
    if !docker::is_here() {
        return;
    }
    let size = Size::megabytes(setting("REPOSITORY_MB").unwrap_or(100));
    // Each stage counts what it got, and then spoils it.
    let count = "find . -name 'file-*' -size +0 | wc -l; cat folder-*/file-* | wc -c; for it in folder-*; do : > $it/file-0; rm -rf $it; done";
    let bench = Bench::new().stages(&format!(
        "  one: {{ run: \"{count}\" }}\n  two: {{ needs: [one], run: \"{count}\" }}\n"
    ));
    large::fill(&bench, size);
    let expected = format!("{}\n{}\n", size.files, size.files * size.file_bytes());
    for round in ["first", "second"] {
        bench.run(&[]).expect_code(0);
        assert_eq!(bench.log("one"), expected, "{round} run");
        assert_eq!(bench.log("two"), expected, "{round} run");
        let ready = large::time_to_first_step(&bench, &bench.last_run().unwrap());
        eprintln!("{size:?}, {round} run: first step after {} ms", ready.0);
    }
    let checkouts = std::fs::read_dir(bench.state().join("checkouts")).unwrap();
    let names = checkouts.map(|it| it.unwrap().file_name().into_string().unwrap());
    let trees: Vec<_> = names.filter(|it| !it.starts_with('.')).collect();
    assert_eq!(trees.len(), 1, "{trees:?}");
}
