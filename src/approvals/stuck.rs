//! Whether those who may approve are enough, and else why and what can be done. Pure.

mod way_out;
#[cfg(test)]
mod tests;

use crate::engine::{Command, Run};
use crate::model::{StageIndex, StageStatus, Timestamp};
use crate::pipeline::plan::{Approval, Work};

/// Reasons that are told.
const REASONS_MAX: usize = 5;

/// Somebody of this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Login.
    pub login: String,
    /// Name and address, by which a commit may know them.
    pub names: Vec<String>,
    /// Names of the teams that they are in.
    pub teams: Vec<String>,
    /// Whether they have the role `approver`, or more, in the team of the run.
    pub is_approver: bool,
    /// Whether they may not sign in.
    pub is_shut_out: bool,
}

/// Everybody who could be asked about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circle {
    /// Name of the team whose run it is.
    pub team: String,
    /// Those of the teams in `approval.by` that there are.
    pub teams: Vec<String>,
    /// Whom `approval.by` names, themselves or by a team; without it, everybody who is an approver.
    pub people: Vec<Candidate>,
}

/// An approval that cannot be given as things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Key of the stage.
    pub stage: String,
    /// Name of the team whose run it is.
    pub team: String,
    /// Why, as the end of a sentence.
    pub why: String,
    /// What to do about it, as a sentence.
    pub help: String,
}

impl Stuck {
    /// Why people are missing whom nobody can be; `None` where enough may still approve, nobody is asked, or the
    /// stage passes without them in the end.
    #[must_use]
    pub fn of(run: &Run, index: StageIndex, circle: &Circle, now: Timestamp) -> Option<Self> {
        let stage = run.stage(index).filter(|it| it.status == StageStatus::Waiting)?;
        if stage.waits_until.is_some_and(|until| until <= now) {
            return None;
        }
        let planned = run.plan().stages.get(index.as_usize())?;
        let Work::Approval(asked) = &planned.work else { return None };
        if asked.approve_on_timeout {
            return None;
        }
        let look = Look { run, index, asked, approved: &stage.approvals, circle, now };
        let able: Vec<_> = circle.people.iter().filter(|it| look.refusal(it).is_none()).collect();
        let missing = usize::try_from(run.missing_approvals(index)).unwrap_or(usize::MAX);
        if able.len() >= missing {
            return None;
        }
        let logins: Vec<_> = able.iter().map(|it| format!("`{}`", it.login)).collect();
        let who = match logins.as_slice() {
            [] => "nobody may approve it".to_owned(),
            _ => format!("{missing} are missing and only {} may approve it", logins.join(", ")),
        };
        let mut reasons = look.reasons();
        reasons.truncate(REASONS_MAX);
        let why = if reasons.is_empty() { who } else { format!("{who}: {}", reasons.join("; ")) };
        let help = look.way_out(missing - able.len());
        Some(Self { stage: planned.key.clone(), team: circle.team.clone(), why, help })
    }
}

/// What is looked at.
struct Look<'a> {
    run: &'a Run,
    index: StageIndex,
    asked: &'a Approval,
    approved: &'a [String],
    circle: &'a Circle,
    now: Timestamp,
}

impl Look<'_> {
    /// Why somebody cannot approve; `None` when they can.
    fn refusal(&self, who: &Candidate) -> Option<String> {
        let login = &who.login;
        if who.is_shut_out {
            return Some(format!("`{login}` is shut out"));
        }
        if !who.is_approver {
            let team = &self.circle.team;
            return Some(format!("`{login}` has not the role `approver` in the team `{team}`"));
        }
        if self.approved.iter().any(|it| it.eq_ignore_ascii_case(login)) {
            return Some(format!("`{login}` has approved already"));
        }
        let yes = Command::Approve {
            stage: self.index,
            by: login.clone(),
            teams: who.teams.clone(),
            names: who.names.clone(),
            comment: String::new(),
        };
        let is_author = self.asked.not_author && self.run.is_author(login, &who.names);
        match self.run.decide(&yes, self.now) {
            Ok(_) => None,
            Err(_) if is_author => Some(format!("`{login}` made this change")),
            Err(refused) => Some(refused.to_string()),
        }
    }

    fn reasons(&self) -> Vec<String> {
        if self.asked.by.is_empty() {
            let approvers = self.circle.people.iter().filter(|it| it.is_approver);
            return self.reasons_of(approvers.collect(), || {
                format!("nobody in the team `{}` has the role `approver`", self.circle.team)
            });
        }
        self.asked.by.iter().flat_map(|it| self.reasons_of_entry(it)).collect()
    }

    fn reasons_of_entry(&self, entry: &str) -> Vec<String> {
        let people = &self.circle.people;
        let Some(team) = entry.strip_prefix("team/") else {
            let named = people.iter().find(|it| it.login.eq_ignore_ascii_case(entry));
            let none = || Some(format!("there is no person `{entry}`"));
            return named.map_or_else(none, |it| self.refusal(it)).into_iter().collect();
        };
        if !self.circle.teams.iter().any(|it| it == team) {
            return vec![format!("there is no team `{team}`")];
        }
        let members: Vec<_> =
            people.iter().filter(|it| it.teams.iter().any(|it| it == team)).collect();
        if members.is_empty() {
            return vec![format!("the team `{team}` has no members")];
        }
        let able = members.into_iter().filter(|it| it.is_approver).collect();
        self.reasons_of(able, || {
            let own = &self.circle.team;
            format!("nobody in the team `{team}` has the role `approver` in the team `{own}`")
        })
    }

    fn reasons_of(&self, people: Vec<&Candidate>, nobody: impl Fn() -> String) -> Vec<String> {
        if people.is_empty() {
            return vec![nobody()];
        }
        people.into_iter().filter_map(|it| self.refusal(it)).collect()
    }
}
