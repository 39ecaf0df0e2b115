//! Finds the pipeline a person means, reads it and shows its problems.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::include;
use crate::cli::failure::{AlreadyShown, Usage};
use crate::cli::output::Paint;
use crate::cli::session::Session;
use crate::cli::view::terminal;
use crate::pipeline::diagnostic::SourceFile;
use crate::pipeline::{Checked, check, file::Pipeline};

/// The folder of pipelines, and the file that stands for it in a small repository.
const FOLDER: &str = "pipelines";
const SINGLE: &str = ".trunkline.yml";

/// The folder in which pipelines are looked for: the top of the repository, or where a person stands.
#[must_use]
pub fn root(session: &Session) -> PathBuf {
    let repository = crate::source::Repository::discover(&session.folder);
    repository.map_or_else(|_| session.folder.clone(), |it| it.folder().to_owned())
}

/// The file of the pipeline that is meant: a path, a name, or nothing when there is only one.
pub fn find(root: &Path, folder: &Path, wanted: Option<&str>) -> Result<PathBuf, Usage> {
    let files = list(root);
    let Some(wanted) = wanted else { return only(root, files) };
    let is_path = wanted.contains('/') || is_yaml(Path::new(wanted));
    if is_path {
        let path = folder.join(wanted);
        let help = format!("give a path relative to `{}`, or a name", folder.display());
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Usage::new(format!("there is no file `{wanted}`"), help))
        };
    }
    let has_name = |it: &&PathBuf| it.file_stem().is_some_and(|stem| stem == wanted);
    let named =
        files.iter().find(has_name).or_else(|| files.iter().find(|it| is_called(it, wanted)));
    named.cloned().ok_or_else(|| no_such(root, &files, wanted))
}

/// All pipeline files of a repository, sorted.
#[must_use]
pub fn list(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let single = root.join(SINGLE);
    if single.is_file() {
        files.push(single);
    }
    let entries = fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten();
    files.extend(entries.map(|it| it.path()).filter(|it| is_yaml(it) && it.is_file()));
    files.sort();
    files
}

/// Reads and checks a file; problems are shown, and errors end the command.
pub fn checked(session: &Session, path: &Path) -> anyhow::Result<Pipeline> {
    let checked = read(session, path)?;
    let mut err = std::io::stderr().lock();
    for diagnostic in &checked.diagnostics {
        let shown = diagnostic.render(&checked.sources);
        writeln!(err, "{}\n", terminal::safe(shown.trim_end(), Paint::default()))?;
    }
    checked.pipeline.ok_or_else(|| AlreadyShown.into())
}

/// Reads and checks a file.
pub fn read(session: &Session, path: &Path) -> Result<Checked, Usage> {
    let root = root(session);
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", shown(&root, path));
        Usage::new(message, "give the path of a pipeline file")
    })?;
    let source = SourceFile { name: shown(&root, path), text };
    Ok(check(source, &|wanted| include::load(&root, wanted)))
}

/// The path as a person would write it: relative to the top of the repository where that is possible.
#[must_use]
pub fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "yml" || it == "yaml")
}

/// Whether the file says that this is its name. A glance, no parser: the file is checked later.
fn is_called(path: &Path, name: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("name:"));
    value.is_some_and(|it| {
        let it = it.split(" #").next().unwrap_or(it).trim();
        it.trim_matches(['"', '\'']) == name
    })
}

fn only(root: &Path, files: Vec<PathBuf>) -> Result<PathBuf, Usage> {
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) if files.is_empty() => Err(Usage::new(
            format!(
                "`{}` has no pipeline: neither `pipelines/*.yml` nor `{SINGLE}`",
                root.display()
            ),
            format!("write one, such as `{SINGLE}`; the README shows ten lines that work"),
        )),
        Err(files) => {
            let message = format!("there are several pipelines: {}", names(root, &files));
            Err(Usage::new(message, "name the one you mean"))
        }
    }
}

fn no_such(root: &Path, files: &[PathBuf], wanted: &str) -> Usage {
    let message = format!("there is no pipeline `{wanted}`");
    if files.is_empty() {
        let help = "pipelines are looked for in `pipelines/*.yml` and `.trunkline.yml`";
        return Usage::new(message, help);
    }
    Usage::new(message, format!("known are {}", names(root, files)))
}

fn names(root: &Path, files: &[PathBuf]) -> String {
    let names = files.iter().map(|it| format!("`{}`", shown(root, it)));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        for (path, text) in files {
            fs::write(folder.path().join(path), text).unwrap();
        }
        folder
    }

    fn found(files: &[(&str, &str)], wanted: Option<&str>) -> String {
        let folder = repository(files);
        match find(folder.path(), folder.path(), wanted) {
            Ok(path) => shown(folder.path(), &path),
            Err(error) => format!("{error}; {}", error.help)
                .replace(&folder.path().display().to_string(), "<repository>"),
        }
    }

    #[test]
    fn the_only_pipeline_needs_no_name() {
        assert_eq!(found(&[("pipelines/ci.yml", "")], None), "pipelines/ci.yml");
        assert_eq!(found(&[(".trunkline.yml", "")], None), ".trunkline.yml");
    }

    #[test]
    fn several_pipelines_are_listed() {
        let files = [("pipelines/ci.yml", ""), ("pipelines/nightly.yaml", "")];
        assert_eq!(
            found(&files, None),
            "there are several pipelines: `pipelines/ci.yml`, `pipelines/nightly.yaml`; \
             name the one you mean"
        );
    }

    #[test]
    fn a_pipeline_is_found_by_its_file_or_its_name() {
        let files = [
            ("pipelines/ci.yml", "version: 1\nname: 'assistant' # app\n"),
            ("pipelines/x.yml", ""),
        ];
        assert_eq!(found(&files, Some("ci")), "pipelines/ci.yml");
        assert_eq!(found(&files, Some("assistant")), "pipelines/ci.yml");
        assert_eq!(found(&files, Some("pipelines/x.yml")), "pipelines/x.yml");
        assert_eq!(
            found(&files, Some("deploy")),
            "there is no pipeline `deploy`; known are `pipelines/ci.yml`, `pipelines/x.yml`"
        );
    }

    #[test]
    fn without_a_pipeline_the_error_says_where_they_are_looked_for() {
        assert_eq!(
            found(&[], None),
            "`<repository>` has no pipeline: neither `pipelines/*.yml` nor `.trunkline.yml`; \
             write one, such as `.trunkline.yml`; the README shows ten lines that work"
        );
    }
}
