//! Looks after a batch that is with its provider, until it is over and every answer is where it belongs.

use std::collections::HashMap;
use std::sync::Arc;

use super::remote::{Line, Side, Trouble, results};
use super::submit::custom_id;
use super::wire::{Remote, Standing, Told, told, told_at_length};
use super::{answers, end, later, lost, wait_for_key};
use crate::gateway::server::Core;
use crate::gateway::server::queue::Queue;
use crate::gateway::server::queue::verdict::pause;
use crate::model::Milliseconds;
use crate::store::StoreError;
use crate::store::spend::requests::queue::{QueueBatchRow, QueueItemRow};

/// Bytes of a line besides an answer.
const LINE_BYTES: u64 = 64 << 10;
/// How much longer the pauses become: a twentieth of a batch's age, at most so many times the first.
const AGE: u64 = 20;
const LONGEST: u64 = 10;
/// After how long a batch is given up that its provider does not end: no provider takes more than a day.
pub(super) const GIVEN_UP: Milliseconds = Milliseconds::from_seconds(7 * 24 * 3600);

/// Looks how a batch stands, and takes its answers when it is over.
pub(super) async fn look(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    batch: QueueBatchRow,
) -> Result<(), StoreError> {
    let now = queue.clock.now();
    let Some(side) = Side::of(core, &batch) else {
        return wait_for_key(core, queue, batch).await;
    };
    let remote = match side.find(&batch.remote).await {
        Ok(remote) => remote,
        Err(Trouble::Gone) => return lost(core, queue, batch, "the provider has lost it").await,
        Err(trouble) => return troubled(queue, batch, &trouble).await,
    };
    let batch = QueueBatchRow { outcome: remote.word.clone(), ..batch };
    match remote.standing {
        Standing::UnderWay if now.since(batch.created_at) >= GIVEN_UP => {
            lost(core, queue, batch, "the provider does not end it").await
        }
        Standing::UnderWay => wait(queue, &side, batch).await,
        Standing::Failed => {
            let why = format!("the provider has refused it: {}", remote.error);
            end(core, queue, batch, &why).await
        }
        Standing::Ended => take(core, queue, (&side, &remote), batch).await,
    }
}

/// Nothing to do yet, unless nobody wants any of its answers.
async fn wait(queue: &Queue, side: &Side<'_>, batch: QueueBatchRow) -> Result<(), StoreError> {
    let now = queue.clock.now();
    let items = queue.store().list_queue_items_of_batch(&batch.id).await?;
    let mut batch = batch;
    // One that was found by its size alone may be somebody else's.
    let may_cancel = batch.cancelled_at.is_none() && !batch.is_guessed;
    if may_cancel && items.iter().all(|it| it.cancelled_at.is_some()) {
        match side.cancel(&batch.remote).await {
            Ok(_) => batch.cancelled_at = Some(now),
            Err(trouble) => return troubled(queue, batch, &trouble).await,
        }
    }
    let first = queue.settings.batch_poll_ms.0;
    let age = now.since(batch.created_at).0 / AGE;
    let after = Milliseconds(age.clamp(first, first.saturating_mul(LONGEST)));
    let next_at = now.plus(after);
    let waiting = QueueBatchRow { next_at, failures: 0, error: String::new(), ..batch };
    queue.store().save_queue_batch(&waiting).await.map(drop)
}

/// The provider does not say. Its answers may be paid for, so it is asked again for as long as they may come.
async fn troubled(
    queue: &Queue,
    batch: QueueBatchRow,
    trouble: &Trouble,
) -> Result<(), StoreError> {
    let number = u32::try_from(batch.failures).unwrap_or(u32::MAX).saturating_add(1);
    let after = pause(queue.settings.retry_ms, number);
    later(queue, batch, (&trouble.message(), after)).await.map(drop)
}

/// Takes every answer. Broken off, it is done again from the beginning: what has ended has ended.
async fn take(
    core: &Arc<Core>,
    queue: &Arc<Queue>,
    (side, remote): (&Side<'_>, &Remote),
    batch: QueueBatchRow,
) -> Result<(), StoreError> {
    let items = queue.store().list_queue_items_of_batch(&batch.id).await?;
    let mut left: HashMap<String, QueueItemRow> =
        items.into_iter().map(|it| (custom_id(&it), it)).collect();
    let before = left.len();
    let (mut lines_read, mut taken, mut is_partial) = (0_u64, 0_u64, false);
    for path in results(side.dialect, remote) {
        let most = queue.settings.answer_bytes.saturating_add(LINE_BYTES);
        let mut lines = match side.lines(&path, most).await {
            Ok(lines) => lines,
            Err(Trouble::Gone) => continue,
            Err(trouble) => return troubled(queue, batch, &trouble).await,
        };
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(trouble) => return troubled(queue, batch, &trouble).await,
            };
            lines_read += 1;
            let Some(told) = told_by(&batch, &line) else { continue };
            if let Some(item) = left.remove(&told.custom_id) {
                taken += 1;
                is_partial |=
                    !Box::pin(answers::take(core, queue, (&batch, &item), told.end)).await?;
            }
        }
    }
    // Found by its size alone, it may be somebody else's.
    if batch.is_guessed && before > 0 && lines_read > 0 && taken == 0 {
        return mistaken(queue, batch).await;
    }
    if is_partial {
        let trouble = Trouble::Later("not all answers could be taken".to_owned());
        return troubled(queue, batch, &trouble).await;
    }
    let why = format!("its batch has ended without an answer for it ({})", remote.word);
    let file = batch.file.clone();
    end(core, queue, batch, &why).await?;
    for file in remote.files.iter().chain(Some(&file)).filter(|it| !it.is_empty()) {
        side.remove(file).await;
    }
    Ok(())
}

/// What a line of answers says. One that is too long ends its own item, and not those after it.
fn told_by(batch: &QueueBatchRow, line: &Line) -> Option<Told> {
    match line {
        Line::Whole(line) => told(line),
        Line::TooLong(beginning) => {
            let told = told_at_length(beginning);
            let item = told.as_ref().map_or("", |it| it.custom_id.as_str());
            tracing::error!(batch = batch.id, item, "an answer of a batch is too long to be read");
            told
        }
    }
}

/// What was found was another batch: it is looked for again, and else handed over.
async fn mistaken(queue: &Queue, batch: QueueBatchRow) -> Result<(), StoreError> {
    let strangers = format!("{} {}", batch.strangers, batch.remote).trim().to_owned();
    let row = QueueBatchRow {
        state: "submitting".to_owned(),
        remote: String::new(),
        is_guessed: false,
        strangers,
        next_at: queue.clock.now(),
        ..batch
    };
    queue.store().save_queue_batch(&row).await.map(drop)
}
