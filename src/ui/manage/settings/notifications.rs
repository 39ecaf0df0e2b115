//! `/projects/{team}/{name}/settings/notifications`: who is told what became of runs.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Names, OfProject};
use crate::desk::projects::subscriptions::{self, WantedSubscription};
use crate::http::{App, Path, Problem, once_of_form};
use crate::notifications::{EventKind, Form};
use crate::store::access::projects::ProjectRow;
use crate::store::intake::subscriptions::SubscriptionRow;
use crate::ui::form::{Sent, again, listed, mistake, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "settings/notifications.html")]
struct NotificationsPage {
    shell: Shell,
    words: Words,
    place: Place,
    project: ProjectRow,
    subscriptions: Vec<SubscriptionRow>,
    form: SubscriptionForm,
    /// The signing secret of a webhook that was just made: this page is the only one that has it.
    made: Option<String>,
}

impl NotificationsPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn kinds(&self) -> Vec<(&'static str, &'static str)> {
        kinds()
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn ways(&self) -> [(&'static str, &'static str); 3] {
        Form::ALL.map(|it| (it.as_str(), way(it)))
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn events(&self, row: &SubscriptionRow) -> String {
        told(row).join(", ")
    }
}

/// What a subscription tells, in words of the interface.
pub(super) fn told(row: &SubscriptionRow) -> Vec<String> {
    serde_json::from_str(&row.events).unwrap_or_default()
}

/// Everything that can be told: its word, and what it means.
pub(super) fn kinds() -> Vec<(&'static str, &'static str)> {
    let known = EventKind::ALL.into_iter();
    known.filter_map(|it| meaning(it).map(|meaning| (it.as_str(), meaning))).collect()
}

fn meaning(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::RunFailed => Some("a run has failed"),
        EventKind::RunPassed => Some("a run has passed"),
        EventKind::RunRecovered => Some("a run has passed after one that failed"),
        EventKind::ApprovalWanted => Some("a stage waits for an approval"),
        EventKind::SubscriptionDisabled => Some("another subscription was turned off"),
        EventKind::BudgetAlert => Some("half of a budget is used, most of it, or all"),
        EventKind::Test => None,
    }
}

fn way(form: Form) -> &'static str {
    match form {
        Form::Webhook => "Webhook: signed JSON to a program of yours",
        Form::Slack => "Slack: a message by an incoming webhook",
        Form::Mail => "Mail",
    }
}

/// A subscription to make.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct SubscriptionForm {
    form: String,
    target: String,
    events: Vec<String>,
    branches: String,
    /// `project`, or `team` for all of its projects.
    whose: String,
    once: String,
}

impl SubscriptionForm {
    fn has(&self, event: &str) -> bool {
        self.events.iter().any(|it| it == event)
    }
}

async fn new_page(
    app: &App,
    visit: &Visit,
    (found, form): (OfProject, SubscriptionForm),
) -> Result<NotificationsPage, Problem> {
    let OfProject { project, place } = found;
    let mut all = subscriptions::list(app, &visit.visitor, &project.team_name).await?;
    all.retain(|it| it.project.0.is_empty() || it.project == project.id);
    Ok(NotificationsPage {
        shell: place.shell(visit, Section::Home),
        words: visit.words(),
        place,
        project,
        subscriptions: all,
        form,
        made: None,
    })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
) -> Result<Response, Problem> {
    let found = OfProject::find(&app, &visit, (&names, "/notifications")).await?;
    let events = vec!["run.failed".to_owned(), "run.recovered".to_owned()];
    let form = SubscriptionForm { events, ..SubscriptionForm::default() };
    page(&new_page(&app, &visit, (found, form)).await?)
}

/// Answers with the signing secret of a webhook: it must be in no address, and is never shown again.
pub(super) async fn create(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<SubscriptionForm>,
) -> Result<Response, Problem> {
    let mut found = OfProject::find_to_change(&app, &visit, (&names, "/notifications")).await?;
    let wanted = WantedSubscription {
        form: form.form.clone(),
        target: form.target.trim().to_owned(),
        events: form.events.clone(),
        project: (form.whose != "team").then(|| found.project.name.clone()),
        branches: listed(&form.branches),
    };
    let team = found.project.team_name.clone();
    let work = subscriptions::create(&app, &visit.visitor, (&team, wanted));
    match once_of_form(&app, (&visit.visitor, &form.once), work).await {
        Ok((row, None)) => {
            let path = found.place.path;
            Ok(onward(&format!("{path}/notifications/{}?done=created", row.id)))
        }
        Ok((_, made)) => {
            let shown = new_page(&app, &visit, (found, SubscriptionForm::default())).await?;
            page(&NotificationsPage { made, ..shown })
        }
        Err(problem) => {
            found.place.problem = Some(mistake(problem)?);
            again(&new_page(&app, &visit, (found, form)).await?)
        }
    }
}
