//! `/runs/{run}/stages/{stage}/approval`: who is asked, who has answered, what would go through, and the answer.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::approvals::{ChangeAuthor, MetricChange};
use crate::desk::approvals::{self, Answer, SeenApproval};
use crate::http::{App, Path, Problem, Visitor};
use crate::model::StageStatus;
use crate::source::LineKind;
use crate::ui::form::{Posted, encoded, onward};
use crate::ui::live::{self, Part, Render};
use crate::ui::reports::chart::Unit;
use crate::ui::runs::Spend;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Files of one part that are named.
const FILES_MAX: usize = 200;
/// Metrics that are shown.
const METRICS_MAX: usize = 200;
/// Authors that are named.
const AUTHORS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "approvals/show.html")]
struct ApprovalPage {
    shell: Shell,
    words: Words,
    spend: Option<Spend>,
    is_finished: bool,
    seen: SeenApproval,
    /// Path of this page.
    path: String,
}

#[derive(Template)]
#[template(path = "approvals/_answers.html")]
struct AnswersPart<'a> {
    words: Words,
    seen: &'a SeenApproval,
}

#[derive(Template)]
#[template(path = "approvals/_answer.html")]
struct AnswerPart<'a> {
    words: Words,
    seen: &'a SeenApproval,
    path: &'a str,
}

/// A metric then and now, as people read it.
struct MetricLine<'a> {
    stage: &'a str,
    metric: &'a str,
    before: String,
    now: String,
    /// By how much, where both are known: `+12 %`, or what was added to nothing.
    change: String,
}

impl<'a> MetricLine<'a> {
    fn of(it: &'a MetricChange) -> Self {
        let unit = Unit::of(&it.metric);
        let text = |it: Option<f64>| it.map_or_else(|| "–".to_owned(), |it| unit.text(it));
        let change = match (it.before, it.now) {
            (Some(before), Some(now)) => difference(unit, before, now),
            (None, Some(_)) => "new".to_owned(),
            (Some(_), None) => "not published".to_owned(),
            (None, None) => String::new(),
        };
        let (before, now) = (text(it.before), text(it.now));
        Self { stage: &it.stage, metric: &it.metric, before, now, change }
    }
}

fn difference(unit: Unit, before: f64, now: f64) -> String {
    let sign = if now < before { "−" } else { "+" };
    let by = (now - before).abs();
    if before == 0.0 {
        return format!("{sign}{}", unit.text(by));
    }
    format!("{sign}{}", Unit::Share.text(by / before.abs()))
}

impl SeenApproval {
    fn metrics(&self) -> Vec<MetricLine<'_>> {
        self.shown.metrics.iter().take(METRICS_MAX).map(MetricLine::of).collect()
    }

    /// Who may say yes, in words.
    fn asked(&self) -> String {
        let asked = &self.shown.asked;
        let who = if asked.by.is_empty() {
            "everybody with the role approver".to_owned()
        } else {
            asked.by.join(", ")
        };
        let author = if asked.not_author { ", but not the author of the change" } else { "" };
        format!("{who}{author}")
    }

    /// Who does not count, in words; `None` where the file does not mind, or nothing is known.
    fn authors(&self) -> Option<String> {
        let authors = &self.shown.authors;
        if !self.shown.asked.not_author || authors.is_empty() {
            return None;
        }
        let one = |it: &ChangeAuthor| {
            let parts: Vec<_> = it.parts.iter().map(|it| it.as_str()).collect();
            let who = it.login.clone().unwrap_or_else(|| it.shown());
            format!("{who} ({})", parts.join(", "))
        };
        let shown: Vec<_> = authors.iter().take(AUTHORS_MAX).map(one).collect();
        let more = authors.len().saturating_sub(AUTHORS_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        Some(format!("{}{more}", shown.join("; ")))
    }

    /// Authors who are nobody known here, where the file wants others than them.
    fn unknown(&self) -> Vec<String> {
        if !self.shown.asked.not_author {
            return Vec::new();
        }
        let unknown = self.shown.authors.iter().filter(|it| it.is_unknown());
        unknown.take(AUTHORS_MAX).map(ChangeAuthor::shown).collect()
    }

    /// A stage that has failed already: the run does so, too, whatever is said here.
    fn failed(&self) -> Option<&str> {
        let run = &self.loaded.run;
        let failed = run.failed_stages().find(|_| self.is_waiting())?;
        run.plan().stages.get(failed.as_usize()).map(|it| it.key.as_str())
    }

    fn is_waiting(&self) -> bool {
        self.shown.status == StageStatus::Waiting
    }

    fn passed_undecided(&self) -> bool {
        self.shown.status == StageStatus::Passed && self.shown.missing > 0
    }
}

/// What somebody says.
#[derive(serde::Deserialize)]
pub(super) struct AnswerForm {
    #[serde(default)]
    comment: String,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((run, stage)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let seen = approvals::show(&app, &visit.visitor, (&run, &stage)).await?;
    let verb = if seen.rejection_refusal.is_none() { "Approve" } else { "Approval of" };
    let title = format!("{verb} {} of run {}", seen.shown.key, seen.loaded.row.number);
    let path = path(&run, &stage);
    page(&ApprovalPage {
        shell: visit.shell(Section::Approvals, title),
        words: visit.words(),
        spend: Spend::of(&seen.spend, &seen.loaded.row.id.0),
        is_finished: seen.loaded.run.status().is_finished(),
        seen,
        path,
    })
}

/// Where a stage is, for links: its key may have any letters.
fn path(run: &str, stage: &str) -> String {
    format!("/runs/{}/stages/{}", encoded(run), encoded(stage))
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = approvals::show(&app, &visitor, (&run, &stage)).await?.loaded.row.id;
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor) = (of_parts.clone(), who.clone());
        let (run, stage) = (run.clone(), stage.clone());
        Box::pin(async move {
            let seen = approvals::show(&app, &visitor, (&run, &stage)).await?;
            let (words, seen, path) = (Words::at(app.now()), &seen, &path(&run, &stage));
            let answers = part(&AnswersPart { words, seen })?;
            let answer = part(&AnswerPart { words, seen, path })?;
            Ok(vec![Part { id: "answers", html: answers }, Part { id: "answer", html: answer }])
        })
    });
    live::stream(&app, &visitor, id, render)
}

pub(super) async fn approve(
    State(app): State<App>,
    Path((run, stage)): Path<(String, String)>,
    Posted(visitor, form): Posted<AnswerForm>,
) -> Result<Response, Problem> {
    answer(&app, &visitor, (&run, &stage), (Answer::Approve, &form.comment)).await
}

pub(super) async fn reject(
    State(app): State<App>,
    Path((run, stage)): Path<(String, String)>,
    Posted(visitor, form): Posted<AnswerForm>,
) -> Result<Response, Problem> {
    answer(&app, &visitor, (&run, &stage), (Answer::Reject, &form.comment)).await
}

async fn answer(
    app: &App,
    visitor: &Visitor,
    (run, stage): (&str, &str),
    said: (Answer, &str),
) -> Result<Response, Problem> {
    let answered = approvals::answer(app, visitor, (run, stage), said).await?;
    let done = if said.0 == Answer::Approve { "approved" } else { "rejected" };
    let to = onward(&format!("{}/approval?done={done}", path(run, stage)));
    Ok((axum::Extension(answered.noted), to).into_response())
}
