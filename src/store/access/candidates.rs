//! People who can be asked to approve something: of `people` and `members` only those whom the question concerns.

use sqlx::QueryBuilder;

use super::people::PersonRow;
use crate::model::TeamId;
use crate::store::{Store, StoreError, with_db};

/// Who is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidates {
    /// Owners, and who has the role `approver` or more in a team.
    ApproversOf(TeamId),
    /// Whoever is named.
    Named {
        /// By login, in lower case.
        logins: Vec<String>,
        /// By the name of a team that they are in.
        teams: Vec<String>,
    },
}

impl Store {
    /// The first `limit` of them by login, with those who may not sign in.
    pub async fn list_candidates(
        &self,
        wanted: &Candidates,
        limit: u32,
    ) -> Result<Vec<PersonRow>, StoreError> {
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM people WHERE ");
            match wanted {
                Candidates::ApproversOf(team) => {
                    sql.push("is_owner OR id IN (SELECT person FROM members WHERE team = ");
                    sql.push_bind(team).push(" AND role IN ('approver', 'admin'))");
                }
                Candidates::Named { logins, teams } => {
                    sql.push("id IN (SELECT id FROM people WHERE login IN (''");
                    for login in logins {
                        sql.push(", ").push_bind(login);
                    }
                    sql.push(") UNION SELECT members.person FROM teams JOIN members ON members.team = teams.id
                        WHERE teams.name IN (''");
                    for team in teams {
                        sql.push(", ").push_bind(team);
                    }
                    sql.push("))");
                }
            }
            sql.push(" ORDER BY login LIMIT ").push_bind(i64::from(limit));
            sql.build_query_as().fetch_all(db).await?
        }))
    }
}
