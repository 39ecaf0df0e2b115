//! From what has happened to a run to notifications that wait to be sent.

use super::notice::{self, EventKind, Found, Notice, RunFacts};
use super::{NotificationError, Notifications};
use crate::model::{ProjectId, RunStatus, TeamId};
use crate::runs::LoadedRun;
use crate::secrets::new_id;
use crate::source::matches_glob;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::outbox::NotificationRow;
use crate::store::intake::subscriptions::SubscriptionRow;
use crate::store::runs::RunFilter;

/// Notifications of one subscription that wait; more are not stored, as nobody would read them.
pub(super) const WAITING_MAX: i64 = 1000;
/// Runs that are looked through for the one before.
const RUNS_MAX: u32 = 20;

impl Notifications {
    /// Writes down what is to be told of a run. Asked again, it writes down nothing twice.
    pub async fn note_run(&self, loaded: &LoadedRun) -> Result<(), NotificationError> {
        let Some(project) = self.store().find_project(&loaded.row.project).await? else {
            return Ok(());
        };
        let subscriptions = self.subscriptions_for(&project, &loaded.row.branch).await?;
        if subscriptions.is_empty() {
            return Ok(());
        }
        let events = self.store().list_events(&loaded.row.id, 0).await?;
        let before = if loaded.run.status() == RunStatus::Passed {
            self.status_before(loaded).await?
        } else {
            None
        };
        let mut rows = Vec::new();
        for found in notice::find(&loaded.run, &events, before) {
            let notice = self.notice(&project, loaded, &found);
            let cause = format!("run:{}#{}", loaded.row.id, found.seq);
            for subscription in subscriptions.iter().filter(|it| wants(it, found.event)) {
                rows.push(self.row(subscription, (&cause, found.event), &notice)?);
            }
        }
        Ok(self.store().insert_notifications(&rows, WAITING_MAX).await?)
    }

    /// Tells one subscription that somebody tries it.
    pub async fn note_test(
        &self,
        subscription: &SubscriptionRow,
        (team, by): (&str, &str),
    ) -> Result<String, NotificationError> {
        let notice = Notice {
            event: EventKind::Test,
            at: self.now(),
            team: team.to_owned(),
            project: String::new(),
            run: None,
            failed: Vec::new(),
            approval: None,
            text: format!("{by} tries whether notifications arrive"),
        };
        let cause = format!("test:{}", new_id(self.now()));
        let row = self.row(subscription, (&cause, EventKind::Test), &notice)?;
        let id = row.id.clone();
        self.store().insert_notifications(&[row], WAITING_MAX).await?;
        Ok(id)
    }

    /// Tells the other subscriptions of the team that one gets nothing any more.
    pub(super) async fn note_disabled(
        &self,
        disabled: &SubscriptionRow,
        reason: &str,
    ) -> Result<(), NotificationError> {
        let team = self.store().list_teams().await?.into_iter().find(|it| it.id == disabled.team);
        let event = EventKind::SubscriptionDisabled;
        let (form, target) = (&disabled.form, &disabled.shown_target);
        let notice = Notice {
            event,
            at: self.now(),
            team: team.map(|it| it.name).unwrap_or_default(),
            project: String::new(),
            run: None,
            failed: Vec::new(),
            approval: None,
            text: format!("{form} to {target}: {reason}"),
        };
        let cause = format!("disabled:{}#{}", disabled.id, self.now().0);
        let mut rows = Vec::new();
        for other in self.store().list_subscriptions(&disabled.team).await? {
            if other.id != disabled.id && other.disabled_at.is_none() && wants(&other, event) {
                rows.push(self.row(&other, (&cause, event), &notice)?);
            }
        }
        Ok(self.store().insert_notifications(&rows, WAITING_MAX).await?)
    }

    async fn subscriptions_for(
        &self,
        project: &ProjectRow,
        branch: &str,
    ) -> Result<Vec<SubscriptionRow>, NotificationError> {
        let TeamId(team) = &project.team;
        let all = self.store().list_subscriptions(&TeamId(team.clone())).await?;
        let is_meant = |it: &SubscriptionRow| {
            let ProjectId(only) = &it.project;
            let branches: Vec<String> = serde_json::from_str(&it.branches).unwrap_or_default();
            (only.is_empty() || it.project == project.id)
                && (branches.is_empty() || matches_glob(&branches, branch))
                && it.disabled_at.is_none()
        };
        Ok(all.into_iter().filter(is_meant).collect())
    }

    /// How the run before it ended, on the same branch.
    async fn status_before(
        &self,
        loaded: &LoadedRun,
    ) -> Result<Option<RunStatus>, NotificationError> {
        let row = &loaded.row;
        let filter = RunFilter {
            project: Some(row.project.clone()),
            pipeline: Some(row.pipeline.clone()),
            branch: Some(row.branch.clone()),
            statuses: vec![RunStatus::Passed, RunStatus::Failed],
            before: Some(row.id.clone()),
            limit: RUNS_MAX,
            ..RunFilter::default()
        };
        let rows = self.store().list_runs(&filter).await?;
        let is_request = |event: &str| event == "pull_request";
        let mut same =
            rows.into_iter().filter(|it| is_request(&it.event) == is_request(&row.event));
        Ok(same.next().map(|it| it.status))
    }

    fn notice(&self, project: &ProjectRow, loaded: &LoadedRun, found: &Found) -> Notice {
        let row = &loaded.row;
        let base = self.parts.public_url.as_ref();
        Notice {
            event: found.event,
            at: found.at,
            team: project.team_name.clone(),
            project: project.name.clone(),
            run: Some(RunFacts {
                id: row.id.to_string(),
                number: row.number,
                pipeline: row.pipeline.clone(),
                event: row.event.clone(),
                branch: row.branch.clone(),
                revision: row.revision.clone(),
                title: row.title.clone(),
                status: loaded.run.status().to_string(),
                url: base.map(|it| format!("{it}/runs/{}", row.id)),
            }),
            failed: found.failed.clone(),
            approval: found.approval.clone(),
            text: String::new(),
        }
    }

    pub(super) fn row(
        &self,
        subscription: &SubscriptionRow,
        (cause, event): (&str, EventKind),
        notice: &Notice,
    ) -> Result<NotificationRow, NotificationError> {
        let now = self.now();
        Ok(NotificationRow {
            id: new_id(now),
            subscription: subscription.id.clone(),
            cause: cause.to_owned(),
            event: event.as_str().to_owned(),
            run: crate::model::RunId(
                notice.run.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
            ),
            notice: serde_json::to_string(notice)?,
            status: "waiting".to_owned(),
            attempts: 0,
            next_at: now,
            error: String::new(),
            created_at: now,
        })
    }
}

pub(super) fn wants(subscription: &SubscriptionRow, event: EventKind) -> bool {
    let wanted: Vec<EventKind> = serde_json::from_str(&subscription.events).unwrap_or_default();
    event.names().iter().any(|it| wanted.contains(it))
}
