//! A database of the benchmark's own, on SQLite or Postgres.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// Where it is.
pub(crate) struct Database {
    pub(crate) url: String,
    /// Postgres: the address through which it was made, and its name there.
    made: Option<(String, String)>,
}

impl Database {
    /// An empty one: a file, or with `DATABASE=postgres` a database of the server that `TEST_POSTGRES_URL` names.
    #[expect(clippy::disallowed_methods, reason = "benchmarks have no `config`")]
    pub(crate) async fn fresh(folder: &Path) -> Self {
        if std::env::var("DATABASE").as_deref() != Ok("postgres") {
            let url = format!("sqlite:{}", folder.join("state.db").display());
            return Self { url, made: None };
        }
        let server = std::env::var("TEST_POSTGRES_URL").unwrap();
        let name = format!("bench_{}", std::process::id());
        let made = Self { url: server.clone(), made: Some((server.clone(), name.clone())) };
        made.execute(&format!("CREATE DATABASE {name}")).await;
        let (place, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{place}/{name}"), ..made }
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.made.is_some() { "Postgres" } else { "SQLite" }
    }

    /// What a database does by itself in the time in which so much comes together, and has not done yet here.
    pub(crate) fn tidy_up(&self) -> &'static str {
        if self.made.is_some() { "VACUUM (ANALYZE)" } else { "ANALYZE" }
    }

    /// Runs SQL past the store.
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }

    /// Removes what was made on a server; a file goes with its folder.
    pub(crate) async fn remove(self) {
        if let Some((server, name)) = self.made {
            let outside = Self { url: server, made: None };
            outside.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}
