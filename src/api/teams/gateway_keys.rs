//! Keys that a team's deployed apps call the gateway with.

mod list_gateway_keys;
mod create_gateway_key;
mod rotate_gateway_key;
mod revoke_gateway_key;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            list_gateway_keys::list_gateway_keys,
            create_gateway_key::create_gateway_key
        ))
        .routes(routes!(revoke_gateway_key::revoke_gateway_key))
        .routes(routes!(rotate_gateway_key::rotate_gateway_key))
}
