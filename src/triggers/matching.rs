//! Whether an event starts a pipeline. Pure.

use crate::pipeline::file::trigger::{PullRequestTrigger, PushTrigger};
use crate::source::matches_glob;

/// What an event means for a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    /// It starts.
    Starts,
    /// It would, if something else had changed; the forge is told that there was nothing to do.
    Skipped(String),
    /// It has nothing to do with the event.
    Unconcerned,
}

/// Whether a push starts a pipeline. `changed` is `None` when everything counts as changed.
pub(super) fn push(
    trigger: Option<&PushTrigger>,
    r#ref: &str,
    changed: Option<&[String]>,
) -> Match {
    let Some(trigger) = trigger else { return Match::Unconcerned };
    if let Some(tag) = r#ref.strip_prefix("refs/tags/") {
        let is_wanted = matches_glob(&trigger.tags, tag);
        return if is_wanted { Match::Starts } else { Match::Unconcerned };
    }
    let branch = r#ref.strip_prefix("refs/heads/").unwrap_or(r#ref);
    let is_every = trigger.branches.is_empty() && trigger.tags.is_empty();
    if !is_every && !matches_glob(&trigger.branches, branch) {
        return Match::Unconcerned;
    }
    by_paths(&trigger.paths, changed)
}

/// Whether a pull or merge request into `base` starts a pipeline.
pub(super) fn pull_request(
    trigger: Option<&PullRequestTrigger>,
    base: &str,
    changed: Option<&[String]>,
) -> Match {
    let Some(trigger) = trigger else { return Match::Unconcerned };
    if !trigger.branches.is_empty() && !matches_glob(&trigger.branches, base) {
        return Match::Unconcerned;
    }
    by_paths(&trigger.paths, changed)
}

fn by_paths(globs: &[String], changed: Option<&[String]>) -> Match {
    let Some(changed) = changed.filter(|_| !globs.is_empty()) else { return Match::Starts };
    if changed.iter().any(|path| matches_glob(globs, path)) {
        return Match::Starts;
    }
    Match::Skipped(format!("nothing has changed in `{}`", globs.join("`, `")))
}
