//! `LISTEN` and `NOTIFY` of Postgres: news for other processes. News may be lost (a connection breaks, a
//! process dies before it sends them), so whoever waits for them looks now and again all the same.

use sqlx::postgres::PgListener;

use crate::store::connection::Pool;
use crate::store::{Store, StoreError};

/// News that are sent with one statement.
pub const NOTICES_MAX: usize = 200;

/// Hears what other processes say. One connection.
#[derive(Debug)]
pub struct Listener(PgListener);

/// What a [`Listener`] hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// News, as they were sent.
    Notice(String),
    /// The connection broke, and stands again: anything may have happened.
    Gap,
}

impl Store {
    /// Begins to listen; `None` on SQLite, where there is nobody to hear.
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        let Pool::Postgres(pool) = &self.pool else { return Ok(None) };
        let mut listener = PgListener::connect_with(pool).await?;
        // Databases are shared by schemas, and channels belong to databases.
        let schema: String = sqlx::query_scalar("SELECT COALESCE(current_schema()::text, '')")
            .fetch_one(&mut listener)
            .await?;
        listener.listen(&format!("trunkline {schema}")).await?;
        Ok(Some(Listener(listener)))
    }

    /// Sends news to all who listen, the sender included. Nothing on SQLite.
    pub async fn notify(&self, notices: &[String]) -> Result<(), StoreError> {
        // The commit of a transaction that notifies holds a lock of the whole database, so it should not
        // wait for the disk: there is nothing on it to be lost.
        const SQL: &str = "
            SELECT set_config('synchronous_commit', 'off', true),
                count(pg_notify('trunkline ' || COALESCE(current_schema()::text, ''), notice))
            FROM unnest($1::text[]) AS notice";
        let Pool::Postgres(pool) = &self.pool else { return Ok(()) };
        sqlx::query(SQL).bind(notices).execute(pool).await?;
        Ok(())
    }
}

impl Listener {
    /// Waits for news. After an error the listener is of no use any more.
    pub async fn hear(&mut self) -> Result<Heard, StoreError> {
        let heard = self.0.try_recv().await?;
        Ok(heard.map_or(Heard::Gap, |it| Heard::Notice(it.payload().to_owned())))
    }
}
