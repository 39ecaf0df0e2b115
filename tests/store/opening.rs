//! Opening a database, for the first time, again, and in vain.

use trunkline::store::{DatabaseKind, Store, StoreError};

use crate::databases::{Database, on_each_database};
use crate::samples::{insert, run_id};

on_each_database![
    what_was_written_is_there_after_opening_again,
    a_database_of_a_newer_version_is_refused,
    many_open_a_new_database_at_once,
];

async fn what_was_written_is_there_after_opening_again(store: Store, database: &Database) {
    insert(&store, 1).await;
    store.close().await;

    let again = database.open().await;

    assert!(again.find_run(&run_id(1)).await.unwrap().is_some());
    let kind = again.database_kind();
    assert_eq!(kind == DatabaseKind::Sqlite, database.url.starts_with("sqlite:"));
    assert_eq!(format!("{again:?}"), format!("Store {{ database: {kind:?}, .. }}"));
}

async fn a_database_of_a_newer_version_is_refused(_store: Store, database: &Database) {
    database
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'from the future', success, checksum, 0
             FROM _sqlx_migrations WHERE version = 1",
        )
        .await;

    let error = Store::open(&database.url).await.unwrap_err();

    assert!(matches!(error, StoreError::NewerSchema { migration: 9999 }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the database has migration `9999`, which this version does not know"
    );
    assert!(error.help().is_some());
}

async fn many_open_a_new_database_at_once(store: Store, database: &Database) {
    // Only SQLite can start from nothing here; on Postgres the schema is there already.
    store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let url = match store.database_kind() {
        DatabaseKind::Sqlite => format!("sqlite:{}", folder.path().join("new.db").display()),
        DatabaseKind::Postgres => database.url.clone(),
    };
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let url = url.clone();
        tasks.spawn(async move {
            let store = Store::open(&url).await.unwrap();
            insert(&store, n).await;
            store.close().await;
        });
    }
    tasks.join_all().await;
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.list_unfinished_runs().await.unwrap().len(), 6);
    store.close().await;
}

#[tokio::test]
async fn a_missing_folder_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/er/trunkline.db");

    Store::open(&format!("sqlite:{}", file.display())).await.unwrap();

    assert!(file.is_file());
}

#[tokio::test]
async fn a_folder_that_cannot_be_created_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let url = format!("sqlite:{}", folder.path().join("file/trunkline.db").display());

    let error = Store::open(&url).await.unwrap_err();

    assert!(matches!(error, StoreError::Folder { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "Dear diary, ".repeat(500)).unwrap();

    let error = Store::open(&format!("sqlite:{}", file.display())).await.unwrap_err();

    let expected = format!("file `{}` is not a SQLite database", file.display());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn an_unknown_address_is_shown_without_its_password() {
    let error = Store::open("mysql://me:secret@db/ci").await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "database address `mysql://me@db/ci` starts with neither `sqlite:` nor `postgres:`"
    );
}

#[tokio::test]
async fn a_database_out_of_reach_is_shown_without_its_password() {
    // Nobody listens on the discard port.
    let error = Store::open("postgres://me:secret@127.0.0.1:9/ci").await.unwrap_err();

    assert_eq!(error.to_string(), "database `postgres://me@127.0.0.1:9/ci` could not be opened");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}
