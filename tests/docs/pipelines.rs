use std::fs;
use std::path::{Path, PathBuf};

use trunkline::pipeline::{IncludeRef, SourceFile, check};

use super::{files_with_extension, pages};

#[test]
fn every_pipeline_of_the_documentation_is_valid() {
    let mut documented = Vec::new();
    for page in pages() {
        documented.extend(pipelines_in(&page));
    }
    assert!(documented.len() > 10, "too few blocks are marked `yaml pipeline`");
    assert_valid(documented);
}

#[test]
fn every_pipeline_of_this_repository_is_valid() {
    let mut files = Vec::new();
    for folder in
        ["pipelines", "examples/hello", "examples/assistant/pipelines", "examples/third-party"]
    {
        files.extend(files_with_extension(Path::new(folder), &["yml"]));
    }
    assert!(files.len() > 3, "too few pipelines were found: {files:?}");
    assert_valid(files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.display().to_string(), path, text)
    }));
}

/// The blocks marked `yaml pipeline`: where each stands, a file beside it, and its text.
fn pipelines_in(page: &Path) -> Vec<(String, PathBuf, String)> {
    let text = fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line == "```yaml pipeline" {
            let block = lines.by_ref().map(|(_, it)| it).take_while(|it| *it != "```");
            let block = block.collect::<Vec<_>>().join("\n") + "\n";
            found.push((format!("{}:{}", page.display(), number + 1), page.to_owned(), block));
        }
    }
    found
}

fn assert_valid(pipelines: impl IntoIterator<Item = (String, PathBuf, String)>) {
    let mut broken = Vec::new();
    for (name, path, text) in pipelines {
        let load = |include: &IncludeRef| read_included(&path, &include.file);
        let checked = check(SourceFile { name, text }, &load);
        broken.extend(checked.diagnostics.iter().map(|it| it.render(&checked.sources)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// An included file is named from the top of its repository, which is a folder above the pipeline.
fn read_included(pipeline: &Path, file: &str) -> Result<String, String> {
    let candidates = pipeline.ancestors().skip(1).map(|it| it.join(file));
    let found = candidates.into_iter().find(|it| it.is_file());
    fs::read_to_string(found.ok_or("it is not there")?).map_err(|it| it.to_string())
}
