//! Finds the pipeline a person means, reads it and shows its problems.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::include::{Freshness, Includes};
use crate::cli::failure::{AlreadyShown, Usage};
use crate::cli::output::Paint;
use crate::cli::session::Session;
use crate::cli::view::terminal;
use crate::pipeline::{Checked, check_bytes, file::Pipeline, name_of, unreadable};

/// The folder of pipelines, and the file that stands for it in a small repository.
const FOLDER: &str = "pipelines";
const SINGLE: &str = ".trunkline.yml";

/// The most that is read of a file: above the limit of the format, which the check tells.
const BYTES_MAX: u64 = 4 << 20;

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
        files.iter().find(has_name).or_else(|| files.iter().find(|it| is_called(root, it, wanted)));
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
pub fn checked(session: &Session, path: &Path, freshness: Freshness) -> anyhow::Result<Pipeline> {
    let checked = read(session, path, freshness);
    let mut err = std::io::stderr().lock();
    if session.output.json {
        if let Some(problems) = as_json(&checked) {
            writeln!(err, "{problems}")?;
        }
    } else {
        for diagnostic in &checked.diagnostics {
            let shown = diagnostic.render(&checked.sources);
            writeln!(err, "{}\n", terminal::safe(shown.trim_end(), Paint::default()))?;
        }
    }
    checked.pipeline.ok_or_else(|| AlreadyShown.into())
}

/// `{problems}`, and with an error what every failed command says; `None` when there is no problem.
fn as_json(checked: &Checked) -> Option<serde_json::Value> {
    let problems = &checked.diagnostics;
    if checked.pipeline.is_some() {
        return (!problems.is_empty()).then(|| serde_json::json!({ "problems": problems }));
    }
    let error = AlreadyShown.to_string();
    Some(serde_json::json!({ "error": error, "exit_code": 2, "problems": problems }))
}

/// Reads and checks a file, and that no other one of the repository has its name.
#[must_use]
pub fn read(session: &Session, path: &Path, freshness: Freshness) -> Checked {
    let root = root(session);
    let name = shown(&root, path);
    let bytes = match read_bytes(&root, path) {
        Ok(bytes) => bytes,
        Err(error) => return unreadable(name, &error.to_string()),
    };
    let includes = Includes::new(&root, &session.settings.state_folder, freshness);
    let mut checked = check_bytes(name, bytes, &|wanted| includes.load(wanted));
    let pipeline = checked.pipeline.as_ref().map(|it| it.name().to_owned());
    checked.warn_of_past(session.now());
    if let Some(other) = pipeline.and_then(|it| namesake(&root, path, &it)) {
        checked.refuse_name_of(&shown(&root, &other));
    }
    checked
}

/// At most a little more than a pipeline file may have, so that the check says it is too large.
/// A link in the repository may not lead out of it: problems are shown with the lines they are in, and a
/// stranger's branch could name any file of this machine.
fn read_bytes(root: &Path, path: &Path) -> std::io::Result<Vec<u8>> {
    let real = path.canonicalize()?;
    if path.starts_with(root) && !real.starts_with(root.canonicalize()?) {
        return Err(std::io::Error::other("it links to a place outside of the repository"));
    }
    if !real.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Another pipeline file of the repository with this name of a pipeline.
fn namesake(root: &Path, path: &Path, name: &str) -> Option<PathBuf> {
    let files = list(root);
    let is_it = |it: &PathBuf| it == path || it.canonicalize().ok() == path.canonicalize().ok();
    let others = files.iter().filter(|it| !is_it(it));
    let has_name = |it: &&PathBuf| {
        let text = read_bytes(root, it).ok().and_then(|it| String::from_utf8(it).ok());
        text.is_some_and(|text| name_of(&shown(root, it), &text).as_deref() == Some(name))
    };
    let found = others.clone().find(has_name).cloned();
    found.filter(|_| files.iter().any(is_it))
}

/// The path as a person would write it: relative to the top of the repository where that is possible.
#[must_use]
pub fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "yml" || it == "yaml")
}

/// Whether the file says that this is its name.
fn is_called(root: &Path, path: &Path, name: &str) -> bool {
    let text = read_bytes(root, path).ok().and_then(|it| String::from_utf8(it).ok());
    text.is_some_and(|it| name_of(&path.display().to_string(), &it).as_deref() == Some(name))
}

fn only(root: &Path, files: Vec<PathBuf>) -> Result<PathBuf, Usage> {
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) if files.is_empty() => Err(none_in(root)),
        Err(files) => {
            let message = format!("there are several pipelines: {}", names(root, &files));
            Err(Usage::new(message, "name the one you mean"))
        }
    }
}

/// What is said about a folder without a pipeline.
pub fn none_in(root: &Path) -> Usage {
    let shown = root.display();
    let is_bare = root.join("HEAD").is_file() && root.join("objects").is_dir();
    if is_bare {
        let message =
            format!("`{shown}` is a bare repository: it has no files to read a pipeline from");
        return Usage::new(message, "clone it, or make a checkout: `git worktree add ../checkout`");
    }
    let message = format!("`{shown}` has no pipeline: neither `pipelines/*.yml` nor `{SINGLE}`");
    let help = format!("write one, such as `{SINGLE}`; the README shows ten lines that work");
    Usage::new(message, help)
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
