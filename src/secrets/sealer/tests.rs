//! Sealing on a real database.

use std::path::Path;

use crate::secrets::keys::{KeyFile, KeyProvider};
use crate::worker::SystemClock;

use super::*;

async fn sealer(folder: &Path) -> Sealer {
    let url = format!("sqlite:{}", folder.join("state.db").display());
    let file = KeyFile::open(&folder.join("secret.keys")).unwrap();
    let keyring = Keyring::new(KeyProvider::File(file), Vec::new());
    Sealer::new(Store::open(&url).await.unwrap(), keyring, Arc::new(SystemClock))
}

#[tokio::test]
async fn what_one_process_seals_another_opens() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = sealer(folder.path()).await.seal("team/key", "hunter2").await.unwrap();
    assert!(!sealed.contains("hunter2"));
    let opened = sealer(folder.path()).await.open("team/key", &sealed).await;
    assert_eq!(opened.unwrap(), "hunter2");
}

#[tokio::test]
async fn what_is_sealed_for_one_purpose_opens_for_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = sealer(folder.path()).await;
    let sealed = sealer.seal("team/a/key", "hunter2").await.unwrap();
    let error = sealer.open("team/b/key", &sealed).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "what is sealed for `team/b/key` was changed, or belongs elsewhere"
    );
}

#[tokio::test]
async fn without_its_key_file_nothing_opens() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = sealer(folder.path()).await.seal("key", "hunter2").await.unwrap();
    std::fs::remove_file(folder.path().join("secret.keys")).unwrap();
    let error = sealer(folder.path()).await.open("key", &sealed).await.unwrap_err();
    assert!(matches!(error, SealError::Key(KeyError::Missing { .. })), "{error}");
}
