//! Checks of settings of one stage that do not go together, when its defaults are known.

use std::collections::BTreeSet;

use super::include::Merged;
use crate::model::Milliseconds;
use crate::pipeline::file::stage::{Defaults, Stage, StageWork};
use crate::pipeline::reading::Reading;

pub(super) fn check(merged: &Merged, timeout: Option<Milliseconds>, reading: &Reading) {
    for stage in &merged.stages {
        check_caches(stage, reading);
        check_times(stage, timeout, reading);
    }
}

/// The stage's own setting, or the nearest default.
fn setting<T>(stage: &Stage, pick: impl Fn(&Defaults) -> Option<T>) -> Option<T> {
    pick(&stage.settings).or_else(|| stage.defaults.iter().find_map(|it| pick(it)))
}

fn check_caches(stage: &Stage, reading: &Reading) {
    let mut seen = BTreeSet::new();
    for path in stage.caches.iter().flat_map(|it| &it.paths) {
        if !seen.insert(path.trim_end_matches('/')) {
            let message = format!("stage `{}` keeps `{path}` in two caches", stage.name);
            let help = "one path has one cache: remove it from the other";
            reading.error("pipeline/cache", stage.place, message, help);
        }
    }
}

/// A limit that a shorter one around it always comes before.
fn check_times(stage: &Stage, whole: Option<Milliseconds>, reading: &Reading) {
    let own = stage.settings.timeout;
    if let (Some(own), Some(whole)) = (own, whole)
        && own > whole
    {
        let message = format!(
            "the `timeout` of stage `{}` is longer than that of the pipeline, and is never reached",
            stage.name
        );
        let help = "shorten it, or give the pipeline more time";
        reading.warn("pipeline/timeout", stage.place, message, help);
    }
    let (StageWork::Steps(steps), Some(limit)) = (&stage.work, setting(stage, |it| it.timeout))
    else {
        return;
    };
    for step in steps.iter().filter(|it| it.timeout.is_some_and(|it| it > limit)) {
        let message = format!(
            "the `timeout` of step `{}` is longer than that of stage `{}`, and is never reached",
            step.name, stage.name
        );
        let help = "shorten it, or give the stage more time";
        reading.warn("pipeline/timeout", stage.place, message, help);
    }
}
