//! Deliveries: stored once, answered at once, processed after, tried again when something was away.

use std::convert::Infallible;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{LOOK_EVERY, Lanes, TriggerError, Triggers};
use crate::forge::{self, Delivery, DeliveryKind, Push, Sender};
use crate::metrics;
use crate::model::{Digest, ForgeKind, Milliseconds, ProjectId, Timestamp};
use crate::projects::ProjectError;
use crate::runs::News;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::deliveries::{DeliveryRow, DeliveryStatus, NewDelivery};

/// Projects whose deliveries are processed at the same time.
const LANES: usize = 8;
/// Deliveries that are looked at together.
const BATCH: u32 = 100;
/// How often a delivery is tried, with a growing delay: over about two hours.
const TRIES: i64 = 10;
/// How often, when the remote does not have the commit: forges tell before all of their machines have it, but
/// what is not there after five minutes was replaced by another push. The pauses are those of [`delay_after`].
const TRIES_MISSING: i64 = 7;
/// How long a delivery is taken for; after it another process may try.
const CLAIM: Milliseconds = Milliseconds::from_seconds(60);
/// How often it is taken anew while it is worked on.
const KEEP_EVERY: Duration = Duration::from_secs(20);
const DELAY_MIN: Milliseconds = Milliseconds::from_seconds(5);
const DELAY_MAX: Milliseconds = Milliseconds::from_seconds(30 * 60);

/// Whether a delivery is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is, and has this id.
    New(String),
    /// It was stored before, under this id.
    Before(String),
}

/// What came of a delivery: how it stands now, and a sentence for people.
pub(super) type Outcome = (DeliveryStatus, String);

/// A delivery to store.
pub(super) struct Arrival {
    pub(super) forge: ForgeKind,
    pub(super) delivery: String,
    pub(super) event: String,
    pub(super) body: String,
    pub(super) next_at: Timestamp,
}

impl Triggers {
    /// Stores a delivery that was proved, and has it processed.
    pub async fn receive(
        &self,
        project: &ProjectRow,
        envelope: &forge::Envelope<'_>,
    ) -> Result<Received, StoreError> {
        let arrival = Arrival {
            forge: project.forge,
            delivery: envelope.delivery(project.forge),
            event: envelope.event(project.forge),
            body: String::from_utf8_lossy(envelope.body).into_owned(),
            next_at: self.now(),
        };
        self.store_delivery(&project.id, arrival).await
    }

    /// Has a delivery processed once more. What it has started is not started again.
    pub async fn replay(&self, delivery: &str) -> Result<(), StoreError> {
        self.store().replay_delivery(delivery, self.now()).await?;
        self.new_delivery.notify_one();
        self.runs.announce_elsewhere(News::Delivery);
        Ok(())
    }

    pub(super) async fn store_delivery(
        &self,
        project: &ProjectId,
        arrival: Arrival,
    ) -> Result<Received, StoreError> {
        let now = self.now();
        let new = NewDelivery {
            id: crate::secrets::new_id(now),
            project: project.clone(),
            forge: arrival.forge,
            delivery: arrival.delivery,
            digest: Digest::of(arrival.body.as_bytes()).to_string(),
            event: arrival.event,
            // Postgres stores no NUL in a text; JSON has none but escaped ones.
            body: arrival.body.replace('\0', ""),
            next_at: arrival.next_at,
            received_at: now,
        };
        let before = self.store().insert_delivery(&new).await?;
        let how = if before.is_some() { "again" } else { "new" };
        metrics::delivery_received(arrival.forge.as_str(), how);
        self.new_delivery.notify_one();
        self.runs.announce_elsewhere(News::Delivery);
        Ok(before.map_or(Received::New(new.id), Received::Before))
    }

    pub(super) async fn process_deliveries(&self, shutdown: &CancellationToken) {
        let mut lanes = Lanes::new(LANES);
        while !shutdown.is_cancelled() {
            if let Err(error) = self.take_deliveries(&mut lanes).await {
                tracing::warn!(%error, "no deliveries could be taken");
            }
            tokio::select! {
                () = shutdown.cancelled() => (),
                () = lanes.ended() => (),
                () = self.new_delivery.notified() => (),
                () = tokio::time::sleep(LOOK_EVERY) => (),
            }
        }
        while !lanes.tasks.is_empty() {
            lanes.ended().await;
        }
    }

    async fn take_deliveries(&self, lanes: &mut Lanes) -> Result<(), StoreError> {
        let now = self.now();
        for row in self.store().list_due_deliveries(now, BATCH).await? {
            let project = row.project.clone();
            if !lanes.is_free(&project) {
                continue;
            }
            let until = now.plus(CLAIM);
            if self.store().claim_delivery(&row, until).await? {
                let triggers = self.clone();
                let work = async move { triggers.process(row, until).await };
                lanes.start(project, work);
            }
        }
        Ok(())
    }

    /// Processes a delivery and writes down what came of it.
    async fn process(&self, row: DeliveryRow, until: Timestamp) {
        let attempts = row.attempts + 1;
        let acted = tokio::select! {
            acted = self.act(&row) => acted,
            never = self.keep(&row.id, until) => match never {},
        };
        let pause = delay_after(attempts);
        let outcome = acted.unwrap_or_else(|error| failed_try(&error, attempts, pause));
        let now = self.now();
        let next_at = now.plus(pause);
        let (status, text) = (outcome.0, outcome.1.as_str());
        metrics::delivery_processed(status.as_str());
        if let Err(error) = self.store().save_outcome(&row.id, (status, text), next_at, now).await {
            tracing::error!(delivery = row.id, %error, "what came of a delivery could not be stored");
        }
        self.runs.announce(News::Trunk);
    }

    /// Keeps a delivery from other processes for as long as it is worked on: of a dead one's they take it soon.
    async fn keep(&self, id: &str, mut until: Timestamp) -> Infallible {
        loop {
            tokio::time::sleep(KEEP_EVERY).await;
            let next = self.now().plus(CLAIM);
            match self.store().keep_delivery(id, until, next).await {
                Ok(true) => until = next,
                Ok(false) => return std::future::pending().await,
                Err(error) => tracing::warn!(delivery = id, %error, "a delivery could not be kept"),
            }
        }
    }

    async fn act(&self, row: &DeliveryRow) -> Result<Outcome, TriggerError> {
        let failed = |reason: &str| (DeliveryStatus::Failed, reason.to_owned());
        let Some(project) = self.store().find_project(&row.project).await? else {
            return Ok(failed("the project is gone"));
        };
        if project.archived_at.is_some() {
            return Ok((DeliveryStatus::Ignored, "the project is archived".to_owned()));
        }
        let body = self.store().find_delivery_body(&row.id).await?.unwrap_or_default();
        match forge::read(row.forge, &row.event, &body) {
            Ok(delivery) => self.act_on(&project, row, delivery).await,
            Err(error) => Ok(failed(&error.to_string())),
        }
    }

    async fn act_on(
        &self,
        project: &ProjectRow,
        row: &DeliveryRow,
        delivery: Delivery,
    ) -> Result<Outcome, TriggerError> {
        let ignored = |reason: String| Ok((DeliveryStatus::Ignored, reason));
        let is_other = !delivery.repository.is_empty()
            && !project.forge_path.is_empty()
            && !delivery.repository.eq_ignore_ascii_case(&project.forge_path);
        if is_other {
            let (sent, ours) = (&delivery.repository, &project.forge_path);
            return ignored(format!("it is about `{sent}`, and the project is `{ours}`"));
        }
        match delivery.kind {
            DeliveryKind::Push(push) | DeliveryKind::Tag(push) => {
                self.on_push(project, row, (&push, &delivery.sender)).await
            }
            DeliveryKind::PullRequest(request) => {
                self.on_request(project, row, (&request, &delivery.sender)).await
            }
            DeliveryKind::Comment(comment) => {
                self.on_comment(project, &delivery.sender, &comment).await
            }
            DeliveryKind::Ping => {
                Ok((DeliveryStatus::Processed, "the forge reaches this server".to_owned()))
            }
            DeliveryKind::Ignored(reason) => ignored(reason),
        }
    }

    /// Starts what a push asks for, and then writes down where the ref is: in this order, so that a crash
    /// between the two only makes the push be looked at again.
    async fn on_push(
        &self,
        project: &ProjectRow,
        row: &DeliveryRow,
        (push, sender): (&Push, &Sender),
    ) -> Result<Outcome, TriggerError> {
        let known = self.store().find_known_ref(&project.id, &push.r#ref).await?;
        let brought_by_other = |it: &crate::store::intake::known_refs::KnownRef| {
            Some(&it.revision) == push.after.as_ref() && it.delivery != row.id
        };
        if known.as_ref().is_some_and(brought_by_other) {
            let reason = format!("`{}` was known to be at that commit already", push.r#ref);
            return Ok((DeliveryStatus::Ignored, reason));
        }
        let outcome = if let Some(after) = &push.after {
            self.start_push(project, (&row.id, sender), push, after).await?
        } else {
            let reason = format!("`{}` was deleted: nothing is left to build", push.r#ref);
            (DeliveryStatus::Ignored, reason)
        };
        // One that came late, or is replayed, does not undo what a newer one has told. Ids are in order of time.
        if known.is_some_and(|it| it.delivery > row.id) {
            return Ok(outcome);
        }
        let place = (push.r#ref.as_str(), push.after.as_deref());
        self.store().save_known_ref(&project.id, place, &row.id, self.now()).await?;
        if push.r#ref.strip_prefix("refs/heads/") == Some(&project.default_branch) {
            self.read_trunk(project).await?;
        }
        Ok(outcome)
    }
}

/// What a try that has failed says: that there is another one, or that it was the last.
fn failed_try(error: &TriggerError, attempts: i64, pause: Milliseconds) -> Outcome {
    let tries = tries_for(error);
    if attempts >= tries {
        let times = if attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") };
        return (DeliveryStatus::Failed, format!("given up after {times}: {error}"));
    }
    let seconds = pause.0 / 1000;
    let text = format!("try {attempts} of {tries} failed, the next is in {seconds} s: {error}");
    (DeliveryStatus::Received, text)
}

/// How often a delivery is tried at most that fails in this way.
fn tries_for(error: &TriggerError) -> i64 {
    match error {
        TriggerError::Project(ProjectError::Source(error)) => match error {
            SourceError::NotFound(_) => TRIES_MISSING,
            SourceError::MissingSubmodule { .. } => 1,
            SourceError::NotARepository(_) | SourceError::Failed { .. } => TRIES,
        },
        TriggerError::Project(_)
        | TriggerError::Runs(_)
        | TriggerError::Store(_)
        | TriggerError::Broken(_) => TRIES,
    }
}

/// Doubles from try to try.
pub(super) fn delay_after(attempts: i64) -> Milliseconds {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    Milliseconds(DELAY_MIN.0.saturating_mul(1 << doublings).min(DELAY_MAX.0))
}
