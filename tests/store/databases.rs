//! A fresh database for each test.

use trunkline::store::Store;

/// Runs each test on every database.
macro_rules! on_each_database {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let folder = tempfile::tempdir().unwrap();
                let database = $crate::databases::Database::sqlite(folder.path());
                super::$test(database.open().await, &database).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let name = concat!(module_path!(), "_", stringify!($test));
                if let Some(database) = $crate::databases::Database::postgres(name).await {
                    let store = database.open().await;
                    super::$test(store.clone(), &database).await;
                    store.close().await;
                    database.remove().await;
                }
            })*
        }
    };
}
pub(crate) use on_each_database;

/// Where a database of a test is, so that a second process can be played.
pub(crate) struct Database {
    pub(crate) url: String,
    /// Postgres only: the server's address, and the schema that stands for a database.
    schema: Option<(String, String)>,
}

impl Database {
    pub(crate) fn sqlite(folder: &std::path::Path) -> Self {
        let url = format!("sqlite:{}", folder.join("trunkline.db").display());
        Self { url, schema: None }
    }

    /// `None` when there is no server to test with, which is said aloud, and which CI forbids.
    #[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            assert!(std::env::var("CI").is_err(), "in CI `TEST_POSTGRES_URL` must be set");
            eprintln!("SKIPPED: {test}: `TEST_POSTGRES_URL` is not set");
            return None;
        };
        let schema = format!("t_{}_{}", std::process::id(), hash(test));
        execute(&server, format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await;
        execute(&server, format!("CREATE SCHEMA {schema}")).await;
        let url = format!("{server}?options=-c%20search_path%3D{schema}");
        Some(Self { url, schema: Some((server, schema)) })
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    pub(crate) async fn remove(self) {
        if let Some((server, schema)) = self.schema {
            execute(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    /// How SQLite would answer a question; none of Postgres, whose plans go by what is in its tables.
    pub(crate) async fn plan(&self, sql: &str) -> Option<String> {
        use sqlx::{Connection, Row};
        if !self.url.starts_with("sqlite:") {
            return None;
        }
        let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let lines: Vec<String> = rows.iter().map(|it| it.get("detail")).collect();
        Some(lines.join("\n"))
    }

    /// Runs SQL of the test's own, past the store.
    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url, sql.to_owned()).await;
    }
}

/// Names of schemas end at 63 letters, and those of tests do not.
fn hash(test: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    test.hash(&mut hasher);
    hasher.finish()
}

async fn execute(url: &str, sql: String) {
    use sqlx::Connection;
    let sql = sqlx::AssertSqlSafe(sql);
    if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
