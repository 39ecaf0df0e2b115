//! Schedules of the default branch's pipelines: read when it moves, and started when they are due. A cron
//! counts in its own time zone; what happens when clocks change is said in `docs/webhooks.md`.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::start::{Happening, HappeningKind};
use super::{TriggerError, Triggers, pipelines};
use crate::model::{Milliseconds, Timestamp};
use crate::pipeline::file::trigger::Missed;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::schedules::ScheduleRow;

/// A moment that is this long past was missed: nobody was there to start it.
const MISSED_AFTER: Milliseconds = Milliseconds::from_seconds(5 * 60);
/// Where a moment lies that never comes, such as 30 February.
const NEVER: Timestamp = Timestamp(i64::MAX);
/// The word for [`Missed::Skip`] in the table.
const SKIP: &str = "skip";

/// The next moment of a cron after `after`.
pub(super) fn next(cron: &str, timezone: &str, after: Timestamp) -> Timestamp {
    let zone: chrono_tz::Tz = timezone.parse().unwrap_or(chrono_tz::UTC);
    let Some(cron) = parse(cron) else { return NEVER };
    let Some(after) = DateTime::<Utc>::from_timestamp_millis(after.0) else { return NEVER };
    let found = cron.find_next_occurrence(&after.with_timezone(&zone), false);
    found.map_or(NEVER, |it| Timestamp(it.timestamp_millis()))
}

fn parse(cron: &str) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(cron).ok()
}

impl Triggers {
    /// Makes the schedules of a project those of its default branch.
    pub(super) async fn read_schedules(
        &self,
        project: &ProjectRow,
        commit: &str,
    ) -> Result<(), TriggerError> {
        let (mirror, commit) = (self.projects.mirror(&project.id), commit.to_owned());
        let read = tokio::task::spawn_blocking(move || pipelines::read_all(&mirror, &commit)).await;
        let found = read.map_err(|error| TriggerError::Broken(error.to_string()))??;
        let now = self.now();
        let mut rows = Vec::new();
        for pipeline in found.iter().filter_map(|it| it.checked.pipeline.as_ref()) {
            for schedule in &pipeline.triggers().schedules {
                rows.push(ScheduleRow {
                    project: project.id.clone(),
                    pipeline: pipeline.name().to_owned(),
                    name: schedule.name.clone(),
                    cron: schedule.cron.clone(),
                    timezone: schedule.timezone.clone(),
                    missed: match schedule.missed {
                        Missed::RunOnce => "run_once".to_owned(),
                        Missed::Skip => SKIP.to_owned(),
                    },
                    branch: schedule.branch.clone().unwrap_or_default(),
                    next_at: next(&schedule.cron, &schedule.timezone, now),
                    last_at: Timestamp(0),
                    is_paused: false,
                });
            }
        }
        Ok(self.store().save_schedules(&project.id, &rows).await?)
    }

    /// Starts what is due. The run is stored first, under a cause that names the moment, and then the
    /// schedule moves on: of several processes, and after a crash, one run is made.
    pub(super) async fn start_due_schedules(&self) -> Result<bool, TriggerError> {
        for row in self.store().list_due_schedules(self.now()).await? {
            if let Err(error) = self.start_schedule(&row).await {
                let (pipeline, name) = (&row.pipeline, &row.name);
                tracing::warn!(pipeline, name, %error, "a schedule could not be started");
            }
        }
        Ok(false)
    }

    async fn start_schedule(&self, row: &ScheduleRow) -> Result<(), TriggerError> {
        let now = self.now();
        let is_missed = now > row.next_at.plus(MISSED_AFTER);
        let project = self.store().find_project(&row.project).await?;
        let project = project.filter(|it| it.archived_at.is_none());
        if let Some(project) = project.filter(|_| !(is_missed && row.missed == SKIP)) {
            self.start_scheduled_run(&project, row).await?;
        }
        let next_at = next(&row.cron, &row.timezone, now);
        self.store().advance_schedule(row, next_at, row.next_at).await?;
        Ok(())
    }

    async fn start_scheduled_run(
        &self,
        project: &ProjectRow,
        row: &ScheduleRow,
    ) -> Result<(), TriggerError> {
        let branch = if row.branch.is_empty() { &project.default_branch } else { &row.branch };
        let r#ref = format!("refs/heads/{branch}");
        let mirror = self.projects.fetch(project).await?;
        let commit = mirror.find_commit(&r#ref)?.id;
        let happening = Happening {
            cause: format!("schedule:{}@{}", row.name, row.next_at.0),
            commit,
            r#ref,
            base: None,
            hands: Vec::new(),
            kind: HappeningKind::Schedule(row.pipeline.clone()),
        };
        let (_, outcome) = self.start(project, happening, None).await?;
        tracing::info!(
            project = project.slug(),
            schedule = row.name,
            outcome,
            "a schedule was due"
        );
        Ok(())
    }
}
