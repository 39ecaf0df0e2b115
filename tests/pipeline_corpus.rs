//! Every pipeline file under `tests/fixtures/pipelines`: the good ones check clean and have their
//! plan beside them (and the warnings, if there are any), the bad ones have what is said about them beside them (`.txt`). A changed text
//! is written to `<file>.new`; look at it, and rename it when it is right. `good/assistant.yml` is the
//! big example of the documentation, with the digest of the template that lies here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use trunkline::pipeline::context::GitContext;
use trunkline::pipeline::{Checked, Context, IncludeRef, Selection, check_bytes};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipelines").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|it| it.extension().is_some_and(|it| it == "yml")).collect();
    files.sort();
    files
}

/// Included files lie in `templates/` beside the file, whatever repository they name.
fn check_file(path: &Path) -> Checked {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let bytes = std::fs::read(path).unwrap();
    let load = |wanted: &IncludeRef| {
        let path = path.parent().unwrap().join("templates").join(&wanted.file);
        std::fs::read_to_string(path).map_err(|_| "there is no such file".to_owned())
    };
    check_bytes(name, bytes, &load)
}

fn rendered(checked: &Checked) -> String {
    let shown: Vec<_> = checked.diagnostics.iter().map(|it| it.render(&checked.sources)).collect();
    shown.join("\n")
}

/// Compares with the text beside the file; gives the name of what differs.
fn differs(beside: &Path, text: &str) -> Option<String> {
    if std::fs::read_to_string(beside).is_ok_and(|it| it == text) {
        return None;
    }
    let new = PathBuf::from(format!("{}.new", beside.display()));
    std::fs::write(&new, text).unwrap();
    Some(new.display().to_string())
}

fn assert_same(changed: &[String]) {
    assert!(
        changed.is_empty(),
        "look at these, and rename those that are right:\n{}",
        changed.join("\n")
    );
}

#[test]
fn every_bad_file_is_refused_with_words_that_help() {
    let mut changed = Vec::new();
    for path in files("bad") {
        let checked = check_file(&path);
        if checked.diagnostics.is_empty() {
            changed.push(format!("{}: nothing is wrong", path.display()));
        }
        let has_error = checked.diagnostics.iter().any(trunkline::pipeline::Diagnostic::is_error);
        assert_eq!(checked.pipeline.is_none(), has_error, "{}", path.display());
        changed.extend(differs(&path.with_extension("txt"), &rendered(&checked)));
    }
    assert_same(&changed);
}

#[test]
fn the_corpus_has_at_least_ninety_bad_files() {
    assert!(files("bad").len() >= 90, "{}", files("bad").len());
}

fn context_of(event: &str) -> Context {
    let git = GitContext {
        sha: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned(),
        r#ref: "refs/heads/main".to_owned(),
        branch: "main".to_owned(),
        ..GitContext::default()
    };
    Context { event: event.to_owned(), git, ..Context::default() }
}

#[test]
fn every_good_file_has_its_plan() {
    let mut changed = Vec::new();
    for path in files("good") {
        let checked = check_file(&path);
        let warnings = rendered(&checked);
        if !warnings.is_empty() || path.with_extension("txt").exists() {
            changed.extend(differs(&path.with_extension("txt"), &warnings));
        }
        let pipeline = checked.pipeline.unwrap();
        let mut context = context_of("push");
        context.inputs = pipeline.default_inputs();
        context.hashes = pipeline
            .hash_calls()
            .into_iter()
            .map(|globs| (globs.join("\n"), "0123abcd".to_owned()))
            .collect::<BTreeMap<_, _>>();
        let plan = pipeline.plan(&context, &Selection::All).unwrap();
        let mut text = serde_json::to_string_pretty(&plan).unwrap();
        let _ = writeln!(text);
        changed.extend(differs(&path.with_extension("plan.json"), &text));
    }
    assert_same(&changed);
}
