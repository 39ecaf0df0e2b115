//! The place of a run among those of a server that wait, and what it waits for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote, RemoteError};
use crate::runs::view::RunView;

/// A run that waits.
#[derive(Debug, Deserialize)]
struct Queued {
    run: String,
    #[serde(default)]
    position: Option<u64>,
    reasons: Vec<Reason>,
}

/// What it waits for, as a whole or with one stage.
#[derive(Debug, Default, Deserialize)]
struct Reason {
    kind: String,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    worker: Option<String>,
    #[serde(default)]
    workers: Vec<String>,
}

impl Remote {
    /// What a run waits for, a sentence each; nothing when it does not wait.
    pub async fn waits(&self, run: &RunView) -> Result<Vec<String>, RemoteError> {
        if run.status.is_finished() {
            return Ok(Vec::new());
        }
        let queue: Vec<Queued> = self.client.list(&Call::get(&["queue"]), ROWS_MAX).await?;
        let queued = queue.into_iter().find(|it| it.run == run.id.0);
        Ok(queued.map(|it| sentences(&it)).unwrap_or_default())
    }
}

fn sentences(queued: &Queued) -> Vec<String> {
    let place = queued.position.map(|it| format!("place {it} in the queue"));
    place.into_iter().chain(queued.reasons.iter().filter_map(sentence)).collect()
}

/// What people are asked for and when a try is made again is told elsewhere.
fn sentence(reason: &Reason) -> Option<String> {
    let what = match reason.kind.as_str() {
        "worker" => "waits for a worker to take it".to_owned(),
        "no_worker" => "waits for a worker, and there is none".to_owned(),
        "draining" => {
            let workers: Vec<_> = reason.workers.iter().map(|it| format!("`{it}`")).collect();
            format!("waits for a worker, and {} takes nothing new", workers.join(", "))
        }
        "labels" => {
            let labels: Vec<_> = reason.labels.iter().map(|(k, v)| format!("`{k}={v}`")).collect();
            format!("waits for a worker with {}, and none has that", labels.join(", "))
        }
        "lease" => {
            format!("waits until `{}` gives it up", reason.worker.as_deref().unwrap_or("a worker"))
        }
        "admission" | "slot" => {
            format!("waits for the group `{}`", reason.group.as_deref().unwrap_or_default())
        }
        "room" => "waits for a free slot of a worker".to_owned(),
        _ => return None,
    };
    let stage = reason.stage.as_ref().map(|it| format!("`{it}` "));
    Some(stage.unwrap_or_default() + &what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_waits_for_is_a_sentence_each() {
        let queued: Queued = serde_json::from_value(serde_json::json!({
            "run": "r", "position": 3, "reasons": [
                { "kind": "labels", "labels": { "gpu": "true" } },
                { "kind": "draining", "workers": ["old"] },
                { "kind": "slot", "stage": "deploy", "group": "live" },
                { "kind": "people", "stage": "approve", "missing": 1 },
            ],
        }))
        .unwrap();
        assert_eq!(
            sentences(&queued),
            [
                "place 3 in the queue",
                "waits for a worker with `gpu=true`, and none has that",
                "waits for a worker, and `old` takes nothing new",
                "`deploy` waits for the group `live`",
            ]
        );
    }
}
