//! Text of included files: from this repository, or from another one that lies on this machine.

use std::io::ErrorKind;
use std::path::Path;

use crate::pipeline::IncludeRef;

/// Reads an included file; the error is shown as the problem of the `include` that asked for it.
pub fn load(root: &Path, wanted: &IncludeRef) -> Result<String, String> {
    if let Some(from) = &wanted.from {
        return Err(format!(
            "repository `{from}` cannot be reached from here yet; put `{}` into this repository and \
             leave `from` out",
            wanted.file
        ));
    }
    let shown = &wanted.file;
    let path = root.join(shown);
    let inside = path.canonicalize().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            format!("the repository has no file `{shown}`")
        } else {
            format!("`{shown}` cannot be read: {error}")
        }
    })?;
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    if !inside.starts_with(root) {
        return Err(format!("`{shown}` lies outside of the repository"));
    }
    std::fs::read_to_string(inside).map_err(|error| format!("`{shown}` cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(file: &str) -> Result<String, String> {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("repository");
        std::fs::create_dir_all(root.join("pipelines")).unwrap();
        std::fs::write(root.join("pipelines/python.yml"), "text").unwrap();
        std::fs::write(parent.path().join("secret"), "secret").unwrap();
        let wanted = IncludeRef { from: None, r#ref: None, file: file.to_owned(), sha256: None };
        load(&root, &wanted)
    }

    #[test]
    fn a_file_of_the_repository_can_be_included_and_none_outside() {
        assert_eq!(loaded("pipelines/python.yml").unwrap(), "text");
        assert_eq!(
            loaded("pipelines/go.yml").unwrap_err(),
            "the repository has no file `pipelines/go.yml`"
        );
        assert_eq!(loaded("../secret").unwrap_err(), "`../secret` lies outside of the repository");
    }
}
