//! `GET /api/v1/sign-in/oidc` and its `/callback`: to the provider and back, in a browser.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use super::cookies;
use crate::auth::{OIDC_SECONDS, Returned};
use crate::http::{App, Newcomer, Problem, Query, SetCookies};

/// Where the person goes afterwards.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OidcQuery {
    /// A path of this server.
    #[serde(default = "root")]
    return_to: String,
}

fn root() -> String {
    "/".to_owned()
}

/// What the provider has added to the address.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CallbackQuery {
    /// What the ID token is got for.
    #[serde(default)]
    code: String,
    /// What the sign-in began with.
    #[serde(default)]
    state: String,
    /// Why there is no code.
    #[serde(default)]
    error: String,
}

/// Sends the browser to the provider.
#[utoipa::path(
    get, path = "/sign-in/oidc", tag = "sign-in",
    extensions(("x-access" = json!("public"))),
    params(OidcQuery),
    responses((status = 303)),
)]
pub(super) async fn begin_oidc(
    State(app): State<App>,
    _newcomer: Newcomer,
    Query(query): Query<OidcQuery>,
) -> Result<Response, Problem> {
    let begun = app.auth.begin_oidc(&query.return_to).await?;
    let cookie = cookies(&app).set_state(&begun.state, OIDC_SECONDS);
    let location = [(header::LOCATION, begun.location)];
    Ok((StatusCode::SEE_OTHER, cookie, location).into_response())
}

/// Begins a session for who comes back from the provider.
#[utoipa::path(
    get, path = "/sign-in/oidc/callback", tag = "sign-in",
    extensions(("x-access" = json!("public")), ("x-any-query" = json!(true))),
    params(CallbackQuery),
    responses((status = 200)),
)]
pub(super) async fn finish_oidc(
    State(app): State<App>,
    Newcomer(client): Newcomer,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<(SetCookies, Html<String>), Problem> {
    if !query.error.is_empty() {
        tracing::info!(error = query.error, "a provider refused a sign-in");
        return Err(Problem::unauthenticated());
    }
    let returned = Returned {
        code: &query.code,
        state: &query.state,
        cookie: cookies(&app).state(&headers),
        client: &client,
    };
    let (signed_in, return_to) = app.auth.finish_oidc(returned).await?;
    Ok((cookies(&app).set(&signed_in), onward(&return_to)))
}

/// A page of ours that leads on: a redirect would still belong to the provider's request, and browsers do not send
/// strict cookies with those.
fn onward(path: &str) -> Html<String> {
    let escape = |it: char| match it {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => other.to_string(),
    };
    let path: String = path.chars().map(escape).collect();
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Signed in</title>\
         <meta http-equiv=\"refresh\" content=\"0;url={path}\"><a href=\"{path}\">Go on</a></html>"
    ))
}
