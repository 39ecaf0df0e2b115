//! What people and scripts ask for, mixed.

use reqwest::Method;

use super::load::{self, Pace};
use super::past::{LOGS, Past, run_id};
use super::process::Server;

const PER_SECOND: f64 = 200.0;

/// A kind of question: its name, its address for the n-th time, and whether the member of one team asks.
struct Question {
    name: &'static str,
    is_members: bool,
    path: fn(u64, u64) -> String,
}

const QUESTIONS: [Question; 11] = [
    Question { name: "runs, newest", is_members: false, path: |_, _| "/runs".to_owned() },
    Question {
        name: "runs, as a member of one team",
        is_members: true,
        path: |_, _| "/runs".to_owned(),
    },
    Question {
        name: "runs of a project",
        is_members: false,
        path: |n, _| format!("/runs?project=team-{}/project-{}", n % 20, n % 200),
    },
    Question {
        name: "runs of a project and branch",
        is_members: false,
        path: |n, _| {
            format!("/runs?project=team-{}/project-{}&branch=feature-{}", n % 20, n % 200, n % 19)
        },
    },
    Question {
        name: "failed runs of a project",
        is_members: false,
        path: |n, _| format!("/runs?project=team-{}/project-{}&status=failed", n % 20, n % 200),
    },
    Question {
        name: "failed runs",
        is_members: false,
        path: |_, _| "/runs?status=failed".to_owned(),
    },
    Question {
        name: "runs of a branch that has none",
        is_members: true,
        path: |n, _| format!("/runs?branch=gone-{}", n % 7),
    },
    Question {
        name: "runs, a page far back",
        is_members: false,
        path: |n, runs| format!("/runs?cursor={}", run_id(1 + n * 7919 % runs)),
    },
    Question {
        name: "a run",
        is_members: false,
        path: |n, runs| format!("/runs/{}", run_id(1 + n * 7919 % runs)),
    },
    Question {
        name: "events of a run",
        is_members: false,
        path: |n, runs| format!("/runs/{}/events", run_id(1 + n * 7919 % runs)),
    },
    Question {
        name: "200 lines of a log",
        is_members: false,
        path: |n, runs| {
            let run = run_id(runs - n % LOGS.min(runs));
            format!("/runs/{run}/stages/unit/log?from_line={}&lines=200", n * 31 % 1800)
        },
    },
];

/// Asks all kinds in turn, and prints a row for each.
pub(crate) async fn measure(server: &Server, past: &Past, seconds: u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small rate")]
    let pace = Pace { count: seconds * PER_SECOND as u64, per_second: PER_SECOND };
    // Once for what is read for the first time.
    let warm = Pace { count: pace.count.min(500), ..pace };
    for (title, pace) in [("", warm), ("200 requests a second", pace)] {
        let samples = load::play(pace, |n| {
            let kind = usize::try_from(n).unwrap() % QUESTIONS.len();
            let question = &QUESTIONS[kind];
            let token = if question.is_members { &past.member } else { &server.token };
            let path = format!("/api/v1{}", (question.path)(n, past.runs));
            let request = server.request(Method::GET, &path).bearer_auth(token);
            async move {
                let Ok(response) = request.send().await else { return (kind, false) };
                let is_good = response.status().is_success();
                (kind, response.bytes().await.is_ok() && is_good)
            }
        })
        .await;
        if title.is_empty() {
            continue;
        }
        load::head(title);
        for (kind, question) in QUESTIONS.iter().enumerate() {
            load::row(question.name, samples.iter().filter(|it| it.kind == kind));
        }
        load::row("all", samples.iter());
    }
}
