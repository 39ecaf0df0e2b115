//! What can be done about an approval that nobody can give. Nothing is advised that would not be enough.

use super::{Candidate, Look};

/// What would bring one of the voices that are missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The role for somebody.
    GiveRole,
    /// Somebody back who was shut out.
    LetIn,
    /// A person or team that there is not.
    Make,
    /// More people in a team.
    Fill,
}

impl Look<'_> {
    /// Sentences for who looks; `missing` are to be found.
    pub(super) fn way_out(&self, missing: usize) -> String {
        let (team, others) = (&self.circle.team, self.others());
        if self.asked.by.is_empty() {
            return format!(
                "An admin of the team `{team}` can give the role `approver` to somebody{others}, under Members of \
                 the team."
            );
        }
        let push = "and push: this run keeps what it began with.";
        let steps: Vec<_> = self.asked.by.iter().filter_map(|it| self.step(it)).collect();
        let is_team = |(_, name): &(Step, &str)| name.starts_with("team/");
        if steps.len() < missing && !steps.iter().any(is_team) {
            let fewer =
                if self.asked.count > 1 { " (or ask for fewer with `approval.count`)" } else { "" };
            return format!(
                "No role that is given now can help: cancel the run, name others in `approval.by` of the pipeline{fewer}, \
                 {push}"
            );
        }
        let steps = self.sentences(&steps).join(" ");
        format!("{steps} Or cancel the run, name others in `approval.by` of the pipeline, {push}")
    }

    fn others(&self) -> &'static str {
        if self.asked.not_author { " who has not made this change" } else { "" }
    }

    /// What one name in `approval.by` could bring; `None` for one that has nothing left to bring.
    fn step<'a>(&self, entry: &'a str) -> Option<(Step, &'a str)> {
        if let Some(team) = entry.strip_prefix("team/") {
            let is_there = self.circle.teams.iter().any(|it| it == team);
            return Some((if is_there { Step::Fill } else { Step::Make }, entry));
        }
        let person = self.circle.people.iter().find(|it| it.login.eq_ignore_ascii_case(entry));
        let Some(who) = person else { return Some((Step::Make, entry)) };
        if self.refusal(who).is_none() || self.is_spent(who) {
            return None;
        }
        Some((if who.is_shut_out { Step::LetIn } else { Step::GiveRole }, entry))
    }

    /// Whether somebody's voice cannot count any more, whatever their role.
    fn is_spent(&self, who: &Candidate) -> bool {
        let has_approved = self.approved.iter().any(|it| it.eq_ignore_ascii_case(&who.login));
        has_approved || (self.asked.not_author && self.run.is_author(&who.login, &who.names))
    }

    fn sentences(&self, steps: &[(Step, &str)]) -> Vec<String> {
        let (team, others) = (&self.circle.team, self.others());
        let sentence = |step: Step| {
            let of_step = steps.iter().filter(|(it, _)| *it == step);
            let names: Vec<_> = of_step.map(|(_, name)| format!("`{name}`")).collect();
            let who = names.join(", ");
            (!names.is_empty()).then(|| match step {
                Step::GiveRole => format!(
                    "An admin of the team `{team}` can give the role `approver` to {who}, under Members of the team."
                ),
                Step::Fill => format!(
                    "Somebody{others} is needed who is in {who} and has the role `approver` in the team `{team}`: \
                     admins give both, under Members of the team."
                ),
                Step::LetIn => {
                    format!("An owner of this server can let {who} sign in again, under People.")
                }
                Step::Make => format!(
                    "An owner of this server can make {who}; whoever approves needs the role `approver` in the team \
                     `{team}`."
                ),
            })
        };
        [Step::GiveRole, Step::Fill, Step::LetIn, Step::Make]
            .into_iter()
            .filter_map(sentence)
            .collect()
    }
}
