//! Subscriptions of teams: who is told what became of runs.

mod body;
mod list_subscriptions;
mod create_subscription;
mod change_subscription;
mod delete_subscription;
mod rotate_subscription_secret;
mod try_subscription;
mod list_notifications;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::Role;
use crate::notifications::{EventKind, Notifications, SubscriptionError};
use crate::store::intake::subscriptions::SubscriptionRow;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            list_subscriptions::list_subscriptions,
            create_subscription::create_subscription
        ))
        .routes(routes!(
            change_subscription::change_subscription,
            delete_subscription::delete_subscription
        ))
        .routes(routes!(rotate_subscription_secret::rotate_subscription_secret))
        .routes(routes!(try_subscription::try_subscription))
        .routes(routes!(list_notifications::list_notifications))
}

/// What tells people and programs.
fn notifications(app: &App) -> Result<&Notifications, Problem> {
    app.triggers.notifications().ok_or_else(|| Problem::not_found("this subscription"))
}

/// A subscription of a team, for what takes `needed`.
async fn find(
    app: &App,
    visitor: &Visitor,
    ((team, id), needed): ((&str, &str), Role),
) -> Result<SubscriptionRow, Problem> {
    let found = app.store.find_team(team).await?;
    let team = found.ok_or_else(|| Problem::not_found("this team"))?.id;
    visitor.require(&team, needed, "this team")?;
    let row = app.store.find_subscription(&id.to_lowercase()).await?;
    row.filter(|it| it.team == team).ok_or_else(|| Problem::not_found("this subscription"))
}

fn kinds(words: &[String]) -> Result<Vec<EventKind>, Problem> {
    let kind = |word: &String| {
        EventKind::parse(word).ok_or_else(|| {
            let known = EventKind::ALL.map(|it| format!("`{}`", it.as_str())).join(", ");
            Problem::bad_request(format!("`{word}` is no event; known: {known}"))
        })
    };
    words.iter().map(kind).collect()
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Invalid(reason) => Self::bad_request(reason),
            SubscriptionError::Outgoing(error) => {
                Self::new(ProblemKind::Refused, error.to_string())
            }
            SubscriptionError::Store(error) => error.into(),
            SubscriptionError::Seal(error) => Self::internal(&error),
        }
    }
}
