//! Opening either database: connections, their settings, and the schema.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use sqlx::Connection;
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use super::StoreError;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// How many migrations this version knows.
pub(super) fn migrations() -> usize {
    MIGRATIONS.iter().count()
}

/// How long SQLite itself waits for another process to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often that wait is begun anew before the error is passed on.
const BUSY_RETRIES: u32 = 5;
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// Which database is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file, shared by the processes of one machine.
    Sqlite,
    /// A server, shared by several machines.
    Postgres,
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "Postgres",
        })
    }
}

#[derive(Clone)]
pub(super) enum Pool {
    /// SQLite lets one connection write at a time, so there is one; the writes of this process
    /// queue for it in order instead of polling for the file lock.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(sqlx::PgPool),
}

impl Pool {
    pub(super) fn kind(&self) -> DatabaseKind {
        match self {
            Self::Sqlite { .. } => DatabaseKind::Sqlite,
            Self::Postgres(_) => DatabaseKind::Postgres,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                // The last connection to close folds the write-ahead log into the file.
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

pub(super) async fn open(url: &str) -> Result<Pool, StoreError> {
    if url.starts_with("sqlite:") {
        open_sqlite(url).await
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        open_postgres(url).await
    } else {
        Err(StoreError::UnknownDatabase { url: without_password(url) })
    }
}

async fn open_sqlite(url: &str) -> Result<Pool, StoreError> {
    let unreachable = |source| StoreError::Unreachable { url: without_password(url), source };
    // `docs/decisions/0003-sqlite-durability.md` says why NORMAL is durable enough.
    let options = url
        .parse::<SqliteConnectOptions>()
        .map_err(unreachable)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    create_folder_of(options.get_filename()).await?;
    let not_a_database = |error: sqlx::Error| match result_code(&error) {
        Some(26) => StoreError::NotADatabase { path: options.get_filename().to_owned() },
        _ => unreachable(error),
    };

    let writer = connect_patiently(&options).await.map_err(not_a_database)?;
    migrate_sqlite(&writer).await?;
    let readers =
        pool_options(SQLITE_READERS).connect_lazy_with(options.clone().pragma("query_only", "on"));
    Ok(Pool::Sqlite { writer, readers })
}

/// Two processes that create the same file at once meet at the change to WAL, which SQLite
/// refuses to wait for.
async fn connect_patiently(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let mut retries = 0;
    loop {
        match pool_options(1).connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && retries < BUSY_RETRIES * 10 => retries += 1,
            answer => return answer,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pool_options(connections: u32) -> SqlitePoolOptions {
    // A file does not go stale: nothing to test, nothing to renew.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None)
}

async fn create_folder_of(file: &Path) -> Result<(), StoreError> {
    let Some(folder) = file.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    tokio::fs::create_dir_all(folder)
        .await
        .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })
}

/// All migrations in one transaction: of two processes that come at once, the second finds the
/// work done.
async fn migrate_sqlite(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = begin_writing(writer).await?;
    migrate(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

async fn open_postgres(url: &str) -> Result<Pool, StoreError> {
    let unreachable = |source| StoreError::Unreachable { url: without_password(url), source };
    let options: PgConnectOptions = url.parse().map_err(unreachable)?;
    // By a connection of its own: the pool would try for seconds, and then not say why it failed.
    let mut connection = PgConnection::connect_with(&options).await.map_err(unreachable)?;
    migrate(&mut connection).await?;
    connection.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options);
    Ok(Pool::Postgres(pool))
}

async fn migrate(connection: &mut impl Migrate) -> Result<(), StoreError> {
    // Not `run`: its future cannot be sent to another thread.
    let done = MIGRATIONS.run_direct(None, connection, false).await;
    done.map_err(|error| {
        if let MigrateError::VersionMissing(migration) = error {
            StoreError::NewerSchema { migration }
        } else {
            StoreError::Migration(error)
        }
    })
}

/// Begins a transaction that has the write lock from its first moment, so nothing in it can be
/// refused because another process wrote in between.
pub(super) async fn begin_writing(
    writer: &SqlitePool,
) -> Result<sqlx::Transaction<'static, Sqlite>, sqlx::Error> {
    let mut retries = 0;
    loop {
        match writer.begin_with("BEGIN IMMEDIATE").await {
            Err(error) if is_busy(&error) && retries < BUSY_RETRIES => retries += 1,
            answer => return answer,
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    result_code(error) == Some(5)
}

/// Whether SQLite's file cannot be written: a full disk (13), or another failure of the disk (10).
pub(super) fn is_disk_trouble(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(it) if it.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some())
        && matches!(result_code(error), Some(10 | 13))
}

/// Whether the database does not take what a statement says, however often it is asked: a text that is none, a
/// value that is out of range or too large, a rule of a table. SQLite's 18 to 20 and 25; Postgres' classes 22, 23
/// and 54 (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(super) fn is_about_content(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(it) = error else { return matches!(error, sqlx::Error::Encode(_)) };
    if it.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return matches!(result_code(error), Some(18..=20 | 25));
    }
    it.code().is_some_and(|it| ["22", "23", "54"].iter().any(|class| it.starts_with(class)))
}

/// SQLite's primary result code (<https://www.sqlite.org/rescode.html>).
fn result_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// The address as it may be shown: no password, no parameters (one of which may be a password).
fn without_password(url: &str) -> String {
    let shown = url.split_once('?').map_or(url, |(before, _)| before);
    let Some((scheme, rest)) = shown.split_once("://") else {
        return shown.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((person, place)) => {
            let user = person.split_once(':').map_or(person, |(user, _)| user);
            format!("{scheme}://{user}@{place}")
        }
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://me:secret@db/ci", "postgres://me@db/ci"),
            ("postgres://me:se@cr:et@db:5432/ci?sslmode=off", "postgres://me@db:5432/ci"),
            ("postgres://me@db/ci?password=secret", "postgres://me@db/ci"),
            ("mysql://me:secret@db/ci", "mysql://me@db/ci"),
            ("sqlite:ci.db", "sqlite:ci.db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
