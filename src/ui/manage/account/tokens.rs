//! `/account/tokens`: made, shown once, listed and revoked.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::desk::account::{self, MadeToken, WantedToken};
use crate::desk::teams;
use crate::http::{App, CursorForm, Page, PageQuery, Path, Problem, Query, Subject, once_of_form};
use crate::model::Role;
use crate::store::access::teams::TeamRow;
use crate::store::access::tokens::TokenRow;
use crate::ui::form::{Posted, Sent, again, mistake, number, onward};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "account/tokens.html")]
struct TokensPage {
    shell: Shell,
    words: Words,
    place: Place,
    tokens: Page<TokenRow>,
    /// Teams that a scope can be for.
    teams: Vec<TeamRow>,
    may_own: bool,
    form: TokenForm,
    /// The token that was just made: this page is the only one that has it.
    made: Option<MadeToken>,
}

impl TokensPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn roles(&self) -> [&'static str; 4] {
        Role::ALL.map(Role::as_str)
    }

    /// Scopes with the names of teams in place of their ids.
    fn scopes(&self, token: &TokenRow) -> String {
        let named = |word: &String| match word.split_once(':') {
            Some((role, id)) => {
                let team = self.teams.iter().find(|it| it.id.0 == id);
                format!("{role} in {}", team.map_or(id, |it| it.name.as_str()))
            }
            None if word == "owner" => "the whole server".to_owned(),
            None => format!("{word} in all teams"),
        };
        token.scopes.iter().map(named).collect::<Vec<_>>().join(", ")
    }

    /// Why a token is good for nothing any more.
    fn end(&self, token: &TokenRow) -> Option<&'static str> {
        if token.revoked_at.is_some() {
            Some("revoked")
        } else if token.expires_at <= self.words.now() {
            Some("ended")
        } else {
            None
        }
    }
}

/// A token to make.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct TokenForm {
    name: String,
    days: String,
    /// Of each field one word, or nothing.
    scopes: Vec<String>,
    once: String,
}

impl TokenForm {
    /// What it has when nobody has filled it in: the least that is of use.
    fn fresh() -> Self {
        let scopes = vec![Role::Viewer.as_str().to_owned()];
        Self { days: "90".to_owned(), scopes, ..Self::default() }
    }

    /// Whether a field had this word.
    fn has(&self, word: &str) -> bool {
        self.scopes.iter().any(|it| it == word)
    }

    fn has_in(&self, role: &str, team: &str) -> bool {
        self.scopes.iter().any(|it| it.split_once(':') == Some((role, team)))
    }
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

async fn new_page(
    app: &App,
    visit: &Visit,
    (query, form): (PageQuery, TokenForm),
) -> Result<TokensPage, Problem> {
    let place = super::place(visit, "/tokens");
    let caller = &visit.visitor.0;
    let rows = app.store.list_tokens(&caller.person).await?;
    Ok(TokensPage {
        shell: place.shell(visit, Section::Account),
        words: visit.words(),
        place,
        tokens: Page::newest_of_all(rows, &query.checked(CursorForm::Id)?, |it: &TokenRow| {
            it.id.clone()
        }),
        teams: teams::list(app, &visit.visitor, Role::Viewer).await?,
        may_own: caller.may_own(),
        form,
        made: None,
    })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    page(&new_page(&app, &visit, (query, TokenForm::fresh())).await?)
}

fn wanted(form: &TokenForm) -> Result<WantedToken, Problem> {
    let scopes: Vec<_> = form.scopes.iter().filter(|it| !it.is_empty()).cloned().collect();
    if form.name.trim().is_empty() {
        return Err(Problem::bad_request("a token has a name: what it is for"));
    }
    if scopes.is_empty() {
        return Err(Problem::bad_request("a token that is good for nothing is not made")
            .with_help("Choose a role."));
    }
    let days = number(&form.days, "the number of days")?.unwrap_or_default();
    Ok(WantedToken { name: form.name.trim().to_owned(), scopes, days })
}

/// Answers with the token: it must be in no address, and is never shown again.
pub(super) async fn create(
    State(app): State<App>,
    Sent(visit, form): Sent<TokenForm>,
) -> Result<Response, Problem> {
    let made = match wanted(&form) {
        Ok(wanted) => {
            let work = account::create_token(&app, &visit.visitor, wanted);
            once_of_form(&app, (&visit.visitor, &form.once), work).await
        }
        Err(problem) => Err(problem),
    };
    let query = PageQuery::default();
    match made {
        Ok(made) => {
            let shown = new_page(&app, &visit, (query, TokenForm::fresh())).await?;
            let subject = axum::Extension(Subject(made.name.clone()));
            let noted = axum::Extension(account::noted(&app, &made).await);
            let answer = page(&TokensPage { made: Some(made), ..shown })?;
            Ok((subject, noted, answer).into_response())
        }
        Err(problem) => {
            let problem = mistake(problem)?;
            let mut shown = new_page(&app, &visit, (query, form)).await?;
            shown.place.problem = Some(problem);
            again(&shown)
        }
    }
}

pub(super) async fn revoke(
    State(app): State<App>,
    Path(token): Path<String>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    account::revoke_token(&app, &visitor, &token).await?;
    Ok(onward("/account/tokens?done=revoked"))
}
