//! `/admin/queue`: who waits, in which place, and for what.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::desk::server::fleet;
use crate::engine::WaitsFor;
use crate::http::{App, Problem, Visitor};
use crate::model::ProjectId;
use crate::runs::queue::{Queued, Reason};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::manage::place::Place;
use crate::ui::runs::draining;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Runs that are shown; how many more there are is said.
const SHOWN_MAX: usize = 200;

#[derive(Template)]
#[template(path = "admin/queue.html")]
struct QueuePage {
    shell: Shell,
    words: Words,
    place: Place,
    queue: Queue,
}

#[derive(Template)]
#[template(path = "admin/_queue.html")]
struct QueuePart {
    words: Words,
    queue: Queue,
}

/// Runs that wait, and what their projects are called.
struct Queue {
    runs: Vec<Queued>,
    names: HashMap<ProjectId, String>,
    /// Runs that wait too.
    hidden: usize,
}

impl Queue {
    async fn read(app: &App, visitor: &Visitor) -> Result<Self, Problem> {
        visitor.require_owner()?;
        let mut runs = fleet::list_queue(app, visitor).await?;
        let hidden = runs.len().saturating_sub(SHOWN_MAX);
        runs.truncate(SHOWN_MAX);
        let projects = app.store.list_projects().await?.into_iter();
        let names = projects.map(|it| (it.id.clone(), it.slug())).collect();
        Ok(Self { runs, names, hidden })
    }

    /// What the project of a run is called.
    fn name<'a>(&'a self, queued: &'a Queued) -> &'a str {
        self.names.get(&queued.row.project).map_or(queued.row.repository.as_str(), String::as_str)
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn reasons(&self, queued: &Queued) -> Vec<String> {
        queued.reasons.iter().map(reason).collect()
    }
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Worker => "a worker with a free slot".to_owned(),
        Reason::NoWorker => "a worker: none that runs stages gives a sign of life".to_owned(),
        Reason::Draining { workers } => draining(workers),
        Reason::Labels { labels } => {
            let labels: Vec<_> = labels.iter().map(|(name, it)| format!("{name}={it}")).collect();
            format!("a worker with {}: none has these labels", labels.join(", "))
        }
        Reason::Lease { owner, .. } => format!("the lease of {owner}, which is silent"),
        Reason::Stage { stage: Some(stage), waits_for } => format!("{stage}: {}", wait(waits_for)),
        Reason::Stage { stage: None, waits_for } => wait(waits_for),
    }
}

fn wait(waits_for: &WaitsFor) -> String {
    match waits_for {
        WaitsFor::Admission { group } | WaitsFor::Slot { group } => {
            format!("its turn in the group {group}")
        }
        WaitsFor::Retry { .. } => "the time of its next attempt".to_owned(),
        WaitsFor::People { missing, .. } if *missing == 1 => "an approval".to_owned(),
        WaitsFor::People { missing, .. } => format!("{missing} approvals"),
        WaitsFor::Driver | WaitsFor::Needs(_) | WaitsFor::Room | WaitsFor::Attempt => {
            "room on a worker".to_owned()
        }
    }
}

pub(super) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, Problem> {
    let place = super::place(&visit, "/queue")?;
    let queue = Queue::read(&app, &visit.visitor).await?;
    let shell = place.shell(&visit, Section::Server);
    page(&QueuePage { shell, words: visit.words(), place, queue })
}

pub(super) async fn watch(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.require_owner()?;
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor) = (of_parts.clone(), who.clone());
        Box::pin(async move {
            let queue = Queue::read(&app, &visitor).await?;
            let html = part(&QueuePart { words: Words::at(app.now()), queue })?;
            Ok(vec![Part { id: "queue", html }])
        })
    });
    live::stream_of_many(&app, &visitor, vec![(Audience::Alike, "queue".to_owned(), render)])
}
