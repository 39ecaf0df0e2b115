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
    /// Place in the line; the lowest is served first, then the id of the run.
    pub order: i64,
    /// Place in trunk, for a run of trunk; 0 for every other. Runs of trunk stand in the order of trunk
    /// among themselves, at the places that they have in the line.
    pub height: i64,
    /// Whether a run that a newer one of trunk has overtaken is told so.
    pub skip_outdated: bool,
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
    /// A newer run of trunk has had a slot of the group.
    Outdated {
        /// That run.
        newer: RunId,
    },
}

/// Somebody who has or waits for a slot.
#[derive(sqlx::FromRow)]
struct Slot {
    run: RunId,
    stage: i64,
    place: i64,
    height: i64,
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
            INSERT INTO group_slots (name, run, stage, place, granted, requested_at, height)
            VALUES ($1, $2, $3, $4, false, $5, $6)
            ON CONFLICT (name, run, stage) DO NOTHING";
        const LIST: &str = "
            SELECT s.run, s.stage, s.place, s.height, s.granted
            FROM group_slots s JOIN runs r ON r.id = s.run
            WHERE s.name = $1 AND r.status NOT IN ('passed', 'failed', 'cancelled')";
        const GRANT: &str = "
            UPDATE group_slots SET granted = true WHERE name = $1 AND run = $2 AND stage = $3";
        const NEWEST: &str = "
            SELECT run FROM group_heights WHERE name = $1 AND height > $2 AND run <> $3";
        const OVERTAKE: &str = "
            INSERT INTO group_heights (name, height, run, granted_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (name) DO UPDATE SET
                height = excluded.height, run = excluded.run, granted_at = excluded.granted_at
            WHERE group_heights.height < excluded.height";
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
                .bind(request.height)
                .execute(&mut *tx)
                .await?;
            let slots = sqlx::query_as(LIST).bind(group).fetch_all(&mut *tx).await?;
            let newer: Option<RunId> = sqlx::query_scalar(NEWEST)
                .bind(group)
                .bind(request.height)
                .bind(run)
                .fetch_optional(&mut *tx)
                .await?;
            let answer = judge(slots, request, newer);
            match &answer {
                SlotAnswer::Granted => {
                    sqlx::query(GRANT).bind(group).bind(run).bind(stage).execute(&mut *tx).await?;
                    if request.height > 0 && request.stage.is_some() {
                        sqlx::query(OVERTAKE)
                            .bind(group)
                            .bind(request.height)
                            .bind(run)
                            .bind(request.now)
                            .execute(&mut *tx)
                            .await?;
                    }
                }
                SlotAnswer::Outdated { .. } => {
                    sqlx::query(RELEASE).bind(group).bind(run).bind(stage).execute(&mut *tx).await?;
                }
                SlotAnswer::Waiting { .. } => (),
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
        with_writer!(self, db => {
            sqlx::query(RELEASE).bind(group).bind(run).bind(stage_column(stage)).execute(db).await?;
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

const RELEASE: &str = "DELETE FROM group_slots WHERE name = $1 AND run = $2 AND stage = $3";
pub(super) const RELEASE_ALL: &str = "DELETE FROM group_slots WHERE run = $1";

fn stage_column(stage: Option<StageIndex>) -> i64 {
    stage.map_or(WHOLE_RUN, |it| i64::from(it.0))
}

/// The lock of a group: the same in every process and version, so nothing but the name goes in.
fn lock_of(group: &str) -> i64 {
    group.bytes().fold(0, |sum, byte| (sum * 31 + i64::from(byte)) % LOCKS)
}

/// Whether the turn of `request` has come. `slots` are all of its group, its own among them; `newer` is a
/// run of trunk that is newer than the request's and has had a slot.
fn judge(mut slots: Vec<Slot>, request: &SlotRequest<'_>, newer: Option<RunId>) -> SlotAnswer {
    line_up(&mut slots, request.order < 0);
    let stage = stage_column(request.stage);
    let own = slots.iter().position(|it| it.stage == stage && it.run == *request.run);
    let own = own.unwrap_or(slots.len());
    if slots.get(own).is_some_and(|it| it.granted) {
        return SlotAnswer::Granted;
    }
    if let Some(newer) = newer.filter(|_| request.skip_outdated && request.height > 0) {
        return SlotAnswer::Outdated { newer };
    }
    if own < slots.len() && own < request.limit as usize {
        return SlotAnswer::Granted;
    }
    let mut behind: Vec<RunId> = slots.into_iter().take(own).map(|it| it.run).collect();
    let mut seen = HashSet::new();
    behind.retain(|run| seen.insert(run.clone()));
    SlotAnswer::Waiting { behind }
}

/// Those who have a slot, then those who wait in the order of their places; runs of trunk swap the places
/// they have until they stand in the order of trunk, newest first when `is_reversed`.
fn line_up(slots: &mut Vec<Slot>, is_reversed: bool) {
    slots.sort_by(|a, b| {
        let key = |it: &Slot| (!it.granted, it.place);
        (key(a), &a.run, a.stage).cmp(&(key(b), &b.run, b.stage))
    });
    let is_of_trunk = |it: &Slot| !it.granted && it.height > 0;
    let (mut trunk, others): (Vec<_>, Vec<_>) =
        std::mem::take(slots).into_iter().enumerate().partition(|(_, it)| is_of_trunk(it));
    let places: Vec<_> = trunk.iter().map(|(place, _)| *place).collect();
    // Stable: runs of one commit stay as they are.
    trunk.sort_by_key(|(_, it)| if is_reversed { -it.height } else { it.height });
    let trunk = places.into_iter().zip(trunk).map(|(place, (_, slot))| (place, slot));
    let mut all: Vec<_> = trunk.chain(others).collect();
    all.sort_by_key(|(place, _)| *place);
    slots.extend(all.into_iter().map(|(_, slot)| slot));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(run: &str, place: i64, height: i64, granted: bool) -> Slot {
        Slot { run: RunId(run.to_owned()), stage: 0, place, height, granted }
    }

    fn lined_up(mut slots: Vec<Slot>, is_reversed: bool) -> String {
        line_up(&mut slots, is_reversed);
        slots.iter().map(|it| it.run.0.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn runs_of_trunk_stand_in_the_order_of_trunk_at_the_places_they_have() {
        let slots = || {
            vec![
                slot("late", 1, 12, false),
                slot("idea", 2, 0, false),
                slot("early", 3, 10, false),
                slot("holds", 4, 11, true),
                slot("middle", 5, 11, false),
            ]
        };
        assert_eq!(lined_up(slots(), false), "holds early idea middle late");
        let reversed = slots().into_iter().map(|it| Slot { place: -it.place, ..it }).collect();
        assert_eq!(lined_up(reversed, true), "holds late middle idea early");
    }

    #[test]
    fn runs_of_one_commit_stay_in_the_order_of_their_numbers() {
        let slots = vec![slot("a", 1, 5, false), slot("b", 2, 5, false), slot("c", 3, 4, false)];
        assert_eq!(lined_up(slots, false), "c a b");
    }
}
