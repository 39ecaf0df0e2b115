//! A database of a test's own on the Postgres that `TEST_POSTGRES_URL` names. Use it by
//! `#[path = "support/database.rs"] mod database;`.

use std::process::Command;

/// Gone with this value.
pub(crate) struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    /// An empty one. `None` where no Postgres is known, which is said aloud on a laptop and fails in CI.
    #[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
    pub(crate) fn make(purpose: &str) -> Option<Self> {
        let Ok(server) = std::env::var("TEST_POSTGRES_URL") else {
            assert!(std::env::var("CI").is_err(), "in CI `TEST_POSTGRES_URL` must be set");
            eprintln!("SKIPPED: `TEST_POSTGRES_URL` is not set");
            return None;
        };
        let name = format!("{purpose}_{}_{}", std::process::id(), fastrand::u32(..));
        psql(&server, &format!("CREATE DATABASE {name}"));
        Some(Self { server, name })
    }

    pub(crate) fn url(&self) -> String {
        let (base, _) = self.server.rsplit_once('/').unwrap();
        format!("{base}/{}", self.name)
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn psql(url: &str, sql: &str) {
    let output = Command::new("psql").args([url, "-qc", sql]).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
}
