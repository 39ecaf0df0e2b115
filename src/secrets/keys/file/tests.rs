//! The file of keys.

use super::*;

fn key() -> Key {
    Key::new([7; 32])
}

#[tokio::test]
async fn a_wrapped_key_comes_back_and_stands_for_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::open(&folder.path().join("secret.keys")).unwrap();
    let wrapped = file.wrap("one", &key()).await.unwrap();
    assert_eq!(*file.unwrap("one", &wrapped).await.unwrap(), *key());
    let error = file.unwrap("two", &wrapped).await.unwrap_err();
    assert!(matches!(error, KeyError::Changed(_)), "{error}");
}

#[test]
fn only_the_owner_may_read_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.keys");
    KeyFile::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = KeyFile::open(&path).unwrap_err();
    assert!(error.to_string().ends_with("others may read it (mode 640)"), "{error}");
}

#[test]
fn a_broken_file_is_named_and_its_keys_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.keys");
    KeyFile::open(&path).unwrap();
    for text in ["", "one\n", "one c2hvcnQ=\n"] {
        fs::write(&path, text).unwrap();
        let error = KeyFile::open(&path).unwrap_err().to_string();
        assert!(error.ends_with("a line is not `<id> <256 bits, base64>`"), "{error}");
    }
}

#[test]
fn processes_that_make_the_file_at_once_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.keys");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| KeyFile::open(&path).unwrap());
        }
    });
    assert_eq!(KeyFile { path }.read().unwrap().len(), 1);
}
