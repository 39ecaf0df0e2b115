//! Keys of SSH hosts: the first one that a host shows is remembered, and another one is refused. Who does
//! not want to trust the first look writes the file beforehand.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::source::checkout::lock::Lock;

/// Lines of `host key`, the key in base64 as in OpenSSH's `known_hosts` (without the word for its kind).
const FILE: &str = "known_hosts";

/// Whether this is the host's key; says what to do when it is not.
pub(super) fn check(folder: &Path, host: &str, key: &[u8]) -> Result<(), String> {
    if key.is_empty() {
        return Err(format!("host `{host}` shows no key"));
    }
    let _lock = Lock::take(folder, FILE).map_err(|error| error.to_string())?;
    let path = folder.join(FILE);
    let encoded = STANDARD.encode(key);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut keys = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(host)).then(|| words.last().unwrap_or_default())
    });
    let mut is_known = false;
    if keys.any(|it| {
        is_known = true;
        it == encoded
    }) {
        return Ok(());
    }
    if is_known {
        let path = path.display();
        return Err(format!(
            "host `{host}` shows another key than before; if that is right, remove its line from `{path}`"
        ));
    }
    let line = format!("{host} {encoded}\n");
    let mut options = OpenOptions::new();
    let written = options.create(true).append(true).open(&path);
    written.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_of_a_host_is_remembered_and_another_refused() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), "forge.example", b"one").unwrap();
        check(folder.path(), "forge.example", b"one").unwrap();
        check(folder.path(), "other.example", b"two").unwrap();
        let error = check(folder.path(), "forge.example", b"two").unwrap_err();
        assert!(error.starts_with("host `forge.example` shows another key than before"), "{error}");
    }
}
