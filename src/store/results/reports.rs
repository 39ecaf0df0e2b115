//! The tables `attempt_reports`, `test_cases` and `findings`: what the reports of an attempt said.

use sqlx::QueryBuilder;

use crate::model::{
    AttemptName, CaseOutcome, FindingLevel, ProjectId, RunId, StageIndex, Timestamp,
};
use crate::store::artifacts::attempt_name;
use crate::store::{Store, StoreError, in_transaction, read_word, with_db, with_writer};

/// Rows of one INSERT; keeps its parameters below the limits of both databases.
const CHUNK: usize = 500;
/// Cases that failed earlier and are looked for in a report.
const FAILED_MAX: i64 = 5000;

/// What the reports of one attempt said.
#[derive(Debug, Clone)]
pub struct AttemptReport {
    /// Whose.
    pub attempt: AttemptName,
    /// Key of its stage.
    pub stage_key: String,
    /// When it ended.
    pub at: Timestamp,
    /// Stands for the set of cases that ran; empty when no report was one of tests.
    pub executed: String,
    /// Cases that failed, however many have rows.
    pub failed: u64,
    /// Cases that failed or were flaky and have no row.
    pub cases_left_out: u64,
    /// Findings that have no row.
    pub findings_left_out: u64,
    /// Cases worth a row.
    pub cases: Vec<NewCase>,
    /// Findings, worst first.
    pub findings: Vec<NewFinding>,
}

/// A test case to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCase {
    /// Stands for suite and name.
    pub case_id: String,
    /// Its suite, or empty.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: CaseOutcome,
    /// What is wrong.
    pub message: String,
    /// File, or empty.
    pub file: String,
    /// Line in it.
    pub line: Option<i64>,
    /// How long it took.
    pub duration_ms: Option<i64>,
}

/// A test case of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// The attempt that ran it.
    pub attempt: AttemptName,
    /// Its place in the attempt.
    pub place: i64,
    /// Key of the stage.
    pub stage_key: String,
    /// Whether it failed, and passed with the same files.
    pub is_flaky: bool,
    /// The rest.
    pub case: NewCase,
}

/// A finding to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFinding {
    /// How bad it is.
    pub level: FindingLevel,
    /// The rule.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// File, or empty.
    pub file: String,
    /// Line in it.
    pub line: Option<i64>,
}

/// A finding of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// The attempt that found it.
    pub attempt: AttemptName,
    /// Its place in the attempt.
    pub place: i64,
    /// Key of the stage.
    pub stage_key: String,
    /// The rest.
    pub finding: NewFinding,
}

/// What of an attempt's reports is in no other row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// Whose.
    pub attempt: AttemptName,
    /// Key of the stage.
    pub stage_key: String,
    /// Cases that failed or were flaky and have no row.
    pub cases_left_out: i64,
    /// Findings that have no row.
    pub findings_left_out: i64,
}

#[derive(sqlx::FromRow)]
struct CaseRecord {
    run: RunId,
    stage: i64,
    attempt: i64,
    place: i64,
    stage_key: String,
    case_id: String,
    suite: String,
    name: String,
    outcome: String,
    is_flaky: bool,
    message: String,
    file: String,
    line: Option<i64>,
    duration_ms: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct FindingRecord {
    run: RunId,
    stage: i64,
    attempt: i64,
    place: i64,
    stage_key: String,
    level: String,
    rule: String,
    message: String,
    file: String,
    line: Option<i64>,
}

impl TryFrom<CaseRecord> for CaseRow {
    type Error = StoreError;

    fn try_from(it: CaseRecord) -> Result<Self, StoreError> {
        let outcome = read_word(|| format!("outcome of a case of run {}", it.run), &it.outcome)?;
        Ok(Self {
            attempt: attempt_name(it.run, it.stage, it.attempt),
            place: it.place,
            stage_key: it.stage_key,
            is_flaky: it.is_flaky,
            case: NewCase {
                case_id: it.case_id,
                suite: it.suite,
                name: it.name,
                outcome,
                message: it.message,
                file: it.file,
                line: it.line,
                duration_ms: it.duration_ms,
            },
        })
    }
}

impl TryFrom<FindingRecord> for FindingRow {
    type Error = StoreError;

    fn try_from(it: FindingRecord) -> Result<Self, StoreError> {
        let level = read_word(|| format!("level of a finding of run {}", it.run), &it.level)?;
        Ok(Self {
            attempt: attempt_name(it.run, it.stage, it.attempt),
            place: it.place,
            stage_key: it.stage_key,
            finding: NewFinding {
                level,
                rule: it.rule,
                message: it.message,
                file: it.file,
                line: it.line,
            },
        })
    }
}

/// Adds the rows of the cases. A macro, as the type of the builder differs by database.
macro_rules! insert_cases {
    ($tx:ident, $report:ident, $row:ident) => {
        for (chunk, first) in $report.cases.chunks(CHUNK).zip((0i64..).step_by(CHUNK)) {
            QueryBuilder::new(INSERT_CASES)
                .push_values((first..).zip(chunk), |mut values, (place, case)| {
                    values
                        .push_bind(&$report.attempt.run)
                        .push_bind(i64::from($report.attempt.stage.0))
                        .push_bind(i64::from($report.attempt.attempt))
                        .push_bind(place)
                        .push_bind(&$report.stage_key)
                        .push_bind(&$row.project)
                        .push_bind(&$row.tree)
                        .push_bind($report.at)
                        .push_bind(&case.case_id)
                        .push_bind(&case.suite)
                        .push_bind(&case.name)
                        .push_bind(case.outcome.as_str())
                        .push_bind(case.outcome == CaseOutcome::Flaky)
                        .push_bind(&case.message)
                        .push_bind(&case.file)
                        .push_bind(case.line)
                        .push_bind(case.duration_ms);
                })
                .build()
                .execute(&mut *$tx)
                .await?;
        }
    };
}

/// Adds the rows of the findings.
macro_rules! insert_findings {
    ($tx:ident, $report:ident) => {
        for (chunk, first) in $report.findings.chunks(CHUNK).zip((0i64..).step_by(CHUNK)) {
            QueryBuilder::new(INSERT_FINDINGS)
                .push_values((first..).zip(chunk), |mut values, (place, it)| {
                    values
                        .push_bind(&$report.attempt.run)
                        .push_bind(i64::from($report.attempt.stage.0))
                        .push_bind(i64::from($report.attempt.attempt))
                        .push_bind(place)
                        .push_bind(&$report.stage_key)
                        .push_bind(it.level.as_str())
                        .push_bind(&it.rule)
                        .push_bind(&it.message)
                        .push_bind(&it.file)
                        .push_bind(it.line);
                })
                .build()
                .execute(&mut *$tx)
                .await?;
        }
    };
}

impl Store {
    /// Stores what the reports of an attempt said, in place of what is stored of it already.
    pub async fn save_report(&self, report: &AttemptReport) -> Result<(), StoreError> {
        const CLEAR: &str =
            "DELETE FROM attempt_reports WHERE run = $1 AND stage = $2 AND attempt = $3";
        const SQL: &str = "
            INSERT INTO attempt_reports (
                run, stage, attempt, stage_key, project, tree, at, executed, is_whole, failed,
                cases_left_out, findings_left_out
            )
            SELECT id, $2, $3, $4, project, tree, $5, $6, $7, $8, $9, $10 FROM runs WHERE id = $1";
        let name = &report.attempt;
        let (stage, number) = (i64::from(name.stage.0), i64::from(name.attempt));
        let row = self.find_run(&name.run).await?;
        let Some(row) = row else { return Ok(()) };
        in_transaction!(self, tx => {
            sqlx::query(CLEAR).bind(&name.run).bind(stage).bind(number).execute(&mut *tx).await?;
            sqlx::query(SQL)
                .bind(&name.run)
                .bind(stage)
                .bind(number)
                .bind(&report.stage_key)
                .bind(report.at)
                .bind(&report.executed)
                .bind(report.cases_left_out == 0)
                .bind(count(report.failed))
                .bind(count(report.cases_left_out))
                .bind(count(report.findings_left_out))
                .execute(&mut *tx)
                .await?;
            insert_cases!(tx, report, row);
            insert_findings!(tx, report);
        });
        self.mark_flaky(&row.project, &row.tree, &report.stage_key).await
    }

    /// Marks every failure of a stage with these files whose case has passed with them: because it has a row
    /// that says so, or because an attempt that ran the same cases has no failure of it. Two attempts that end
    /// together see each other: each has stored its own rows before.
    async fn mark_flaky(
        &self,
        project: &ProjectId,
        tree: &str,
        stage_key: &str,
    ) -> Result<(), StoreError> {
        const SQL: &str = "
            UPDATE test_cases SET is_flaky = TRUE
            WHERE project = $1 AND tree = $2 AND stage_key = $3
                AND outcome IN ('failed', 'error') AND NOT is_flaky
                AND (EXISTS (
                    SELECT 1 FROM test_cases AS good
                    WHERE good.project = $1 AND good.tree = $2 AND good.stage_key = $3
                        AND good.case_id = test_cases.case_id
                        AND good.outcome IN ('passed', 'flaky')
                ) OR EXISTS (
                    SELECT 1 FROM attempt_reports AS its, attempt_reports AS other
                    WHERE its.run = test_cases.run AND its.stage = test_cases.stage
                        AND its.attempt = test_cases.attempt
                        AND other.project = $1 AND other.tree = $2 AND other.stage_key = $3
                        AND other.executed = its.executed AND other.is_whole
                        AND NOT EXISTS (
                            SELECT 1 FROM test_cases AS bad
                            WHERE bad.run = other.run AND bad.stage = other.stage
                                AND bad.attempt = other.attempt
                                AND bad.case_id = test_cases.case_id
                                AND bad.outcome IN ('failed', 'error')
                        )
                ))";
        if tree.is_empty() {
            return Ok(());
        }
        with_writer!(self, db => {
            sqlx::query(SQL).bind(project).bind(tree).bind(stage_key).execute(db).await?.rows_affected()
        });
        Ok(())
    }

    /// Cases that failed in other attempts of a stage of this name with the same files: id, suite and name.
    pub async fn list_failed_before(
        &self,
        attempt: &AttemptName,
        stage_key: &str,
    ) -> Result<Vec<(String, String, String)>, StoreError> {
        const SQL: &str = "
            SELECT case_id, max(suite), max(name) FROM test_cases
            WHERE project = $1 AND tree = $2 AND stage_key = $3 AND outcome IN ('failed', 'error')
                AND NOT (run = $4 AND stage = $5 AND attempt = $6)
            GROUP BY case_id ORDER BY case_id LIMIT $7";
        let Some(row) = self.find_run(&attempt.run).await? else { return Ok(Vec::new()) };
        if row.tree.is_empty() {
            return Ok(Vec::new());
        }
        Ok(with_db!(self, db => {
            sqlx::query_as(SQL)
                .bind(&row.project)
                .bind(&row.tree)
                .bind(stage_key)
                .bind(&attempt.run)
                .bind(i64::from(attempt.stage.0))
                .bind(i64::from(attempt.attempt))
                .bind(FAILED_MAX)
                .fetch_all(db)
                .await?
        }))
    }

    /// The test cases that are stored of a run; only of one attempt, if that is given.
    pub async fn list_cases(
        &self,
        run: &RunId,
        only: Option<(StageIndex, u32)>,
    ) -> Result<Vec<CaseRow>, StoreError> {
        const SQL: &str = "
            SELECT run, stage, attempt, place, stage_key, case_id, suite, name, outcome, is_flaky,
                message, file, line, duration_ms
            FROM test_cases WHERE run = $1 AND ($2 < 0 OR (stage = $2 AND attempt = $3))
            ORDER BY stage, attempt, place";
        let (stage, attempt) = bounds(only);
        let records: Vec<CaseRecord> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(run).bind(stage).bind(attempt).fetch_all(db).await?
        });
        records.into_iter().map(CaseRow::try_from).collect()
    }

    /// The findings that are stored of a run; only of one attempt, if that is given.
    pub async fn list_findings(
        &self,
        run: &RunId,
        only: Option<(StageIndex, u32)>,
    ) -> Result<Vec<FindingRow>, StoreError> {
        const SQL: &str = "
            SELECT * FROM findings WHERE run = $1 AND ($2 < 0 OR (stage = $2 AND attempt = $3))
            ORDER BY stage, attempt, place";
        let (stage, attempt) = bounds(only);
        let records: Vec<FindingRecord> = with_db!(self, db => {
            sqlx::query_as(SQL).bind(run).bind(stage).bind(attempt).fetch_all(db).await?
        });
        records.into_iter().map(FindingRow::try_from).collect()
    }

    /// The attempts of a run that have reports.
    pub async fn list_reports(&self, run: &RunId) -> Result<Vec<ReportRow>, StoreError> {
        const SQL: &str = "
            SELECT stage, attempt, stage_key, cases_left_out, findings_left_out
            FROM attempt_reports WHERE run = $1 ORDER BY stage, attempt";
        let rows: Vec<(i64, i64, String, i64, i64)> =
            with_db!(self, db => sqlx::query_as(SQL).bind(run).fetch_all(db).await?);
        let row = |(stage, attempt, stage_key, cases_left_out, findings_left_out)| ReportRow {
            attempt: attempt_name(run.clone(), stage, attempt),
            stage_key,
            cases_left_out,
            findings_left_out,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

const INSERT_CASES: &str = "
    INSERT INTO test_cases (
        run, stage, attempt, place, stage_key, project, tree, at, case_id, suite, name, outcome,
        is_flaky, message, file, line, duration_ms
    ) ";
const INSERT_FINDINGS: &str = "
    INSERT INTO findings (
        run, stage, attempt, place, stage_key, level, rule, message, file, line
    ) ";

/// Stage and attempt for a query; a stage below zero is any.
fn bounds(only: Option<(StageIndex, u32)>) -> (i64, i64) {
    only.map_or((-1, 0), |(stage, attempt)| (i64::from(stage.0), i64::from(attempt)))
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
