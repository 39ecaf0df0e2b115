//! People who decide whether the run goes on.

use super::decision::Decision;
use crate::engine::event::Failure;
use crate::engine::{Event, Refused, Run};
use crate::model::{FailureClass, StageIndex, StageStatus, Timestamp};
use crate::pipeline::context::Author;
use crate::pipeline::plan::{Approval, Work};

/// How the failure of a stage begins about which nobody decided in time. (It is stored.)
const UNDECIDED: &str = "nobody decided within";

/// What a person says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) by: &'a str,
    pub(super) teams: &'a [String],
    /// Name and address, by which a commit may know them.
    pub(super) names: &'a [String],
    pub(super) comment: &'a str,
}

pub(super) fn approve(
    run: &Run,
    stage: StageIndex,
    voice: Voice<'_>,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    let approval = asked(run, stage, voice, now)?;
    let Voice { by, comment, .. } = voice;
    if approval.not_author && run.is_author(by, voice.names) {
        let message = format!("`{by}` made this change, and `{}` wants others", run.key(stage));
        return Err(Refused::MayNotApprove(message));
    }
    let approvals = run.stage(stage).map(|it| it.approvals.as_slice()).unwrap_or_default();
    if approvals.iter().any(|earlier| is_same(earlier, by)) {
        return Err(Refused::Duplicate);
    }
    let mut decision = Decision::new(run, now);
    decision.record(Event::Approved { stage, by: by.to_owned(), comment: comment.to_owned() });
    if run.missing_approvals(stage) <= 1 {
        decision.pass(stage);
    }
    Ok(decision.settle())
}

pub(super) fn reject(
    run: &Run,
    stage: StageIndex,
    voice: Voice<'_>,
    now: Timestamp,
) -> Result<Vec<Event>, Refused> {
    asked(run, stage, voice, now)?;
    let Voice { by, comment, .. } = voice;
    let mut decision = Decision::new(run, now);
    decision.record(Event::Rejected { stage, by: by.to_owned(), comment: comment.to_owned() });
    let why = if comment.is_empty() { String::new() } else { format!(": {comment}") };
    refuse(&mut decision, stage, format!("`{by}` rejected it{why}"));
    Ok(decision.settle())
}

/// The time to decide is over: the stage passes or fails as the file says.
pub(super) fn time_out(decision: &mut Decision<'_>, stage: StageIndex) {
    let Some(approval) = planned(decision.run, stage) else { return };
    if approval.approve_on_timeout {
        return decision.pass(stage);
    }
    let missing = decision.run.missing_approvals(stage);
    let span = super::tick::spell(approval.timeout);
    let message = format!("{UNDECIDED} {span}; approvals still missing: {missing}");
    refuse(decision, stage, message);
}

impl Run {
    /// How many more people must approve a stage.
    #[must_use]
    pub fn missing_approvals(&self, stage: StageIndex) -> u32 {
        let count = planned(self, stage).map_or(0, |approval| approval.count.max(1));
        let have = self.stage(stage).map_or(0, |it| it.approvals.len());
        count.saturating_sub(u32::try_from(have).unwrap_or(u32::MAX))
    }

    /// Whether a person has made the change of this run: by their login, or by one of the names and addresses
    /// that they go by.
    #[must_use]
    pub fn is_author(&self, login: &str, names: &[String]) -> bool {
        let context = self.context();
        let request = context.pull_request.as_ref().map(|request| request.author.as_str());
        let told = request.into_iter().chain([context.git.author.as_str()]);
        let mut all = names.to_vec();
        all.push(login.to_owned());
        let is_told =
            |author: &str| Author { name: author.to_owned(), ..Author::default() }.is_one_of(&all);
        told.into_iter().any(is_told) || context.authors.iter().any(|it| it.is_one_of(&all))
    }

    /// Whether the time to decide about a stage ran out: it passed or failed as the file says, not as
    /// people said.
    #[must_use]
    pub fn is_undecided(&self, stage: StageIndex) -> bool {
        let (Some(stands), Some(_)) = (self.stage(stage), planned(self, stage)) else {
            return false;
        };
        match &stands.failure {
            Some(failure) => failure.message.starts_with(UNDECIDED),
            None => stands.status == StageStatus::Passed && self.missing_approvals(stage) > 0,
        }
    }

    /// How long people had to decide about a stage that has passed because nobody did, as a pipeline writes it.
    #[must_use]
    pub fn undecided_for(&self, stage: StageIndex) -> Option<String> {
        let is_passed = self.stage(stage).is_some_and(|it| it.status == StageStatus::Passed);
        let approval = planned(self, stage).filter(|_| is_passed && self.is_undecided(stage))?;
        Some(super::tick::spell(approval.timeout))
    }
}

fn refuse(decision: &mut Decision<'_>, stage: StageIndex, message: String) {
    let class = FailureClass::Approval;
    decision.fail(stage, class, Some(Failure { class, message }));
}

/// The approval that this person may speak to now.
fn asked<'a>(
    run: &'a Run,
    stage: StageIndex,
    voice: Voice<'_>,
    now: Timestamp,
) -> Result<&'a Approval, Refused> {
    let waiting = run.stage(stage).filter(|it| it.status == StageStatus::Waiting);
    let (Some(waiting), Some(approval)) = (waiting, planned(run, stage)) else {
        return Err(run.refuse_status(stage));
    };
    let (by, key) = (voice.by, run.key(stage));
    if waiting.waits_until.is_some_and(|until| until <= now) {
        return Err(Refused::MayNotApprove(format!("the time to decide about `{key}` is over")));
    }
    if !is_listed(approval, voice) {
        let listed = approval.by.join("`, `");
        let message = format!("`{by}` may not decide about `{key}`; known: `{listed}`");
        return Err(Refused::MayNotApprove(message));
    }
    Ok(approval)
}

fn planned(run: &Run, stage: StageIndex) -> Option<&Approval> {
    match &run.planned(stage)?.work {
        Work::Approval(approval) => Some(approval),
        Work::Container(_) | Work::Image(_) | Work::Builtin { .. } => None,
    }
}

/// Whether the list names the person, or a team of theirs. An empty list names everybody.
fn is_listed(approval: &Approval, voice: Voice<'_>) -> bool {
    let names = |entry: &String| match entry.strip_prefix("team/") {
        Some(team) => voice.teams.iter().any(|own| own == team || own == entry),
        None => is_same(entry, voice.by),
    };
    approval.by.is_empty() || approval.by.iter().any(names)
}

/// Forges tell logins apart without minding case, so nobody becomes two people by writing in capitals.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}
