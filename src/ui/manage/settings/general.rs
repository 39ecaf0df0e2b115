//! `/projects/{team}/{name}/settings`: address, trunk, turn, how long runs are kept, badges, the end.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::{Names, OfProject};
use crate::desk::projects::remote::{self, RemoteState};
use crate::desk::projects::{self, ProjectChange, settings};
use crate::http::{App, Path, Problem};
use crate::model::ForgeKind;
use crate::store::access::projects::ProjectRow;
use crate::store::intake::badges::BadgeAccess;
use crate::ui::form::{Compared, Posted, Sent, check_seen, number, onward, seen_of, settle};
use crate::ui::manage::place::Place;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "settings/general.html")]
struct GeneralPage {
    shell: Shell,
    words: Words,
    place: Place,
    project: ProjectRow,
    remote: RemoteState,
    form: GeneralForm,
    /// Days and count, as typed.
    retention: RetentionForm,
    badge: BadgeAccess,
    /// What is to become of it, as typed.
    badge_form: BadgeForm,
    /// Where the server is, as others see it; empty when that is not known.
    origin: String,
}

impl GeneralPage {
    #[expect(clippy::unused_self, reason = "templates call it so")]
    fn forges(&self) -> [ForgeKind; 4] {
        ForgeKind::ALL
    }

    /// Path of the picture.
    fn badge_path(&self) -> String {
        settings::badge_path(&self.project, &self.badge, "ci")
    }

    /// What a README shows.
    fn markdown(&self) -> String {
        let (origin, slug, picture) = (&self.origin, self.project.slug(), self.badge_path());
        format!("[![ci]({origin}{picture})]({origin}/projects/{slug})")
    }
}

/// What can be said of a project.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct GeneralForm {
    address: String,
    forge: String,
    forge_url: String,
    forge_path: String,
    default_branch: String,
    priority: String,
    poll_seconds: String,
    /// What was shown, in short.
    seen: String,
}

impl GeneralForm {
    fn of(row: &ProjectRow) -> Self {
        Self {
            address: row.shown_address(),
            forge: row.forge.to_string(),
            forge_url: row.forge_url.clone(),
            forge_path: row.forge_path.clone(),
            default_branch: row.default_branch.clone(),
            priority: row.priority.to_string(),
            poll_seconds: row.poll_seconds.to_string(),
            seen: seen(row),
        }
    }

    /// What is to change, unless somebody else has changed what the one who typed has seen.
    fn change_seen(&self, before: &ProjectRow) -> Result<ProjectChange, Problem> {
        let now = Self::of(before);
        let fields: [Compared<'_>; 7] = [
            ("address", self.address.as_str(), now.address.as_str()),
            ("forge", &self.forge, &now.forge),
            ("owner and name at the forge", &self.forge_path, &now.forge_path),
            ("address of the forge's API", &self.forge_url, &now.forge_url),
            ("trunk", &self.default_branch, &now.default_branch),
            ("seconds between two looks", or_zero(&self.poll_seconds), &now.poll_seconds),
            ("priority", or_zero(&self.priority), &now.priority),
        ];
        check_seen((&self.seen, &now.seen), &fields)?;
        self.change()
    }

    fn change(&self) -> Result<ProjectChange, Problem> {
        let trimmed = |it: &str| Some(it.trim().to_owned());
        let branch = trimmed(&self.default_branch).filter(|it| !it.is_empty());
        let no_branch = || Problem::bad_request("the trunk is the name of a branch");
        Ok(ProjectChange {
            address: trimmed(&self.address),
            forge: Some(self.forge.clone()),
            forge_url: trimmed(&self.forge_url),
            forge_path: trimmed(&self.forge_path),
            default_branch: Some(branch.ok_or_else(no_branch)?),
            priority: Some(number(&self.priority, "the priority")?.unwrap_or(0)),
            poll_seconds: Some(
                number(&self.poll_seconds, "the time between two looks")?.unwrap_or(0),
            ),
            archived: None,
        })
    }
}

/// What the form shows of a project, in short.
fn seen(row: &ProjectRow) -> String {
    seen_of(&(
        (&row.address, row.forge, &row.forge_url, &row.forge_path),
        (&row.default_branch, row.priority, row.poll_seconds),
    ))
}

/// A number as it is read: an empty field is none.
fn or_zero(text: &str) -> &str {
    if text.trim().is_empty() { "0" } else { text }
}

/// How long runs are kept; an empty field is as the server says.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct RetentionForm {
    days: String,
    count: String,
    seen: String,
}

/// Days, and how many.
type Kept = (Option<u32>, Option<u32>);

impl RetentionForm {
    fn of(kept: Kept) -> Self {
        let text = |it: Option<u32>| it.map_or_else(String::new, |it| it.to_string());
        Self { days: text(kept.0), count: text(kept.1), seen: seen_of(&kept) }
    }

    /// What is to be, unless somebody else has changed what the one who typed has seen.
    fn wanted(&self, present: Kept) -> Result<Kept, Problem> {
        let wanted =
            (number(&self.days, "the number of days")?, number(&self.count, "the number of runs")?);
        let now = Self::of(present);
        let fields: [Compared<'_>; 2] =
            [("days", self.days.as_str(), now.days.as_str()), ("newest", &self.count, &now.count)];
        check_seen((&self.seen, &now.seen), &fields)?;
        Ok(wanted)
    }
}

/// Who may see badges.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct BadgeForm {
    public: String,
    token: String,
    seen: String,
}

impl BadgeForm {
    fn of(access: &BadgeAccess) -> Self {
        let public = if access.is_public { "yes" } else { "" };
        Self { public: public.to_owned(), token: "keep".to_owned(), seen: seen_of(access) }
    }

    /// What becomes of the token.
    fn token(&self) -> &str {
        if self.token.is_empty() { "keep" } else { &self.token }
    }

    /// Refuses to take back what somebody else has set.
    fn check_seen(&self, present: &BadgeAccess) -> Result<(), Problem> {
        let now = Self::of(present);
        let there = if present.token.is_empty() { "none" } else { "a token" };
        let token = match self.token() {
            "keep" => there,
            "remove" => "none",
            _ => "a new one",
        };
        let everybody = |it: &str| if it.is_empty() { "no" } else { "yes" };
        let fields = [
            ("seen by everybody:", everybody(&self.public), everybody(&now.public)),
            ("in the address:", token, there),
        ];
        check_seen((&self.seen, &now.seen), &fields)
    }
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct NoForm {}

/// The page, with what was typed where that was wrong.
async fn new_page(
    app: &App,
    visit: &Visit,
    (found, form): (OfProject, Option<GeneralForm>),
) -> Result<GeneralPage, Problem> {
    let OfProject { project, place } = found;
    let badge = settings::show_badge(app, &project).await?;
    Ok(GeneralPage {
        shell: place.shell(visit, Section::Home),
        words: visit.words(),
        // Who saves again has been told.
        form: form.map_or_else(
            || GeneralForm::of(&project),
            |it| GeneralForm { seen: seen(&project), ..it },
        ),
        retention: RetentionForm::of(settings::show_retention(app, &project).await?),
        remote: remote::find(app, &project).await?.0,
        badge_form: BadgeForm::of(&badge),
        badge,
        origin: app.auth.settings().public_url.clone().unwrap_or_default(),
        place,
        project,
    })
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(names): Path<Names>,
) -> Result<Response, Problem> {
    let found = OfProject::find(&app, &visit, (&names, "")).await?;
    page(&new_page(&app, &visit, (found, None)).await?)
}

pub(super) async fn save(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<GeneralForm>,
) -> Result<Response, Problem> {
    let mut found = OfProject::find_to_change(&app, &visit, (&names, "")).await?;
    let before = found.project.clone();
    let after =
        form.change_seen(&before).and_then(|it| projects::changed(&app, before.clone(), it));
    let saved = match after {
        Ok(after) => {
            let saved = projects::save(&app, &before, &after).await;
            saved.map(|()| projects::noted(&before, &after)).map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    let noted = saved.as_ref().ok().cloned().unwrap_or_default();
    let done = saved.map(|_| format!("{}?done=saved", found.place.path));
    settle(done, |problem| async move {
        found.place.problem = Some(problem);
        new_page(&app, &visit, (found, Some(form))).await
    })
    .await
    .map(|it| (Extension(noted), it).into_response())
}

pub(super) async fn save_retention(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<RetentionForm>,
) -> Result<Response, Problem> {
    let mut found = OfProject::find_to_change(&app, &visit, (&names, "")).await?;
    let present = settings::show_retention(&app, &found.project).await?;
    let saved = match form.wanted(present) {
        Ok(wanted) => settings::save_retention(&app, &found.project, wanted).await,
        Err(problem) => Err(problem),
    };
    let done = saved.map(|()| format!("{}?done=saved", found.place.path));
    settle(done, |problem| async move {
        found.place.problem = Some(problem);
        let page = new_page(&app, &visit, (found, None)).await?;
        let seen = page.retention.seen.clone();
        Ok(GeneralPage { retention: RetentionForm { seen, ..form }, ..page })
    })
    .await
}

pub(super) async fn save_badge(
    State(app): State<App>,
    Path(names): Path<Names>,
    Sent(visit, form): Sent<BadgeForm>,
) -> Result<Response, Problem> {
    let mut found = OfProject::find_to_change(&app, &visit, (&names, "")).await?;
    let present = settings::show_badge(&app, &found.project).await?;
    let wanted = (!form.public.is_empty(), form.token());
    let saved = match form.check_seen(&present) {
        Ok(()) => settings::save_badge(&app, &found.project, wanted).await,
        Err(problem) => Err(problem),
    };
    let done = saved.map(|_| format!("{}?done=saved", found.place.path));
    settle(done, |problem| async move {
        found.place.problem = Some(problem);
        let page = new_page(&app, &visit, (found, None)).await?;
        let seen = page.badge_form.seen.clone();
        Ok(GeneralPage { badge_form: BadgeForm { seen, ..form }, ..page })
    })
    .await
}

pub(super) async fn archive(
    State(app): State<App>,
    Path((team, name)): Path<Names>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let project = projects::find_to_change(&app, &visitor, &slug).await?;
    projects::archive(&app, &project).await?;
    Ok(onward(&format!("/projects/{}/settings?done=archived", project.slug())))
}

pub(super) async fn restore(
    State(app): State<App>,
    Path((team, name)): Path<Names>,
    Posted(visitor, _): Posted<NoForm>,
) -> Result<Response, Problem> {
    let slug = format!("{team}/{name}");
    let before = projects::find_to_change(&app, &visitor, &slug).await?;
    let change = ProjectChange { archived: Some(false), ..ProjectChange::default() };
    let after = projects::changed(&app, before.clone(), change)?;
    projects::save(&app, &before, &after).await?;
    let to = onward(&format!("/projects/{}/settings?done=restored", after.slug()));
    Ok((Extension(projects::noted(&before, &after)), to).into_response())
}
