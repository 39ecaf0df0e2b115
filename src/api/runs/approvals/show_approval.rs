//! `GET /api/v1/runs/{run}/stages/{stage}/approval`: who is asked, who has answered, and what would go through.

use axum::extract::State;

use super::content::{PromptBody, ReleaseBody, bodies};
use crate::approvals::{Answer, ChangeAuthor, ComparedRun, MetricChange, Part, ShownApproval};
use crate::desk::approvals;
use crate::http::{App, Json, Path, Problem, Visitor};
use crate::pipeline::context::AuthorPart;
use crate::source::FileStat;
use crate::store::spend::sums::SpendRow;

/// Files of one part that are named.
const FILES_MAX: usize = 200;

/// An approval, and what it would let through.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ApprovalBody {
    /// Key of its stage.
    stage: String,
    /// Where it stands: `waiting` while people are asked.
    status: String,
    /// Who may answer: logins, and teams as `team/<name>`; everybody with the role when empty.
    by: Vec<String>,
    /// How many people must say yes.
    count: u32,
    /// How many of them are missing.
    missing: u32,
    /// Whether the author of the change does not count.
    not_author: bool,
    /// Who has made the change, and so does not count where `not_author` is true.
    authors: Vec<AuthorBody>,
    /// Until when people have time, in milliseconds since 1970-01-01 UTC; absent while nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// What happens then: `reject` or `approve`.
    on_timeout: &'static str,
    /// What people have said, oldest first.
    answers: Vec<AnswerBody>,
    /// Whether the caller may say yes now.
    you_may: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    you_may_not: Option<String>,
    /// Why nobody can give it as things stand, and what to do; absent when enough people may.
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<StuckBody>,
    /// The run that all is compared with: the last green one of the trunk. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<BaseBody>,
    /// What differs in the files, by part of the release. Absent when it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<PartBody>>,
    /// Why it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes_problem: Option<String>,
    /// The digests of the release. Absent when the pipeline names none, or they cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseBody>,
    /// Prompts that differ, line by line; of very many and very long ones, the beginning.
    prompts: Vec<PromptBody>,
    /// Metrics that are not what they were.
    metrics: Vec<MetricBody>,
    /// What the stages of the run have spent on models so far, the dearest first.
    spend: Vec<SpendBody>,
}

/// Somebody who has made the change.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct AuthorBody {
    /// Login here; absent when they are nobody known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    /// As the commit or the forge names them.
    name: String,
    /// Address in the commit, or empty.
    email: String,
    /// What they did: `author` and `committer` of a commit, `pusher`, `requester` (has opened the request),
    /// `starter` (has started the run by hand).
    parts: Vec<&'static str>,
}

/// Why an approval cannot be given.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct StuckBody {
    /// The end of a sentence.
    why: String,
    /// A sentence.
    help: String,
}

/// What a stage has spent on models.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct SpendBody {
    /// Key of the stage.
    stage: String,
    /// As `attempts`.
    calls: i64,
    /// Attempts: a call counts each time that it was sent.
    attempts: i64,
    /// Tokens of prompts.
    input_tokens: i64,
    /// Tokens of answers.
    output_tokens: i64,
    /// Money, in billionths of a US dollar.
    cost_usd_nanos: i64,
}

/// What one person has said.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct AnswerBody {
    /// Login.
    by: String,
    /// `approved` or `rejected`.
    answer: &'static str,
    /// Why, or empty.
    comment: String,
    /// Milliseconds since 1970-01-01 UTC.
    at: i64,
    /// Whether the stage was run again after it: it counts for nothing any more. Absent where it counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    past: bool,
}

/// The run that all is compared with.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct BaseBody {
    /// Its id.
    run: String,
    /// Its number.
    number: i64,
    /// Its commit.
    revision: String,
    /// Subject line of the commit.
    title: String,
}

/// The changed files of one part of the release.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct PartBody {
    /// `code`, `infra`, `prompts`, `models`, `indexes` or `other`.
    part: &'static str,
    /// Lines that are new.
    added: u64,
    /// Lines that are gone.
    removed: u64,
    /// How many files.
    file_count: usize,
    /// The files by path; of very many, the first ones.
    files: Vec<FileBody>,
}

/// A changed file.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct FileBody {
    /// Its path.
    path: String,
    /// Lines that are new.
    added: u64,
    /// Lines that are gone.
    removed: u64,
    /// Whether its lines cannot be counted.
    binary: bool,
}

/// A metric then and now.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct MetricBody {
    /// Key of the stage that published it.
    stage: String,
    /// Its name.
    metric: String,
    /// In the run that is compared with.
    before: Option<f64>,
    /// In this run.
    now: Option<f64>,
}

/// Shows what an approval would let through.
#[utoipa::path(
    get, path = "/runs/{run}/stages/{stage}/approval", tag = "runs",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id"),
        ("stage" = String, Path, description = "Key of the stage, or its place in the plan"),
    ),
    responses((status = 200, body = ApprovalBody)),
)]
pub(super) async fn show_approval(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage)): Path<(String, String)>,
) -> Result<Json<ApprovalBody>, Problem> {
    let seen = approvals::show(&app, &visitor, (&run, &stage)).await?;
    let spend = seen.spend.into_iter().map(SpendBody::from).collect();
    let stuck = seen.stuck.map(|it| StuckBody { why: it.why, help: it.help });
    Ok(Json(ApprovalBody { stuck, spend, ..ApprovalBody::new(seen.shown, seen.refusal) }))
}

impl ApprovalBody {
    fn new(shown: ShownApproval, refusal: Option<String>) -> Self {
        let parts = |parts: Vec<Part>| parts.into_iter().map(PartBody::from).collect();
        let (release, prompts) = bodies(shown.content);
        Self {
            stage: shown.key,
            status: shown.status.to_string(),
            by: shown.asked.by,
            count: shown.asked.count,
            missing: shown.missing,
            not_author: shown.asked.not_author,
            authors: shown.authors.into_iter().map(AuthorBody::from).collect(),
            until: shown.until.map(|it| it.0),
            on_timeout: if shown.asked.approve_on_timeout { "approve" } else { "reject" },
            answers: shown.answers.into_iter().map(AnswerBody::from).collect(),
            you_may: refusal.is_none(),
            you_may_not: refusal,
            stuck: None,
            base: shown.base.map(BaseBody::from),
            changes: shown.parts.map(parts),
            changes_problem: shown.problem,
            release,
            prompts,
            metrics: shown.metrics.into_iter().map(MetricBody::from).collect(),
            spend: Vec::new(),
        }
    }
}

impl From<ChangeAuthor> for AuthorBody {
    fn from(author: ChangeAuthor) -> Self {
        let ChangeAuthor { login, name, email, parts } = author;
        Self { login, name, email, parts: parts.into_iter().map(AuthorPart::as_str).collect() }
    }
}

impl From<SpendRow> for SpendBody {
    fn from(row: SpendRow) -> Self {
        let SpendRow { name: stage, attempts, input_tokens, output_tokens, cost, .. } = row;
        let (calls, cost_usd_nanos) = (attempts, cost.0);
        Self { stage, calls, attempts, input_tokens, output_tokens, cost_usd_nanos }
    }
}

impl From<Answer> for AnswerBody {
    fn from(answer: Answer) -> Self {
        let Answer { by, is_approved, comment, at, is_past } = answer;
        let answer = if is_approved { "approved" } else { "rejected" };
        Self { by, answer, comment, at: at.0, past: is_past }
    }
}

impl From<ComparedRun> for BaseBody {
    fn from(run: ComparedRun) -> Self {
        let ComparedRun { id, number, revision, title } = run;
        Self { run: id.0, number, revision, title }
    }
}

impl From<Part> for PartBody {
    fn from(part: Part) -> Self {
        Self {
            part: part.kind.as_str(),
            added: part.added,
            removed: part.removed,
            file_count: part.files.len(),
            files: part.files.into_iter().take(FILES_MAX).map(FileBody::from).collect(),
        }
    }
}

impl From<FileStat> for FileBody {
    fn from(file: FileStat) -> Self {
        let FileStat { path, added, removed, is_binary: binary } = file;
        Self { path, added, removed, binary }
    }
}

impl From<MetricChange> for MetricBody {
    fn from(change: MetricChange) -> Self {
        let MetricChange { stage, metric, before, now } = change;
        Self { stage, metric, before, now }
    }
}
