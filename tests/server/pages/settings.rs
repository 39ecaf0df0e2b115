//! Settings of projects and teams: who sees and changes what, and that no secret is in any answer.

use reqwest::{Method, StatusCode};
use serde_json::json;
use trunkline::model::{ProjectId, Role, Timestamp};
use trunkline::store::intake::schedules::ScheduleRow;

use super::{Browser, check_page, reads_pages, send_form};
use crate::support::{Answer, Server};

const WEB: &str = "/projects/shop/web/settings";
/// No answer may have it.
const VALUE: &str = "hunter2-is-no-password";

/// A team with somebody of each role and a project, beside a team that may know of neither.
async fn shop() -> Server {
    let server = Server::start().await;
    server.person("ada", true).await;
    let shop = server.team("shop").await;
    for role in Role::ALL {
        server.person(role.as_str(), false).await;
        server.member(&shop, role.as_str(), role).await;
    }
    let elsewhere = server.team("elsewhere").await;
    server.person("outsider", false).await;
    server.member(&elsewhere, "outsider", Role::Admin).await;
    let token = server.token("ada", &["owner"]).await;
    let body = json!({ "team": "shop", "name": "web", "address": "https://git.example/x", "forge": "github" });
    assert_eq!(server.post(&token, "/api/v1/projects", body).await.status, 201);
    server
}

fn leads_to(answer: &Answer, path: &str) {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert_eq!(answer.header("location"), path);
}

/// A form that is shown once more, and what it says.
fn says(answer: &Answer, sentence: &str) {
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    check_page(answer);
    assert!(answer.text.contains(sentence), "`{sentence}` is not in {}", answer.text);
}

/// What the audit log says of an action: who did it, and to what.
async fn audited(server: &Server, action: &str) -> Vec<(String, String)> {
    let token = server.token("ada", &["owner"]).await;
    let answer = server.get(&token, &format!("/api/v1/audit?action={action}")).await.json();
    let text = |it: &serde_json::Value| it.as_str().unwrap().to_owned();
    let rows = answer["items"].as_array().unwrap();
    rows.iter().map(|it| (text(&it["actor"]), text(&it["subject"]))).collect()
}

#[tokio::test]
async fn every_page_is_for_members_and_hidden_from_others() {
    let server = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let viewer = Browser::of(&server, "viewer").await;
    let outsider = Browser::of(&server, "outsider").await;
    for end in ["", "/secrets", "/schedules", "/webhooks", "/notifications", "/access"] {
        let path = format!("{WEB}{end}");
        let page = admin.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        check_page(&page);
        let (page, allowed) = (viewer.get(&path).await, end != "/access");
        assert_eq!(page.status, if allowed { 200 } else { 403 }, "{path}: {page:?}");
        let forms = page.text.matches("method=\"post\"").count();
        // Look and sign-out; nothing that changes the project.
        assert!(forms <= 2, "{path}: {page:?}");
        assert_eq!(outsider.get(&path).await.status, 404, "{path}");
    }
    for path in ["/teams/shop/settings", "/teams/shop/settings/secrets"] {
        for (browser, status) in [(&admin, 200), (&viewer, 200), (&outsider, 404)] {
            assert_eq!(browser.get(path).await.status, status, "{path}");
        }
    }
    assert_eq!(admin.get("/teams/new").await.status, 403);
    assert_eq!(admin.get("/projects/new").await.status, 200);
    assert_eq!(viewer.get("/projects/new").await.status, 403);
    let nobody = reads_pages(&server, Method::GET, WEB);
    assert_eq!(Answer::of(nobody.send().await.unwrap()).await.status, 303);
}

#[tokio::test]
async fn every_form_is_for_admins_and_wants_its_proof() {
    let server = shop().await;
    let paths = [
        WEB.to_owned(),
        format!("{WEB}/retention"),
        format!("{WEB}/badge"),
        format!("{WEB}/archive"),
        format!("{WEB}/restore"),
        format!("{WEB}/access"),
        format!("{WEB}/access/remove"),
        format!("{WEB}/secrets"),
        format!("{WEB}/secrets/remove"),
        format!("{WEB}/webhooks/secret"),
        format!("{WEB}/webhooks/x/replay"),
        format!("{WEB}/notifications"),
        format!("{WEB}/notifications/x"),
        format!("{WEB}/notifications/x/test"),
        format!("{WEB}/notifications/x/secret"),
        format!("{WEB}/notifications/x/remove"),
        "/teams/shop/settings/members".to_owned(),
        "/teams/shop/settings/members/viewer/remove".to_owned(),
        "/teams/shop/settings/secrets".to_owned(),
        "/teams/shop/settings/secrets/remove".to_owned(),
        "/projects/new".to_owned(),
        "/teams/new".to_owned(),
    ];
    let approver = Browser::of(&server, "approver").await;
    let outsider = Browser::of(&server, "outsider").await;
    let admin = Browser::of(&server, "admin").await;
    for path in &paths {
        let fields = [
            ("team", "shop"),
            ("name", "n"),
            ("secret", "n"),
            ("address", "https://git.example/y"),
            ("value", VALUE),
        ];
        let answer = approver.post(path, &fields).await;
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        let answer = outsider.post(path, &fields).await;
        let hidden = if path == "/teams/new" { 403 } else { 404 };
        assert_eq!(answer.status, hidden, "{path}: {answer:?}");
        let answer = admin.post_as_is(path, &fields).await;
        assert_eq!(answer.status, 403, "{path} without csrf: {answer:?}");
        let mut proved = fields.to_vec();
        proved.push(("csrf", &admin.csrf));
        let foreign = admin.request(Method::POST, path).header("origin", "https://evil.example");
        assert_eq!(send_form(foreign, &proved).await.status, 403, "{path} from elsewhere");
    }
    assert!(audited(&server, "secret.").await.is_empty());
}

#[tokio::test]
async fn a_team_and_a_project_are_made_and_changed() {
    let server = shop().await;
    let ada = Browser::of(&server, "ada").await;
    says(&ada.post("/teams/new", &[("name", "No <b>")]).await, "A name has 1 to 63");
    let made = ada.post("/teams/new", &[("name", "bank"), ("title", "<i>Bank</i>")]).await;
    leads_to(&made, "/teams/bank?done=created");
    let page = ada.get("/teams/bank/settings?done=created").await;
    check_page(&page);
    assert!(page.text.contains("&#60;i&#62;Bank") && page.text.contains("Created."), "{page:?}");

    let bad = [("team", "bank"), ("name", "api"), ("address", "gopher://x"), ("forge", "github")];
    let answer = ada.post("/projects/new", &bad).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.text.contains("value=\"gopher://x\""), "what was typed is kept: {answer:?}");
    let good = [
        ("team", "bank"),
        ("name", "api"),
        ("address", "https://git.example/y"),
        ("forge", "github"),
        ("poll_seconds", "60"),
    ];
    leads_to(
        &ada.post("/projects/new", &good).await,
        "/projects/bank/api/settings/webhooks?done=created",
    );
    says(&ada.post("/projects/new", &good).await, "Choose another name.");
    let page = ada.get("/projects/bank/api/settings/webhooks?done=created").await;
    assert!(
        page.text.contains("/api/v1/hooks/") && page.text.contains("Make the secret"),
        "{page:?}"
    );
    let ada_did = |subject: &str| ("person:ada".to_owned(), subject.to_owned());
    assert_eq!(audited(&server, "team.create").await, [ada_did("bank")]);
    assert!(audited(&server, "project.create").await.contains(&ada_did("bank/api")));
}

#[tokio::test]
async fn a_project_is_changed_archived_and_restored() {
    let server = shop().await;
    let ada = Browser::of(&server, "ada").await;
    let path = "/projects/shop/web/settings";
    let change = [
        ("address", "https://git.example/z"),
        ("forge", "gitea"),
        ("default_branch", "trunk"),
        ("priority", "-3"),
        ("poll_seconds", ""),
    ];
    leads_to(&ada.post(path, &change).await, "/projects/shop/web/settings?done=saved");
    // The audit log says what was changed, and from what.
    let token = server.token("ada", &["owner"]).await;
    let log = server.get(&token, "/api/v1/audit?action=project.change").await.json();
    let detail = &log["items"][0]["detail"];
    assert_eq!(detail["forge"], "github → gitea", "{log}");
    assert_eq!(detail["default_branch"], "main → trunk", "{log}");
    assert!(detail["forge_url"].is_null() && detail["archived"].is_null(), "{log}");
    says(
        &ada.post(path, &[("priority", "high"), ("default_branch", "m")]).await,
        "The priority is a whole number.",
    );
    leads_to(
        &ada.post(&format!("{path}/retention"), &[("days", "30"), ("count", "")]).await,
        "/projects/shop/web/settings?done=saved",
    );
    says(&ada.post(&format!("{path}/retention"), &[("count", "0")]).await, "from 1 to");
    let page = ada.get(path).await.text;
    for wanted in [
        "https://git.example/z",
        "value=\"trunk\"",
        "value=\"-3\"",
        "name=\"days\" value=\"30\"",
        "[![ci](",
    ] {
        assert!(page.contains(wanted), "`{wanted}` is not in {page}");
    }
    leads_to(
        &ada.post(&format!("{path}/badge"), &[("token", "rotate")]).await,
        "/projects/shop/web/settings?done=saved",
    );
    assert!(ada.get(path).await.text.contains("/badges/shop/web/ci.svg?token="));
    leads_to(
        &ada.post(&format!("{path}/archive"), &[]).await,
        "/projects/shop/web/settings?done=archived",
    );
    assert!(ada.get(path).await.text.contains("Restore the project"));
    leads_to(
        &ada.post(&format!("{path}/restore"), &[]).await,
        "/projects/shop/web/settings?done=restored",
    );
    let archived = audited(&server, "project.archive").await;
    assert_eq!(archived, [("person:ada".to_owned(), "shop/web".to_owned())]);
}

#[tokio::test]
async fn who_saves_a_project_that_another_has_changed_is_told_first() {
    let server = shop().await;
    let ada = Browser::of(&server, "ada").await;
    let path = "/projects/shop/web/settings";
    let change = [
        ("address", "https://git.example/z"),
        ("forge", "gitea"),
        ("default_branch", "trunk"),
        ("priority", "-3"),
        ("poll_seconds", ""),
    ];
    ada.post(path, &change).await;
    let seen = |page: &str| {
        let (_, rest) = page.split_once("name=\"seen\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let old = seen(&ada.get(path).await.text);
    let mut other = change;
    other[3] = ("priority", "5");
    ada.post(path, &other).await;
    let late: Vec<_> = change.into_iter().chain([("seen", old.as_str())]).collect();
    let told = ada.post(path, &late).await;
    says(&told, "Somebody else has changed these settings since you opened the page.");
    assert!(told.text.contains("What is there now: priority <code>5</code>. Save"), "{told:?}");
    assert!(
        told.text.contains("name=\"priority\" value=\"-3\""),
        "what was typed is kept: {told:?}"
    );
    let page = ada.get(path).await.text;
    assert!(page.contains("value=\"5\"") && !page.contains("value=\"-3\""), "{page}");
    let now = seen(&told.text);
    let again: Vec<_> = change.into_iter().chain([("seen", now.as_str())]).collect();
    leads_to(&ada.post(path, &again).await, "/projects/shop/web/settings?done=saved");
}

/// What the form that is sent to this address says that was seen.
fn seen_in(page: &Answer, action: &str) -> String {
    let form = format!("action=\"{action}\"");
    let (_, rest) = page.text.split_once(&form).unwrap_or_else(|| panic!("no {form} in {page:?}"));
    let (_, rest) = rest.split_once("name=\"seen\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// What is typed into a form: names and values.
type Typed<'a> = &'a [(&'a str, &'a str)];

/// Somebody saves a form that another one has open. Who saves second is told what is there now, and keeps what they
/// have typed; once they know, theirs counts.
async fn saved_by_two(
    browsers: (&Browser<'_>, &Browser<'_>),
    (path, action): (&str, &str),
    (theirs, ours): (Typed<'_>, Typed<'_>),
) -> Answer {
    let (first, second) = browsers;
    let old = seen_in(&second.get(path).await, action);
    let with = |seen| [ours, &[("seen", seen)]].concat();
    assert_eq!(first.post(action, theirs).await.status, StatusCode::SEE_OTHER, "{action}");
    let told = second.post(action, &with(old.as_str())).await;
    says(&told, "Somebody else has changed these settings since you opened the page.");
    // Whoever sends what is there already takes nothing back.
    let same = [theirs, &[("seen", old.as_str())]].concat();
    assert_eq!(second.post(action, &same).await.status, StatusCode::SEE_OTHER, "{action}");
    let now = seen_in(&told, action);
    let again = second.post(action, &with(now.as_str())).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{action}: {again:?}");
    told
}

#[tokio::test]
async fn the_second_of_two_who_save_is_told_what_the_first_has_saved() {
    let server = shop().await;
    let (ada, admin) = (Browser::of(&server, "ada").await, Browser::of(&server, "admin").await);
    let both = (&ada, &admin);
    let retention = format!("{WEB}/retention");
    let (theirs, ours) = ([("days", "30"), ("count", "")], [("days", "90"), ("count", "7")]);
    let told = saved_by_two(both, (WEB, &retention), (&theirs, &ours)).await;
    for wanted in ["now: days <code>30</code>, newest nothing. Save", "name=\"days\" value=\"90\""]
    {
        assert!(told.text.contains(wanted), "`{wanted}` is not in {told:?}");
    }
    let badge = format!("{WEB}/badge");
    let told =
        saved_by_two(both, (WEB, &badge), (&[("public", "yes")], &[("token", "rotate")])).await;
    assert!(told.text.contains("now: seen by everybody: <code>yes</code>"), "{told:?}");
    assert!(told.text.contains("value=\"rotate\" selected"), "{told:?}");

    let team = "/teams/shop/settings";
    let told = saved_by_two(both, (team, team), (&[("title", "One")], &[("title", "Two")])).await;
    assert!(told.text.contains("the name for people <code>One</code>"), "{told:?}");
    assert!(told.text.contains("name=\"title\" value=\"Two\""), "{told:?}");
    assert!(admin.get("/teams/shop").await.text.contains("<h1>Two</h1>"));
    // A role is shown in a form of its own.
    let members = format!("{team}/members");
    let role = |role| [("login", "viewer"), ("role", role)];
    assert_eq!(ada.post(&members, &role("approver")).await.status, StatusCode::SEE_OTHER);
    let late = [("login", "viewer"), ("role", "developer"), ("seen", "viewer")];
    let told = admin.post(&members, &late).await;
    says(&told, "What is there now: the role <code>approver</code>.");
}

#[tokio::test]
async fn the_second_of_two_who_change_a_subscription_is_told() {
    let server = shop().await;
    let (ada, admin) = (Browser::of(&server, "ada").await, Browser::of(&server, "admin").await);
    let list = format!("{WEB}/notifications");
    let fields = [
        ("form", "slack"),
        ("target", "http://127.0.0.1:9/services/x"),
        ("events", "run.failed"),
        ("branches", ""),
    ];
    let made = admin.post(&list, &fields).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{made:?}");
    let path = made.header("location").split_once('?').unwrap().0.to_owned();
    let both = (&ada, &admin);
    let theirs = [("events", "run.failed"), ("events", "run.passed"), ("branches", "main")];
    let ours = [("enabled", "yes"), ("events", "run.failed"), ("branches", "release/*")];
    let told = saved_by_two(both, (&path, &path), (&theirs, &ours)).await;
    let wanted = "now: it is <code>off</code>, when <code>run.failed, run.passed</code>, branches <code>main</code>.";
    assert!(told.text.contains(wanted), "{told:?}");
    assert!(told.text.contains("release/*"), "what was typed is kept: {told:?}");
}

#[tokio::test]
async fn a_secret_is_set_and_in_no_answer() {
    let server = shop().await;
    let admin = Browser::of(&server, "admin").await;
    for path in [format!("{WEB}/secrets"), "/teams/shop/settings/secrets".to_owned()] {
        assert!(admin.get(&path).await.text.contains("There is no secret yet."));
        let fields = [
            ("name", "TOKEN"),
            ("value", VALUE),
            ("environment", "prod"),
            ("events", "push"),
            ("events", "tag"),
            ("branches", "main\r\nrelease/*"),
        ];
        leads_to(&admin.post(&path, &fields).await, &format!("{path}?done=saved"));
        // Whatever is wrong, the value does not come back.
        let wrong = [
            vec![("name", "no name!"), ("value", VALUE)],
            vec![("name", "X"), ("value", VALUE), ("branches", "[")],
            vec![("name", "X"), ("value", VALUE), ("events", "<b>")],
        ];
        for fields in wrong {
            let answer = admin.post(&path, &fields).await;
            says(&answer, "The value has to be typed again.");
            assert!(!answer.text.contains(VALUE), "{answer:?}");
        }
        let page = admin.get(&format!("{path}?name=TOKEN&environment=prod")).await;
        check_page(&page);
        for wanted in ["<code>TOKEN</code>", "push, tag", "main release/*", "by admin", "Set TOKEN"]
        {
            assert!(page.text.contains(wanted), "`{wanted}` is not in {page:?}");
        }
        assert!(!page.text.contains(VALUE));
        let named = [("secret", "TOKEN"), ("environment", "prod")];
        leads_to(
            &admin.post(&format!("{path}/remove"), &named).await,
            &format!("{path}?done=removed"),
        );
        assert_eq!(admin.post(&format!("{path}/remove"), &named).await.status, 404);
    }
    // Each once: by the secrets themselves, and not by the request too.
    let set = audited(&server, "secret.").await;
    assert_eq!(set.len(), 4, "{set:?}");
}

#[tokio::test]
async fn what_a_browser_sends_of_several_lines_is_stored_as_typed() {
    let server = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let fields = [("name", "PEM"), ("value", "one\r\ntwo\r\n")];
    assert_eq!(admin.post(&format!("{WEB}/secrets"), &fields).await.status, 303);
    let project = server.app.store.find_project_by_name("shop", "web").await.unwrap().unwrap();
    let request = trunkline::secrets::team::SecretRequest {
        project: project.id.0,
        run: "r".to_owned(),
        stage: "s".to_owned(),
        environment: String::new(),
        names: vec!["PEM".to_owned()],
        reader: trunkline::secrets::rules::Reader {
            event: "push".to_owned(),
            ..trunkline::secrets::rules::Reader::default()
        },
    };
    assert_eq!(server.app.secrets.deliver(&request).await.unwrap(), ["one\ntwo\n"]);
}

#[tokio::test]
async fn access_is_set_and_never_shown() {
    let server = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let path = format!("{WEB}/access");
    says(&admin.post(&path, &[("user", "<b>x")]).await, "There is neither a token nor a key.");
    assert!(admin.get(&path).await.text.contains("Nothing is set"));
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc\r\n-----END OPENSSH PRIVATE KEY-----";
    leads_to(
        &admin.post(&path, &[("token", VALUE), ("ssh_key", key)]).await,
        &format!("{path}?done=saved"),
    );
    let page = admin.get(&path).await.text;
    assert!(
        page.contains("A token or key is set") && !page.contains(VALUE) && !page.contains("abc")
    );
    leads_to(&admin.post(&format!("{path}/remove"), &[]).await, &format!("{path}?done=removed"));
    assert!(admin.get(&path).await.text.contains("Nothing is set"));
    assert_eq!(audited(&server, "credential.set").await.len(), 2);
}

/// The value of the field that shows something once.
fn once(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    check_page(answer);
    let (_, rest) =
        answer.text.split_once("id=\"once\" class=\"copy\" value=\"").expect("shown once");
    rest.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_hook_secret_is_shown_once() {
    let server = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let path = format!("{WEB}/webhooks");
    let page = admin.get(&path).await.text;
    let (_, rest) = page.split_once("name=\"once\" value=\"").unwrap();
    let fields = [("secret", ""), ("once", rest.split_once('"').unwrap().0)];
    let secret = once(&admin.post(&format!("{path}/secret"), &fields).await);
    // The answer, loaded again.
    says(&admin.post(&format!("{path}/secret"), &fields).await, "This form was sent before");
    assert!(secret.len() >= 16, "{secret}");
    let page = admin.get(&path).await.text;
    assert!(page.contains("There is a secret") && !page.contains(&secret));
    says(
        &admin.post(&format!("{path}/secret"), &[("secret", "short")]).await,
        "less than 16 letters",
    );
    let given =
        admin.post(&format!("{path}/secret"), &[("secret", "made-by-the-forge-itself")]).await;
    assert!(given.status == 200 && !given.text.contains("made-by-the-forge-itself"), "{given:?}");
    assert_eq!(audited(&server, "hook_secret.rotate").await.len(), 2);
}

#[tokio::test]
async fn members_are_added_changed_and_removed() {
    let server = shop().await;
    server.person("zoe", false).await;
    let admin = Browser::of(&server, "admin").await;
    let path = "/teams/shop/settings";
    let add = |role| [("login", "zoe"), ("role", role)];
    leads_to(
        &admin.post(&format!("{path}/members"), &add("viewer")).await,
        &format!("{path}?done=saved"),
    );
    leads_to(
        &admin.post(&format!("{path}/members"), &add("approver")).await,
        &format!("{path}?done=saved"),
    );
    let answer =
        admin.post(&format!("{path}/members"), &[("login", "<b>"), ("role", "viewer")]).await;
    says(&answer, "There is nobody with this login.");
    assert!(answer.text.contains("value=\"&#60;b&#62;\""), "{answer:?}");
    let page = admin.get(path).await;
    check_page(&page);
    assert!(page.text.contains("members/zoe/remove"), "{page:?}");
    leads_to(
        &admin.post(&format!("{path}/members/zoe/remove"), &[]).await,
        &format!("{path}?done=removed"),
    );
    assert!(!admin.get(path).await.text.contains("members/zoe/remove"));
    let saved = audited(&server, "member.save").await;
    assert_eq!(saved, vec![("person:admin".to_owned(), "shop/zoe".to_owned()); 2]);
}

#[tokio::test]
async fn a_team_gets_another_name_for_people() {
    let server = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let path = "/teams/shop/settings";
    leads_to(&admin.post(path, &[("title", " The <shop> ")]).await, &format!("{path}?done=saved"));
    let page = admin.get("/teams/shop").await;
    assert!(page.text.contains("<h1>The &#60;shop&#62;</h1>"), "{page:?}");
    says(&admin.post(path, &[("title", " ")]).await, "has 1 to 100 characters");
    let viewer = Browser::of(&server, "viewer").await;
    assert_eq!(viewer.post(path, &[("title", "Mine")]).await.status, 403);
    assert!(!viewer.get(path).await.text.contains("id=\"title\""));
    let token = server.token("admin", &["admin"]).await;
    let body = Some(json!({ "title": "Shop" }));
    let answer = server.call(&token, Method::PATCH, ("/api/v1/teams/shop", body)).await;
    assert_eq!(answer.json()["title"], "Shop");
    let changed = audited(&server, "team.change").await;
    assert_eq!(changed, vec![("person:admin".to_owned(), "shop".to_owned()); 2]);
}

#[tokio::test]
async fn schedules_say_when_they_fire() {
    let server = shop().await;
    let store = &server.app.store;
    let project: ProjectId = store.find_project_by_name("shop", "web").await.unwrap().unwrap().id;
    let now = server.app.now();
    let row = |name: &str, next_at: Timestamp| ScheduleRow {
        project: project.clone(),
        pipeline: "ci".to_owned(),
        name: name.to_owned(),
        cron: "0 3 * * *".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        missed: "skip".to_owned(),
        branch: String::new(),
        next_at,
        last_at: Timestamp(0),
        is_paused: false,
    };
    let rows = [row("<b>nightly", Timestamp(now.0 + 3_600_000)), row("never", Timestamp(i64::MAX))];
    store.save_schedules(&project, &rows).await.unwrap();
    let page = Browser::of(&server, "viewer").await.get(&format!("{WEB}/schedules")).await;
    check_page(&page);
    for wanted in
        ["&#60;b&#62;nightly", "in 59 min", "left out", "never: its fields name no moment"]
    {
        assert!(page.text.contains(wanted), "`{wanted}` is not in {page:?}");
    }
}
