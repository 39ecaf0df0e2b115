//! The table `group_slots`: who waits for, and who has, a slot of a concurrency group.

use std::collections::HashSet;

use super::{Store, StoreError, in_transaction, with_db, with_writer};
use crate::model::{RunId, StageIndex, Timestamp};

/// Somebody who wants a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotRequest<'a> {
    /// Name of the group; `run:` or `stage:` and the repository stand before it.
    pub group: &'a str,
    /// The run.
    pub run: &'a RunId,
    /// The stage; `None` for the run as a whole.
    pub stage: Option<StageIndex>,
    /// How many may have one.
    pub limit: u32,
    /// Place in trunk; the lowest is served first, then the id of the run.
    pub order: i64,
    /// When it was first asked for.
    pub now: Timestamp,
}

/// The answer to a [`SlotRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotAnswer {
    /// It has one now (or had one before).
    Granted,
    /// It waits; these runs have or come before it.
    Waiting {
        /// In the order they are served.
        behind: Vec<RunId>,
    },
}

/// Somebody who has or waits for a slot.
#[derive(sqlx::FromRow)]
struct Slot {
    run: RunId,
    stage: i64,
    place: i64,
    granted: bool,
}

/// Stands for the run as a whole, as a key cannot be null.
const WHOLE_RUN: i64 = -1;
/// Groups that share a lock wait for each other a little. A prime, so that every letter of a name
/// counts.
const LOCKS: i64 = 61;

impl Store {
    /// Asks for a slot: writes the request down when it is new, and grants it when its turn has come and
    /// a slot is free. Atomic: the limit is never exceeded.
    pub async fn request_slot(&self, request: &SlotRequest<'_>) -> Result<SlotAnswer, StoreError> {
        // Writing the row locks it until the end of the transaction, on both databases.
        const LOCK: &str = "
            INSERT INTO group_locks (lock) VALUES ($1)
            ON CONFLICT (lock) DO UPDATE SET lock = excluded.lock";
        const ASK: &str = "
            INSERT INTO group_slots (name, run, stage, place, granted, requested_at)
            VALUES ($1, $2, $3, $4, false, $5)
            ON CONFLICT (name, run, stage) DO NOTHING";
        const LIST: &str = "
            SELECT s.run, s.stage, s.place, s.granted
            FROM group_slots s JOIN runs r ON r.id = s.run
            WHERE s.name = $1 AND r.status NOT IN ('passed', 'failed', 'cancelled')";
        const GRANT: &str = "
            UPDATE group_slots SET granted = true WHERE name = $1 AND run = $2 AND stage = $3";
        let SlotRequest { group, run, .. } = *request;
        let stage = stage_column(request.stage);
        let answer = in_transaction!(self, tx => {
            sqlx::query(LOCK).bind(lock_of(group)).execute(&mut *tx).await?;
            sqlx::query(ASK)
                .bind(group)
                .bind(run)
                .bind(stage)
                .bind(request.order)
                .bind(request.now)
                .execute(&mut *tx)
                .await?;
            let slots = sqlx::query_as(LIST).bind(group).fetch_all(&mut *tx).await?;
            let answer = judge(slots, request);
            if answer == SlotAnswer::Granted {
                sqlx::query(GRANT).bind(group).bind(run).bind(stage).execute(&mut *tx).await?;
            }
            answer
        });
        Ok(answer)
    }

    /// Gives back (or no longer waits for) a slot.
    pub async fn release_slot(
        &self,
        group: &str,
        run: &RunId,
        stage: Option<StageIndex>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM group_slots WHERE name = $1 AND run = $2 AND stage = $3";
        with_writer!(self, db => {
            sqlx::query(SQL).bind(group).bind(run).bind(stage_column(stage)).execute(db).await?;
        });
        Ok(())
    }

    /// Gives back everything a run has or waits for. Needless when the run finishes:
    /// [`Store::append_events`] does it then.
    pub async fn release_slots_of(&self, run: &RunId) -> Result<(), StoreError> {
        with_writer!(self, db => { sqlx::query(RELEASE_ALL).bind(run).execute(db).await?; });
        Ok(())
    }

    /// Runs that have or wait for a slot of a run-level group, oldest first. Finished ones do not
    /// count.
    pub async fn list_group(&self, group: &str) -> Result<Vec<RunId>, StoreError> {
        const SQL: &str = "
            SELECT s.run FROM group_slots s JOIN runs r ON r.id = s.run
            WHERE s.name = $1 AND s.stage = -1
              AND r.status NOT IN ('passed', 'failed', 'cancelled')
            ORDER BY s.run";
        Ok(with_db!(self, db => sqlx::query_scalar(SQL).bind(group).fetch_all(db).await?))
    }
}

pub(super) const RELEASE_ALL: &str = "DELETE FROM group_slots WHERE run = $1";

fn stage_column(stage: Option<StageIndex>) -> i64 {
    stage.map_or(WHOLE_RUN, |it| i64::from(it.0))
}

/// The lock of a group: the same in every process and version, so nothing but the name goes in.
fn lock_of(group: &str) -> i64 {
    group.bytes().fold(0, |sum, byte| (sum * 31 + i64::from(byte)) % LOCKS)
}

/// Whether the turn of `request` has come. `slots` are all of its group, its own among them.
fn judge(mut slots: Vec<Slot>, request: &SlotRequest<'_>) -> SlotAnswer {
    slots.sort_by(|a, b| {
        let key = |it: &Slot| (!it.granted, it.place);
        (key(a), &a.run, a.stage).cmp(&(key(b), &b.run, b.stage))
    });
    let stage = stage_column(request.stage);
    let own = slots.iter().position(|it| it.stage == stage && it.run == *request.run);
    let own = own.unwrap_or(slots.len());
    let has_it = slots.get(own).is_some_and(|it| it.granted);
    if has_it || (own < slots.len() && own < request.limit as usize) {
        return SlotAnswer::Granted;
    }
    let mut behind: Vec<RunId> = slots.into_iter().take(own).map(|it| it.run).collect();
    let mut seen = HashSet::new();
    behind.retain(|run| seen.insert(run.clone()));
    SlotAnswer::Waiting { behind }
}
