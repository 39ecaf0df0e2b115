//! Commands in comments below a pull or merge request, by people whose forge login is linked and whose role
//! allows it. Nobody else's do anything.

use crate::engine::{Command, RerunScope};
use crate::forge::{self, Comment, Reaction, Sender};
use crate::model::{Milliseconds, Role, RunStatus, StageIndex, StageStatus, TeamId};
use crate::pipeline::context::{Author, AuthorPart};
use crate::runs::{LoadedRun, RunsError};
use crate::store::access::people::PersonRow;
use crate::store::access::projects::ProjectRow;
use crate::store::audit::AuditRow;
use crate::store::intake::deliveries::DeliveryStatus;
use crate::store::runs::RunFilter;

use super::intake::Outcome;
use super::{TriggerError, Triggers};

/// Newest runs of requests that are looked through for those of one request.
const RUNS_MAX: u32 = 100;
/// Commands of one comment.
const COMMANDS_MAX: usize = 10;
/// Authors of a change that the audit log names.
const NOTED_MAX: usize = 20;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// `/approve [stage] [why]`
    Approve(String),
    /// `/reject [stage] [why]`
    Reject(String),
    /// `/rerun`, or `/rerun failed`
    Rerun(RerunScope),
    /// `/cancel [why]`
    Cancel(String),
}

impl Order {
    fn needed(&self) -> Role {
        match self {
            Self::Approve(_) | Self::Reject(_) => Role::Approver,
            Self::Rerun(_) | Self::Cancel(_) => Role::Developer,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Approve(_) => "/approve",
            Self::Reject(_) => "/reject",
            Self::Rerun(_) => "/rerun",
            Self::Cancel(_) => "/cancel",
        }
    }
}

/// The commands of a comment: lines that begin with one. What is quoted is not one.
pub(super) fn orders(text: &str) -> Vec<Order> {
    let order = |line: &str| {
        let line = line.trim_end();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match (word, rest) {
            ("/approve", rest) => Some(Order::Approve(rest.to_owned())),
            ("/reject", rest) => Some(Order::Reject(rest.to_owned())),
            ("/rerun", "") => Some(Order::Rerun(RerunScope::All)),
            ("/rerun", "failed") => Some(Order::Rerun(RerunScope::Failed)),
            ("/cancel", rest) => Some(Order::Cancel(rest.to_owned())),
            _ => None,
        }
    };
    text.lines().filter_map(order).take(COMMANDS_MAX).collect()
}

/// What came of an order.
struct Told {
    told: String,
    is_done: bool,
}

/// Somebody who may give orders: their login here, their role and their teams.
struct Giver {
    login: String,
    role: Role,
    teams: Vec<String>,
    /// Name and address.
    names: Vec<String>,
}

impl Triggers {
    pub(super) async fn on_comment(
        &self,
        project: &ProjectRow,
        sender: &Sender,
        comment: &Comment,
    ) -> Result<Outcome, TriggerError> {
        let orders = orders(&comment.text);
        if orders.is_empty() {
            return Ok((DeliveryStatus::Ignored, "the comment has no command".to_owned()));
        }
        let provider = forge::identity_provider(project.forge, &project.forge_url);
        let person = self.store().find_person_by_identity(&provider, &sender.id).await?;
        let Some(giver) = self.giver(project, person).await? else {
            let login = &sender.login;
            let reason = format!("`{login}` is nobody who may give commands here");
            return Ok((DeliveryStatus::Ignored, reason));
        };
        let runs = self.runs_of_request(project, comment).await?;
        let (mut told, mut is_done) = (Vec::new(), true);
        for order in &orders {
            let answer = self.carry_out_order(order, &giver, &runs).await?;
            is_done &= answer.is_done;
            told.push(answer.told);
        }
        let reaction = if is_done { Reaction::Done } else { Reaction::Refused };
        self.react(project, comment, reaction).await;
        Ok((DeliveryStatus::Processed, told.join("\n")))
    }

    /// Shows at the forge what came of a comment. A token that may not do that, or a forge that is away, is no
    /// reason to carry the commands out once more.
    async fn react(&self, project: &ProjectRow, comment: &Comment, reaction: Reaction) {
        let client = match self.projects.client(project).await {
            Ok(Some(client)) => client,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(project = project.slug(), %error, "no reaction to a comment");
                return;
            }
        };
        if let Err(error) = client.react(comment, reaction, self.now()).await {
            tracing::debug!(project = project.slug(), %error, "no reaction to a comment");
        }
    }

    async fn giver(
        &self,
        project: &ProjectRow,
        person: Option<PersonRow>,
    ) -> Result<Option<Giver>, TriggerError> {
        let Some(person) = person.filter(|it| it.disabled_at.is_none()) else { return Ok(None) };
        let memberships = self.store().list_memberships(&person.id).await?;
        let own = memberships.iter().find(|it| it.team == project.team).map(|it| it.role);
        let role = if person.is_owner { Some(Role::Admin) } else { own };
        let teams = memberships.into_iter().map(|it| it.team_name).collect();
        Ok(role.map(|role| Giver {
            names: vec![person.name, person.email],
            login: person.login,
            role,
            teams,
        }))
    }

    /// The runs of a request's newest revision that the comment can mean: nobody says yes to code that came
    /// after they had written.
    async fn runs_of_request(
        &self,
        project: &ProjectRow,
        comment: &Comment,
    ) -> Result<Vec<LoadedRun>, TriggerError> {
        let all = self.newest_runs_of_request(project, comment.number).await?;
        // Forges write whole seconds.
        let written_until = comment.written_at.map(|it| it.plus(Milliseconds(999)));
        let is_meant = |it: &LoadedRun| {
            let is_earlier = written_until.is_none_or(|until| it.row.created_at <= until);
            let is_same = comment.revision.as_ref().is_none_or(|newest| *newest == it.row.revision);
            is_earlier && is_same
        };
        Ok(all.into_iter().filter(is_meant).collect())
    }

    /// The runs of a request's newest revision.
    pub(super) async fn newest_runs_of_request(
        &self,
        project: &ProjectRow,
        number: u64,
    ) -> Result<Vec<LoadedRun>, TriggerError> {
        let filter = RunFilter {
            project: Some(project.id.clone()),
            event: Some("pull_request".to_owned()),
            limit: RUNS_MAX,
            ..RunFilter::default()
        };
        let mut found: Vec<LoadedRun> = Vec::new();
        for row in self.store().list_runs(&filter).await? {
            if found.first().is_some_and(|it| it.row.revision != row.revision) {
                continue;
            }
            let loaded = self.runs.load(&row.id).await?;
            let request = loaded.run.context().pull_request.as_ref();
            if request.is_some_and(|it| it.number == number) {
                found.push(loaded);
            }
        }
        Ok(found)
    }

    /// Carries an order out on every run that it concerns; says what came of it.
    async fn carry_out_order(
        &self,
        order: &Order,
        giver: &Giver,
        runs: &[LoadedRun],
    ) -> Result<Told, TriggerError> {
        let (word, needed) = (order.word(), order.needed());
        if giver.role < needed {
            let told = format!("`{word}` by `{}` takes the role `{needed}`", giver.login);
            return Ok(Told { told, is_done: false });
        }
        let (mut told, mut is_done) = (Vec::new(), true);
        for loaded in runs {
            for command in commands(order, giver, loaded) {
                let mut loaded = loaded.clone();
                let number = loaded.row.number;
                match self.runs.execute(&mut loaded, &command, self.now()).await {
                    Ok(_) => {
                        self.note_order(order, giver, &loaded).await?;
                        told.push(format!("`{word}` by `{}` on run #{number}", giver.login));
                    }
                    Err(RunsError::Refused(why)) => {
                        told.push(format!("`{word}` on run #{number} is refused: {why}"));
                        is_done = false;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if told.is_empty() {
            told.push(format!("`{word}`: no run of the request waits for that"));
            is_done = false;
        }
        Ok(Told { told: told.join("\n"), is_done })
    }
}

impl Triggers {
    /// Writes down an order that was carried out.
    async fn note_order(
        &self,
        order: &Order,
        giver: &Giver,
        loaded: &LoadedRun,
    ) -> Result<(), TriggerError> {
        let project = loaded.row.project.clone();
        let team = self.store().find_project(&project).await?.map(|it| it.team);
        let row = AuditRow {
            id: crate::secrets::new_id(self.now()),
            at: self.now(),
            actor: format!("person:{}", giver.login),
            address: String::new(),
            action: format!("run.{}", order.word().trim_start_matches('/')),
            team: team.unwrap_or_else(|| TeamId(String::new())),
            project,
            subject: loaded.row.id.to_string(),
            detail: detail(loaded),
        };
        Ok(self.store().insert_audit_events(&[row]).await?)
    }
}

/// How it was proved, and whom of the change's authors nobody knows here.
fn detail(loaded: &LoadedRun) -> String {
    let is_unknown = |it: &&Author| it.login.is_empty() && it.part != AuthorPart::Committer;
    let unknown = loaded.run.context().authors.iter().filter(is_unknown).take(NOTED_MAX);
    let unknown: Vec<_> = unknown.map(|it| format!("{} <{}>", it.name, it.email)).collect();
    let mut detail = serde_json::json!({ "proof": "comment at the forge" });
    if let (Some(fields), false) = (detail.as_object_mut(), unknown.is_empty()) {
        fields.insert("unknown_authors".to_owned(), unknown.into());
    }
    detail.to_string()
}

/// What an order means for one run.
fn commands(order: &Order, giver: &Giver, loaded: &LoadedRun) -> Vec<Command> {
    let by = giver.login.clone();
    let is_finished = loaded.run.status().is_finished();
    match order {
        Order::Approve(rest) | Order::Reject(rest) => {
            let (stages, comment) = waiting_stages(loaded, rest);
            let answer = |stage| {
                let (by, teams, comment) = (by.clone(), giver.teams.clone(), comment.clone());
                match order {
                    Order::Reject(_) => Command::Reject { stage, by, teams, comment },
                    Order::Approve(_) | Order::Rerun(_) | Order::Cancel(_) => {
                        let names = giver.names.clone();
                        Command::Approve { stage, by, teams, names, comment }
                    }
                }
            };
            stages.into_iter().map(answer).collect()
        }
        Order::Rerun(scope) if is_finished => {
            let has_failed = loaded.run.status() != RunStatus::Passed;
            let is_wanted = *scope == RerunScope::All || has_failed;
            let command = Command::Rerun { scope: scope.clone(), by, no_reuse: false };
            is_wanted.then_some(command).into_iter().collect()
        }
        Order::Cancel(reason) if !is_finished => {
            vec![Command::Cancel { by, reason: reason.clone() }]
        }
        Order::Rerun(_) | Order::Cancel(_) => Vec::new(),
    }
}

/// The stages that wait, or the one of them that the text begins with; and the rest of the text.
fn waiting_stages(loaded: &LoadedRun, text: &str) -> (Vec<StageIndex>, String) {
    let run = &loaded.run;
    let waiting: Vec<StageIndex> = run
        .stages()
        .filter(|(_, stage)| stage.status == StageStatus::Waiting)
        .map(|(index, _)| index)
        .collect();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let is_named = |name: &str| run.plan().stages.iter().any(|it| it.key == name);
    if !is_named(first) {
        return (waiting, text.to_owned());
    }
    let has_key = |it: &StageIndex| {
        run.plan().stages.get(it.as_usize()).is_some_and(|stage| stage.key == first)
    };
    (waiting.into_iter().filter(has_key).collect(), rest.trim().to_owned())
}
