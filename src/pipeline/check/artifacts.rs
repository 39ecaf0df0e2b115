//! Checks of what stages hand on: two needs that deliver the same path write over each other.

use std::collections::BTreeMap;

use super::include::Merged;
use crate::pipeline::file::stage::{Stage, StageWork};
use crate::pipeline::reading::Reading;

/// Needs of one stage that are compared; a bound on the time spent.
const MOST_NEEDS: usize = 200;

pub(super) fn check(merged: &Merged, reading: &Reading) {
    let stages: BTreeMap<&str, &Stage> =
        merged.stages.iter().map(|it| (it.name.as_str(), it)).collect();
    // An approval has no files.
    let is_work = |it: &&Stage| !matches!(it.work, StageWork::Approval(_));
    for stage in merged.stages.iter().filter(is_work) {
        check_stage(stage, &stages, reading);
    }
}

fn check_stage(stage: &Stage, stages: &BTreeMap<&str, &Stage>, reading: &Reading) {
    let mut delivered: BTreeMap<&str, &str> = BTreeMap::new();
    for need in stage.needs.iter().take(MOST_NEEDS) {
        let name = need.stage.name.as_str();
        let artifacts = stages.get(name).and_then(|it| it.artifacts.as_ref());
        for path in artifacts.into_iter().flat_map(|it| &it.paths) {
            let Some(first) = delivered.insert(bare(path), name).filter(|it| *it != name) else {
                continue;
            };
            let message = format!(
                "`{first}` and `{name}` both deliver `{path}` to stage `{}`, and files of the same name replace each other",
                stage.name
            );
            let help =
                format!("let one of them write to another folder, such as `{}-{name}`", bare(path));
            reading.warn("pipeline/same-artifact", need.stage.place, message, help);
        }
    }
}

/// `./out/` and `out` are the same path.
fn bare(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}
