//! A server to talk to, and people who do.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trunkline::api;
use trunkline::auth::{Auth, NewPerson, NewToken, Scope};
use trunkline::blobs::{Archives, Blobs, Logs};
use trunkline::config::SignInSettings;
use trunkline::forge::GithubApp;
use trunkline::http::{App, Beside, Lifecycle, Streams, metrics_routes};
use trunkline::model::{Clock, Milliseconds, Role, TeamId, Timestamp};
use trunkline::notifications::{Mailer, NotificationParts, Notifications};
use trunkline::outgoing::Outgoing;
use trunkline::pipeline::{self, Context, Plan, Selection, SourceFile};
use trunkline::projects::{AddressRule, ProjectParts, Projects};
use trunkline::runs::Runs;
use trunkline::secrets::keys::{KeyFile, KeyProvider};
use trunkline::secrets::{Keyring, Sealer, TeamSecrets, new_id};
use trunkline::store::Store;
use trunkline::store::access::teams::TeamRow;
use trunkline::triggers::{TriggerSettings, Triggers};
use trunkline::ui;
use trunkline::worker::SystemClock;

/// A password that is long enough.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The time of this machine, moved ahead by tests.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    pub(crate) fn by_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

/// A server on a port of its own.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) app: App,
    pub(crate) clock: Arc<Ahead>,
    pub(crate) client: reqwest::Client,
    /// Of the state folder; goes with the server.
    pub(crate) folder: TempDir,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| SignInSettings::default()).await
    }

    /// With the settings that fit its address.
    pub(crate) async fn start_with(settings: impl FnOnce(&str) -> SignInSettings) -> Self {
        Self::start_with_extras(settings, Extras::default()).await
    }

    /// With what only some servers have too.
    pub(crate) async fn start_with_extras(
        settings: impl FnOnce(&str) -> SignInSettings,
        extras: Extras,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("state.db").display());
        Self::start_in(folder, &database, (settings, extras)).await
    }

    /// With this database and no more than others have.
    pub(crate) async fn start_on(database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = (|_: &str| SignInSettings::default(), Extras::default());
        Self::start_in(folder, database, parts).await
    }

    async fn start_in(
        folder: TempDir,
        database: &str,
        (settings, extras): (impl FnOnce(&str) -> SignInSettings, Extras),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let clock = Arc::new(Ahead::default());
        let store = Store::open(database).await.unwrap();
        let sealer = sealer(&folder, &store, clock.clone());
        let secrets = TeamSecrets::new(store.clone(), sealer.clone(), clock.clone());
        let auth = Auth::new(store.clone(), clock.clone(), sealer.clone())
            .with_settings(settings(&url))
            .with_outgoing(Outgoing::new(BTreeSet::new()).unwrap());
        let runs = Runs::new(store.clone());
        let triggers = triggers(&folder, &runs, clock.clone(), extras);
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        let app = App {
            archives: Archives::new(blobs.clone()),
            triggers: triggers.clone(),
            secrets,
            sealer,
            streams: Streams::default(),
            lifecycle: Lifecycle::default(),
            runs,
            blobs,
            logs: Logs::open(&folder.path().join("logs")).unwrap(),
            auth,
            clock: clock.clone(),
            store,
        };
        let routes = ui::routes().merge(metrics_routes(None));
        let beside = Beside { routes, operations: ui::OPERATIONS.concat(), dress: ui::dress };
        let service = api::service_with(app.clone(), beside);
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        let mut tasks = JoinSet::new();
        tasks.spawn(trunkline::http::guard_streams(app.clone(), CancellationToken::new()));
        tasks.spawn(async move { triggers.serve(&CancellationToken::new()).await });
        tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.build().unwrap();
        Self { url, app, clock, client, folder, _tasks: tasks }
    }

    /// Somebody with the usual password.
    pub(crate) async fn person(&self, login: &str, is_owner: bool) {
        let new = NewPerson {
            login: login.to_owned(),
            password: Some(PASSWORD.to_owned()),
            is_owner,
            ..NewPerson::default()
        };
        self.app.auth.create_person(new).await.unwrap();
    }

    pub(crate) async fn team(&self, name: &str) -> TeamId {
        let id = TeamId(new_id(self.clock.now()));
        let (name, title) = (name.to_owned(), name.to_owned());
        let created_at = self.clock.now();
        let row = TeamRow { id: id.clone(), name, title, weight: 1, created_at };
        self.app.store.insert_team(&row).await.unwrap();
        id
    }

    pub(crate) async fn member(&self, team: &TeamId, login: &str, role: Role) {
        let person = self.app.store.find_person(login).await.unwrap().unwrap();
        self.app.store.save_member(team, &person.id, role, self.clock.now()).await.unwrap();
    }

    /// A token of a person with these scopes.
    pub(crate) async fn token(&self, login: &str, scopes: &[&str]) -> String {
        let person = self.app.store.find_person(login).await.unwrap().unwrap().id;
        let new = NewToken {
            id: new_id(self.clock.now()),
            person,
            name: "test".to_owned(),
            scopes: scopes.iter().map(|it| Scope::parse(it).unwrap()).collect(),
            expires_at: self.clock.now().plus(Milliseconds::from_seconds(3600)),
        };
        self.app.auth.create_token(new).await.unwrap().0
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request with a token.
    pub(crate) async fn call(
        &self,
        token: &str,
        method: Method,
        (path, body): (&str, Option<Value>),
    ) -> Answer {
        let mut request = self.request(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, Method::GET, (path, None)).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, Method::POST, (path, Some(body))).await
    }

    /// Signs in with login and password.
    pub(crate) async fn sign_in(&self, login: &str, password: &str) -> Answer {
        let body = json!({ "login": login, "password": password });
        let request = self.request(Method::POST, "/api/v1/sign-in").json(&body);
        Answer::of(request.send().await.unwrap()).await
    }
}

/// What only some servers have.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) mailer: Option<Mailer>,
    pub(crate) app: Option<GithubApp>,
}

impl Server {
    /// What starts runs in another process of the same installation, on a machine of its own.
    pub(crate) async fn triggers_elsewhere(&self, machine: &TempDir) -> Triggers {
        let database = format!("sqlite:{}", self.folder.path().join("state.db").display());
        let runs = Runs::new(Store::open(&database).await.unwrap());
        triggers_on(machine, (&self.folder, &runs), self.clock.clone(), Extras::default())
    }
}

/// What starts runs; this machine's forges may be called, and nothing else that is private.
fn triggers(folder: &TempDir, runs: &Runs, clock: Arc<Ahead>, extras: Extras) -> Triggers {
    triggers_on(folder, (folder, runs), clock, extras)
}

fn triggers_on(
    machine: &TempDir,
    (folder, runs): (&TempDir, &Runs),
    clock: Arc<Ahead>,
    extras: Extras,
) -> Triggers {
    let outgoing = Outgoing::new(["127.0.0.1".to_owned()].into()).unwrap();
    let projects = Projects::new(ProjectParts {
        store: runs.store().clone(),
        sealer: sealer(folder, runs.store(), clock.clone()),
        state_folder: machine.path().to_owned(),
        addresses: AddressRule::new(outgoing.clone(), None),
        app: extras.app,
        clock: clock.clone(),
    });
    let public_url = Some("https://ci.example".to_owned());
    let notifications = Notifications::new(NotificationParts {
        store: runs.store().clone(),
        sealer: sealer(folder, runs.store(), clock.clone()),
        outgoing,
        mailer: extras.mailer,
        clock: clock.clone(),
        public_url: public_url.clone(),
    });
    let settings = TriggerSettings { public_url, ..TriggerSettings::default() };
    Triggers::new(runs.clone(), projects, settings, clock).with_notifications(notifications)
}

fn sealer(folder: &TempDir, store: &Store, clock: Arc<Ahead>) -> Sealer {
    let file = KeyFile::open(&folder.path().join("secret.keys")).unwrap();
    Sealer::new(store.clone(), Keyring::new(KeyProvider::File(file), Vec::new()), clock)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    /// Of a body that does not end.
    pub(crate) fn without_body(response: &Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: String::new() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    /// The value of a cookie that was set.
    pub(crate) fn cookie(&self, name: &str) -> String {
        let set = self.set_cookie(name);
        let (pair, _) = set.split_once(';').unwrap();
        pair.split_once('=').unwrap().1.to_owned()
    }

    /// The whole line that set it.
    pub(crate) fn set_cookie(&self, name: &str) -> String {
        let lines = self.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap());
        let mut found = lines.filter(|it| it.starts_with(&format!("{name}=")));
        found.next().unwrap_or_else(|| panic!("no cookie `{name}`: {self:?}")).to_owned()
    }
}

/// Whether what is missing may be missing: on a laptop it is said aloud, in CI it fails.
#[expect(clippy::disallowed_methods, reason = "CI says so in the environment")]
pub(crate) fn skip(what: &str) {
    assert!(std::env::var("CI").is_err(), "in CI this must be there: {what}");
    println!("skipped: {what} is not there");
}

/// The plan of a pipeline file for a push.
pub(crate) fn plan_of(text: &str) -> Plan {
    let file = SourceFile { name: "ci.yml".to_owned(), text: text.to_owned() };
    let checked = pipeline::check(file, &|it| Err(format!("no file `{}`", it.file)));
    let pipeline = checked.pipeline.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
    let context = Context { event: "push".to_owned(), ..Context::default() };
    pipeline.plan(&context, &Selection::All).unwrap()
}
