//! What the documentation promises: its links lead somewhere, its pipelines are valid, its commands exist.

use std::fs;
use std::path::{Path, PathBuf};

mod commands;
mod links;
mod pipelines;

/// Every page that a person reads.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![];
    for folder in [".", "docs", "docs/decisions", "examples/assistant", "examples/third-party"] {
        pages.extend(files_with_extension(Path::new(folder), &["md"]));
    }
    assert!(pages.len() > 10, "too few pages were found: {pages:?}");
    pages
}

fn files_with_extension(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|it| {
            it.is_file() && it.extension().is_some_and(|it| extensions.iter().any(|e| it == *e))
        })
        .collect();
    files.sort();
    files
}
