//! What of a run stands in the audit log although nobody has done it: approvals that pass by themselves.

use crate::engine::Event;
use crate::model::{Digest, StageIndex, TeamId, Timestamp};
use crate::runs::LoadedRun;
use crate::store::audit::AuditRow;
use crate::store::{Store, StoreError};

/// Hex digits of the random part of a ULID.
const RANDOM_DIGITS: usize = 20;

/// Entries on the approvals that pass by these events, which were applied, because nobody has decided in time. They
/// are stored with the events, and so once.
pub(super) async fn list(
    store: &Store,
    loaded: &LoadedRun,
    events: &[Event],
    at: Timestamp,
) -> Result<Vec<AuditRow>, StoreError> {
    let passed: Vec<_> = (loaded.seq..)
        .zip(events)
        .filter_map(|(seq, event)| {
            let Event::StageFinished { stage, .. } = event else { return None };
            Some((seq, *stage, loaded.run.undecided_for(*stage)?))
        })
        .collect();
    if passed.is_empty() {
        return Ok(Vec::new());
    }
    let project = store.find_project(&loaded.row.project).await?;
    let team = project.map_or_else(|| TeamId(String::new()), |it| it.team);
    let note = |(seq, stage, span): (i64, StageIndex, String)| {
        let planned = loaded.run.plan().stages.get(stage.as_usize());
        let key = planned.map_or("", |it| it.key.as_str());
        let detail = serde_json::json!({
            "pipeline": loaded.row.pipeline,
            "number": loaded.row.number,
            "reason": format!("by itself after {span}"),
        });
        AuditRow {
            id: id_of(loaded, seq, at),
            at,
            actor: "system".to_owned(),
            address: String::new(),
            action: "stage.approve".to_owned(),
            team: team.clone(),
            project: loaded.row.project.clone(),
            subject: format!("{}/{key}", loaded.row.id),
            detail: detail.to_string(),
        }
    };
    Ok(passed.into_iter().map(note).collect())
}

/// A ULID of the moment and the place of the event: the same event has no second entry.
fn id_of(loaded: &LoadedRun, seq: i64, at: Timestamp) -> String {
    let digest = Digest::of(format!("{}:{seq}", loaded.row.id).as_bytes());
    let digits = digest.hex().get(..RANDOM_DIGITS).unwrap_or_default();
    let random = u128::from_str_radix(digits, 16).unwrap_or_default();
    let millis = u64::try_from(at.0).unwrap_or_default();
    ulid::Ulid::from_parts(millis, random).to_string().to_lowercase()
}
