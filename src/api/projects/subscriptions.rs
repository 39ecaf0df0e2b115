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

use crate::http::App;

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
