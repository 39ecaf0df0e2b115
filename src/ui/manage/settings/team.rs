//! `/teams/{team}/settings`: who is in a team, and what each may do.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::OfTeam;
use crate::desk::teams;
use crate::http::{App, Detail, Path, Problem, ProblemKind, Subject};
use crate::model::Role;
use crate::store::access::teams::{MemberRow, TeamRow};
use crate::ui::form::{Posted, Sent, again, check_seen, mistake, onward, seen_of, settle};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};

#[derive(Template)]
#[template(path = "settings/team.html")]
struct TeamPage {
    shell: Shell,
    place: Place,
    team: TeamRow,
    members: Vec<MemberRow>,
    form: MemberForm,
    named: TitleForm,
}

impl TeamPage {
    fn is_me(&self, member: &MemberRow) -> bool {
        self.shell.me.as_ref().is_some_and(|it| it.login == member.login)
    }

    /// The roles, and what each may do beside what those before it may.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn roles(&self) -> [(&'static str, &'static str); 4] {
        Role::ALL.map(|it| (it.as_str(), may(it)))
    }
}

fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Looks at runs, logs and artifacts.",
        Role::Developer => "Starts, cancels and repeats runs.",
        Role::Approver => "Says yes or no where a stage asks for an approval.",
        Role::Admin => "Changes projects, secrets, webhooks and members.",
    }
}

/// Who, and as what.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct MemberForm {
    login: String,
    role: String,
    /// The role that was shown, where there was one.
    seen: String,
}

impl MemberForm {
    /// Refuses to take back a role that somebody else has given.
    fn check_seen(&self, members: &[MemberRow]) -> Result<(), Problem> {
        let login = self.login.trim().to_lowercase();
        let now = members.iter().find(|it| it.login == login).map_or("", |it| it.role.as_str());
        check_seen((&self.seen, now), &[("the role", self.role.as_str(), now)])
    }
}

/// Another name for people.
#[derive(Debug, serde::Deserialize)]
pub(super) struct TitleForm {
    title: String,
    #[serde(default)]
    seen: String,
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

async fn new_page(
    app: &App,
    visit: &Visit,
    (found, form): (OfTeam, MemberForm),
) -> Result<TeamPage, Problem> {
    let OfTeam { team, place } = found;
    let members = app.store.list_members(&team.id).await?;
    let named = TitleForm { title: team.title.clone(), seen: seen_of(&team.title) };
    Ok(TeamPage { shell: place.shell(visit, Section::Home), place, team, members, form, named })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(team): Path<String>,
) -> Result<Response, Problem> {
    let found = OfTeam::find(&app, &visit, (&team, "")).await?;
    page(&new_page(&app, &visit, (found, MemberForm::default())).await?)
}

pub(super) async fn rename(
    State(app): State<App>,
    Path(team): Path<String>,
    Sent(visit, form): Sent<TitleForm>,
) -> Result<Response, Problem> {
    let before = OfTeam::find(&app, &visit, (&team, "")).await?.team;
    let fields = [("the name for people", form.title.as_str(), before.title.as_str())];
    let changed = match check_seen((&form.seen, &seen_of(&before.title)), &fields) {
        Ok(()) => teams::change_title(&app, &visit.visitor, (&team, &form.title)).await,
        Err(problem) => Err(problem),
    };
    let done = changed.map(|_| format!("/teams/{team}/settings?done=saved"));
    settle(done, |problem| async move {
        let mut found = OfTeam::find(&app, &visit, (&team, "")).await?;
        found.place.problem = Some(problem);
        let shown = new_page(&app, &visit, (found, MemberForm::default())).await?;
        let seen = shown.named.seen.clone();
        Ok(TeamPage { named: TitleForm { seen, ..form }, ..shown })
    })
    .await
}

pub(super) async fn save(
    State(app): State<App>,
    Path(team): Path<String>,
    Sent(visit, form): Sent<MemberForm>,
) -> Result<Response, Problem> {
    let mut found = OfTeam::find(&app, &visit, (&team, "")).await?;
    visit.visitor.require(&found.team.id, Role::Admin, "this team")?;
    let wanted = (team.as_str(), form.login.trim(), form.role.as_str());
    let saved = match form.check_seen(&app.store.list_members(&found.team.id).await?) {
        Ok(()) => teams::save_member(&app, &visit.visitor, wanted).await,
        Err(problem) => Err(problem),
    };
    match saved {
        Ok((login, role)) => {
            let to = onward(&format!("/teams/{team}/settings?done=saved"));
            let subject = axum::Extension(Subject(format!("{team}/{login}")));
            let noted = axum::Extension(Detail::default().with("role", role.as_str()));
            Ok((subject, noted, to).into_response())
        }
        Err(problem) => {
            found.place.problem = Some(if problem.kind() == ProblemKind::NotFound {
                "There is nobody with this login. An owner of the server makes people under Server, People."
                    .to_owned()
            } else {
                mistake(problem)?
            });
            again(&new_page(&app, &visit, (found, form)).await?)
        }
    }
}

pub(super) async fn remove(
    State(app): State<App>,
    Path((team, login)): Path<(String, String)>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    teams::delete_member(&app, &visitor, (&team, &login)).await?;
    // Who has left it themselves does not see it any more.
    let has_left = login == visitor.0.login && !visitor.0.may_own();
    let to = if has_left { "/teams" } else { &format!("/teams/{team}/settings") };
    Ok(onward(&format!("{to}?done=removed")))
}
