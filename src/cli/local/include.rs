//! Text of included files: from this repository, or from another one, of which a mirror is kept in the
//! state folder.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::{Files, tidy};
use crate::model::Digest;
use crate::pipeline::IncludeRef;
use crate::source::{Address, Library, Repository, SourceError, is_commit};

/// Whether what a mirror holds of a branch or tag is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What was fetched before is enough, so that it works without a network.
    Known,
    /// It is asked what the ref stands for now, unless `sha256` says what is wanted.
    Newest,
}

/// Reads the included files of one command; each state of a repository is fetched once.
#[derive(Debug)]
pub struct Includes<'a> {
    files: &'a Files,
    mirrors: PathBuf,
    freshness: Freshness,
    /// What this command has fetched: address and ref.
    fetched: RefCell<BTreeSet<(Address, String)>>,
}

impl<'a> Includes<'a> {
    /// For pipelines among these files; mirrors are kept below the state folder.
    #[must_use]
    pub fn new(files: &'a Files, state: &Path, freshness: Freshness) -> Self {
        Self { files, mirrors: mirrors(state), freshness, fetched: RefCell::default() }
    }

    /// Reads an included file; the error is shown as the problem of the `include` that asked for it.
    pub fn load(&self, wanted: &IncludeRef) -> Result<String, String> {
        let bytes = match (&wanted.from, &wanted.r#ref) {
            (Some(from), Some(r#ref)) => self.load_remote(from, r#ref, wanted)?,
            (Some(_), None) => return Err("it has no `ref`".to_owned()),
            (None, _) => self.load_local(&wanted.file)?,
        };
        String::from_utf8(bytes).map_err(|_| format!("`{}` is not UTF-8 text", wanted.file))
    }

    fn load_local(&self, file: &str) -> Result<Vec<u8>, String> {
        let path = tidy(&self.files.root().join(file));
        if !path.starts_with(self.files.root()) {
            return Err(format!("`{file}` lies outside of the repository"));
        }
        self.files.read(&path).map_err(|error| {
            let is_missing = error.kind() == ErrorKind::NotFound;
            match (is_missing, self.files.are_committed()) {
                (true, true) => format!("the last commit has no file `{file}`"),
                (true, false) => format!("the repository has no file `{file}`"),
                (false, _) => format!("`{file}` cannot be read: {error}"),
            }
        })
    }

    fn load_remote(&self, from: &str, r#ref: &str, wanted: &IncludeRef) -> Result<Vec<u8>, String> {
        let address = Address::resolve(from, self.origin().as_deref());
        let address = address.map_err(|error| error.to_string())?;
        let library = Library::of(address.clone(), &self.mirrors);
        let key = (address, r#ref.to_owned());
        let is_fetched = self.fetched.borrow().contains(&key);
        let known = library.find(r#ref).map_err(|error| error.to_string())?;
        if let Some(commit) = &known {
            let found = library.read_file(commit, &wanted.file).map_err(|it| it.to_string())?;
            if let Some(bytes) = found.filter(|it| is_fetched || self.is_enough(wanted, it)) {
                return Ok(bytes);
            }
        }
        let is_known = known.is_some();
        let commit = match known.filter(|it| is_fetched || it == r#ref) {
            Some(commit) => commit,
            None => library.fetch(r#ref).map_err(|error| not_fetched(&error, is_known))?,
        };
        self.fetched.borrow_mut().insert(key);
        let found = library.read_file(&commit, &wanted.file).map_err(|error| error.to_string())?;
        found.ok_or_else(|| format!("the repository has no file `{}` at `{}`", wanted.file, r#ref))
    }

    /// Whether the known state of a ref may stand for it.
    fn is_enough(&self, wanted: &IncludeRef, bytes: &[u8]) -> bool {
        match &wanted.sha256 {
            Some(digits) => Digest::of(bytes).hex() == digits,
            None => {
                self.freshness == Freshness::Known || wanted.r#ref.as_deref().is_some_and(is_commit)
            }
        }
    }

    fn origin(&self) -> Option<String> {
        Repository::discover(self.files.root()).ok()?.origin()
    }
}

/// The folder of mirrors in a state folder.
#[must_use]
pub fn mirrors(state: &Path) -> PathBuf {
    state.join("includes")
}

fn not_fetched(error: &SourceError, is_known: bool) -> String {
    if is_known {
        format!(
            "{error}; what was fetched before is only taken when `sha256` says that it is right"
        )
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(file: &str) -> Result<String, String> {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("repository");
        std::fs::create_dir_all(root.join("pipelines")).unwrap();
        std::fs::write(root.join("pipelines/python.yml"), "text").unwrap();
        std::fs::write(root.join("pipelines/latin.yml"), b"gr\xfc\xdfe").unwrap();
        std::fs::write(parent.path().join("secret"), "secret").unwrap();
        let wanted = IncludeRef { from: None, r#ref: None, file: file.to_owned(), sha256: None };
        let files = Files::on_disk(root);
        Includes::new(&files, parent.path(), Freshness::Known).load(&wanted)
    }

    #[test]
    fn a_file_of_the_repository_can_be_included_and_none_outside() {
        assert_eq!(loaded("pipelines/python.yml").unwrap(), "text");
        assert_eq!(
            loaded("pipelines/go.yml").unwrap_err(),
            "the repository has no file `pipelines/go.yml`"
        );
        assert_eq!(loaded("../secret").unwrap_err(), "`../secret` lies outside of the repository");
        assert_eq!(
            loaded("pipelines/latin.yml").unwrap_err(),
            "`pipelines/latin.yml` is not UTF-8 text"
        );
    }
}
