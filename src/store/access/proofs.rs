//! Which sessions and tokens are still good, many at once.

use sqlx::{FromRow, QueryBuilder};

use super::teams::MemberRow;
use crate::model::{PersonId, Timestamp};
use crate::store::{Store, StoreError, with_db};

/// A session or token that is still good, of somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ProofRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub person: PersonId,
    /// Whether they own the installation.
    pub is_owner: bool,
}

impl Store {
    /// Those of these sessions and tokens that are good at this moment; `ids` are few thousand at most.
    pub async fn list_good_proofs(
        &self,
        ids: &[String],
        now: Timestamp,
    ) -> Result<Vec<ProofRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            let mut found = Vec::new();
            for table in ["sessions", "api_tokens"] {
                let mut sql = QueryBuilder::new(format!(
                    "SELECT {table}.id, {table}.person, people.is_owner
                     FROM {table} JOIN people ON people.id = {table}.person
                     WHERE people.disabled_at IS NULL AND {table}.revoked_at IS NULL AND {table}.expires_at > "
                ));
                sql.push_bind(now).push(format!(" AND {table}.id IN ("));
                let mut list = sql.separated(", ");
                for id in ids {
                    list.push_bind(id);
                }
                sql.push(")");
                let rows: Vec<ProofRow> = sql.build_query_as().fetch_all(db).await?;
                found.extend(rows);
            }
            found
        }))
    }

    /// The teams that these people are members of; `people` are few thousand at most.
    pub async fn list_memberships_of(
        &self,
        people: &[PersonId],
    ) -> Result<Vec<MemberRow>, StoreError> {
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<super::teams::Record> = with_db!(self, db => {
            let mut sql = QueryBuilder::new(
                "SELECT members.team, teams.name AS team_name, members.person, people.login, members.role
                FROM members JOIN people ON people.id = members.person JOIN teams ON teams.id = members.team
                WHERE members.person IN (",
            );
            let mut list = sql.separated(", ");
            for person in people {
                list.push_bind(person);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(db).await?
        });
        records.into_iter().map(MemberRow::try_from).collect()
    }
}
