//! Posts statuses to forges: only the newest state of each, again when the forge was away, and not while it
//! asks to be left alone.

use std::collections::BTreeMap;

use super::intake::delay_after;
use super::{TriggerError, Triggers};
use crate::forge::{PostError, StatusPost, StatusState};
use crate::metrics;
use crate::model::{Milliseconds, ProjectId, Timestamp};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::statuses::StatusRow;

/// Statuses that are looked at together.
const BATCH: u32 = 50;
/// How often a status is tried.
const TRIES: i64 = 12;
/// How long a status is taken for; after it another process may try.
const CLAIM: Milliseconds = Milliseconds::from_seconds(60);
/// Between two posts of one status: what changes in the meantime is posted as one.
const PACE: Milliseconds = Milliseconds::from_seconds(2);

/// What came of a try.
struct Tried {
    remote_id: String,
    /// Whether this version needs no further try.
    is_done: bool,
    error: String,
    next_at: Timestamp,
    /// Until when the whole forge is left alone.
    pause_until: Option<Timestamp>,
}

impl Triggers {
    /// Posts what is due; true when there is more to do.
    pub(super) async fn post_statuses(&self) -> Result<bool, TriggerError> {
        let rows = self.store().list_statuses_to_post(self.now(), BATCH).await?;
        let is_full = rows.len() == BATCH as usize;
        let mut paused: BTreeMap<ProjectId, Timestamp> = BTreeMap::new();
        for row in rows {
            let now = self.now();
            if !self.store().claim_status(&row, now.plus(CLAIM)).await? {
                continue;
            }
            let tried = match paused.get(&row.project) {
                Some(until) => Tried::later(&row, *until),
                None => self.try_to_post(&row, now).await?,
            };
            if let Some(until) = tried.pause_until {
                paused.insert(row.project.clone(), until);
            }
            metrics::status_posted(tried.outcome());
            let posted = if tried.is_done { row.version } else { row.posted };
            let done = StatusRow {
                posted,
                remote_id: tried.remote_id,
                error: tried.error,
                next_at: tried.next_at,
                ..row
            };
            self.store().save_post(&done, now).await?;
        }
        Ok(is_full)
    }

    async fn try_to_post(&self, row: &StatusRow, now: Timestamp) -> Result<Tried, TriggerError> {
        let Some(project) = self.store().find_project(&row.project).await? else {
            return Ok(Tried::given_up(row, now, "the project is gone".to_owned()));
        };
        let client = match self.projects.client(&project).await {
            Ok(Some(client)) => client,
            Ok(None) => {
                let reason = "the project has no forge, or no token for it".to_owned();
                return Ok(Tried::given_up(row, now, reason));
            }
            Err(error) => return Ok(Tried::failed(row, now, error.to_string())),
        };
        let post = self.post_of(&project, row);
        Ok(match client.post(&post, now).await {
            Ok(posted) => Tried {
                remote_id: posted.remote_id,
                is_done: true,
                error: String::new(),
                next_at: posted.pause_until.unwrap_or_else(|| now.plus(PACE)),
                pause_until: posted.pause_until,
            },
            Err(PostError::Limited { until }) => Tried::later(row, until),
            Err(error) if error.is_temporary() => Tried::failed(row, now, error.to_string()),
            Err(error) => Tried::given_up(row, now, error.to_string()),
        })
    }

    fn post_of(&self, project: &ProjectRow, row: &StatusRow) -> StatusPost {
        let base = self.settings.public_url.as_ref();
        let place = if row.run.0.is_empty() {
            format!("projects/{}", project.slug())
        } else {
            format!("runs/{}", row.run)
        };
        StatusPost {
            revision: row.revision.clone(),
            context: row.context.clone(),
            state: StatusState::parse(&row.state).unwrap_or(StatusState::Pending),
            description: row.description.clone(),
            summary: row.summary.clone(),
            target_url: base.map(|it| format!("{it}/{place}")),
            remote_id: row.remote_id.clone(),
        }
    }
}

impl Tried {
    /// The forge wants to be left alone: that is no failure.
    fn later(row: &StatusRow, until: Timestamp) -> Self {
        Self {
            remote_id: row.remote_id.clone(),
            is_done: false,
            error: "the forge takes no more requests for now".to_owned(),
            next_at: until,
            pause_until: Some(until),
        }
    }

    /// In one word.
    fn outcome(&self) -> &'static str {
        match (self.is_done, self.error.is_empty()) {
            (true, true) => "posted",
            (true, false) => "given_up",
            (false, _) if self.pause_until.is_some() => "later",
            (false, _) => "failed",
        }
    }

    fn failed(row: &StatusRow, now: Timestamp, error: String) -> Self {
        let attempts = row.attempts + 1;
        if attempts >= TRIES {
            return Self::given_up(row, now, error);
        }
        let next_at = now.plus(delay_after(attempts));
        let remote_id = row.remote_id.clone();
        Self { remote_id, is_done: false, error, next_at, pause_until: None }
    }

    fn given_up(row: &StatusRow, now: Timestamp, error: String) -> Self {
        tracing::warn!(
            revision = row.revision,
            context = row.context,
            error,
            "a status is not posted"
        );
        let remote_id = row.remote_id.clone();
        Self { remote_id, is_done: true, error, next_at: now.plus(PACE), pause_until: None }
    }
}
