//! Lists of runs: newest first, with filters. Each must be quick among millions, also where it finds nothing.

use sqlx::QueryBuilder;

use super::{Record, RunRow};
use crate::model::{ProjectId, RunId, RunStatus, TeamId};
use crate::store::{Store, StoreError, with_db};

/// Projects whose newest runs are looked up one by one and merged. Where there are more, one of them has what
/// is looked for soon, and the list is read from its new end.
const PROJECTS_MERGED: usize = 64;

/// Letters of a revision that name it at least.
const REVISION_LETTERS_MIN: usize = 4;
/// Those of a whole one, by SHA-1.
const SHA1_LETTERS: usize = 40;
/// Revisions with the same first letters that are looked for.
const REVISIONS_MAX: i64 = 20;

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only this pipeline.
    pub pipeline: Option<String>,
    /// Only this repository.
    pub repository: Option<String>,
    /// Only this project.
    pub project: Option<ProjectId>,
    /// Only projects of these teams.
    pub teams: Option<Vec<TeamId>>,
    /// Only this branch.
    pub branch: Option<String>,
    /// Only this event.
    pub event: Option<String>,
    /// Only this revision: all of it, or its first letters (4 at least).
    pub revision: Option<String>,
    /// Only these statuses; all when empty.
    pub statuses: Vec<RunStatus>,
    /// Only green ones, which others are compared with.
    pub is_green: bool,
    /// Only those of which stages have failed that were not allowed to.
    pub has_failed_stages: bool,
    /// Only runs whose id begins so.
    pub id_prefix: Option<String>,
    /// Only runs created before this one (its id), for paging.
    pub before: Option<RunId>,
    /// At most this many, newest first.
    pub limit: u32,
}

/// Adds a condition for each column whose filter is set.
macro_rules! push_equals {
    ($sql:ident, { $($column:ident: $value:expr),* $(,)? }) => {
        $(if let Some(value) = &$value {
            $sql.push(concat!(" AND ", stringify!($column), " = ")).push_bind(value);
        })*
    };
}

/// Adds the conditions that do not depend on the project. A macro, as the type of the builder differs by database.
macro_rules! push_conditions {
    ($sql:ident, $filter:ident, $revisions:ident) => {
        push_equals!($sql, {
            pipeline: $filter.pipeline,
            repository: $filter.repository,
            branch: $filter.branch,
            event: $filter.event,
        });
        if let Some(revisions) = $revisions {
            let mut list = $sql.push(" AND revision IN (").separated(", ");
            for revision in revisions {
                list.push_bind(revision);
            }
            $sql.push(")");
        }
        if let Some(prefix) = &$filter.id_prefix {
            let length = i32::try_from(prefix.len()).unwrap_or(i32::MAX);
            $sql.push(" AND substr(id, 1, ").push_bind(length);
            $sql.push(") = ").push_bind(prefix);
        }
        if let Some(before) = &$filter.before {
            $sql.push(" AND id < ").push_bind(before);
        }
        if !$filter.statuses.is_empty() {
            let mut words = $sql.push(" AND status IN (").separated(", ");
            for status in &$filter.statuses {
                words.push_bind(status.as_str());
            }
            $sql.push(")");
        }
        if $filter.has_failed_stages {
            $sql.push(" AND failed_stages > 0");
        }
        if $filter.is_green {
            $sql.push(concat!(" AND", $crate::store::runs::green::green!("runs")));
        }
        $sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from($filter.limit));
    };
}

impl Store {
    /// Runs, newest first.
    pub async fn list_runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        let revisions = match &filter.revision {
            Some(wanted) => Some(self.revisions_of(wanted).await?),
            None => None,
        };
        let revisions = revisions.as_deref();
        if revisions.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let projects = match (&filter.project, &filter.teams) {
            (None, None) => return self.list_runs_anywhere(filter, revisions).await,
            (Some(project), None) => vec![project.clone()],
            (wanted, Some(teams)) => self.projects_of(teams, wanted.as_ref()).await?,
        };
        if projects.len() > PROJECTS_MERGED {
            return self.list_runs_anywhere(filter, revisions).await;
        }
        self.list_runs_of(&projects, filter, revisions).await
    }

    /// Revisions that begin so, a bounded number of them; what is no beginning of one stands for itself.
    async fn revisions_of(&self, wanted: &str) -> Result<Vec<String>, StoreError> {
        // Letters of a commit's id come before `g` in every collation.
        const SQL: &str = "
            SELECT DISTINCT revision FROM runs WHERE revision >= $1 AND revision < $2
            ORDER BY revision LIMIT $3";
        let begin = wanted.to_ascii_lowercase();
        let is_begin = (REVISION_LETTERS_MIN..SHA1_LETTERS).contains(&begin.len())
            && begin.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_begin {
            return Ok(vec![begin]);
        }
        let end = format!("{begin}g");
        Ok(with_db!(self, db => {
            sqlx::query_scalar(SQL).bind(&begin).bind(&end).bind(REVISIONS_MAX).fetch_all(db).await?
        }))
    }

    /// How the trunks of these projects stand: of each pipeline the newest run on it by a push, and the newest
    /// by anything else but a request; the newest first. Of a pipeline 20 runs of the trunk are looked at.
    pub async fn list_trunk_runs(&self, projects: &[ProjectId]) -> Result<Vec<RunRow>, StoreError> {
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<Record> = with_db!(self, db => {
            // Names are found one after the other, each by one step in an index.
            let mut sql = QueryBuilder::new(
                "WITH RECURSIVE named (project, trunk, pipeline) AS (
                    SELECT projects.id, projects.default_branch,
                        (SELECT min(pipeline) FROM runs WHERE runs.project = projects.id)
                    FROM projects WHERE projects.id IN (",
            );
            let mut ids = sql.separated(", ");
            for project in projects {
                ids.push_bind(project);
            }
            sql.push(
                ") UNION ALL
                    SELECT project, trunk, (
                        SELECT min(runs.pipeline) FROM runs
                        WHERE runs.project = named.project AND runs.pipeline > named.pipeline)
                    FROM named WHERE pipeline IS NOT NULL
                ), kinds (is_push) AS (SELECT true UNION ALL SELECT false)
                SELECT runs.* FROM named CROSS JOIN kinds JOIN runs ON runs.id = (
                    SELECT max(newest.id) FROM (
                        SELECT id, event FROM runs
                        WHERE project = named.project AND pipeline = named.pipeline AND branch = named.trunk
                        ORDER BY id DESC LIMIT 20) AS newest
                    WHERE newest.event <> 'pull_request' AND (newest.event = 'push') = kinds.is_push)
                WHERE named.pipeline IS NOT NULL ORDER BY runs.id DESC",
            );
            sql.build_query_as().fetch_all(db).await?
        });
        records.into_iter().map(RunRow::try_from).collect()
    }

    /// From the new end of the table on, or by the index that the database finds best.
    #[expect(clippy::cognitive_complexity, reason = "the body is there twice, once a database")]
    async fn list_runs_anywhere(
        &self,
        filter: &RunFilter,
        revisions: Option<&[String]>,
    ) -> Result<Vec<RunRow>, StoreError> {
        let records: Vec<Record> = with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM runs WHERE true");
            push_equals!(sql, { project: filter.project });
            if let Some(teams) = &filter.teams {
                sql.push(" AND project IN (SELECT id FROM projects WHERE team IN (''");
                for team in teams {
                    sql.push(", ").push_bind(team);
                }
                sql.push("))");
            }
            push_conditions!(sql, filter, revisions);
            sql.build_query_as().fetch_all(db).await?
        });
        records.into_iter().map(RunRow::try_from).collect()
    }

    /// The newest of each project, merged: every part is read from its own index and no further than the limit.
    #[expect(clippy::cognitive_complexity, reason = "the body is there twice, once a database")]
    async fn list_runs_of(
        &self,
        projects: &[ProjectId],
        filter: &RunFilter,
        revisions: Option<&[String]>,
    ) -> Result<Vec<RunRow>, StoreError> {
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<Record> = with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT * FROM (");
            for (place, project) in projects.iter().enumerate() {
                sql.push(if place == 0 { "" } else { " UNION ALL " });
                sql.push("SELECT * FROM (SELECT * FROM runs WHERE project = ").push_bind(project);
                push_conditions!(sql, filter, revisions);
                sql.push(format!(") AS p{place}"));
            }
            sql.push(") AS newest ORDER BY id DESC LIMIT ").push_bind(i64::from(filter.limit));
            sql.build_query_as().fetch_all(db).await?
        });
        records.into_iter().map(RunRow::try_from).collect()
    }

    /// Projects of these teams, archived ones too; only `wanted`, if that is given. One more than can be merged
    /// at most.
    async fn projects_of(
        &self,
        teams: &[TeamId],
        wanted: Option<&ProjectId>,
    ) -> Result<Vec<ProjectId>, StoreError> {
        let limit = i64::try_from(PROJECTS_MERGED + 1).unwrap_or(i64::MAX);
        Ok(with_db!(self, db => {
            let mut sql = QueryBuilder::new("SELECT id FROM projects WHERE team IN (''");
            for team in teams {
                sql.push(", ").push_bind(team);
            }
            sql.push(")");
            if let Some(project) = wanted {
                sql.push(" AND id = ").push_bind(project);
            }
            sql.push(" LIMIT ").push_bind(limit);
            sql.build_query_scalar().fetch_all(db).await?
        }))
    }
}
