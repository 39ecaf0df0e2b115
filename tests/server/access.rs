//! Every endpoint against every role, as the OpenAPI document says (`x-access`). A new route is tested without
//! being named here; only a new parameter of a path needs a value in `World::fill`.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use trunkline::api;
use trunkline::model::{ForgeKind, ProjectId, Role, RunId, TeamId};
use trunkline::pipeline::{Context, Plan};
use trunkline::runs::CreateRun;
use trunkline::store::access::people::PersonRow;
use trunkline::store::access::projects::ProjectRow;

use crate::support::{Answer, Server};
use crate::traced;

const PAGE: &str = "docs/api-access.md";
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    SignedIn,
    Team(Role),
    Owner,
}

impl Access {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "public" => Some(Self::Public),
            "signed-in" => Some(Self::SignedIn),
            "owner" => Some(Self::Owner),
            role => Role::parse(role).map(Self::Team),
        }
    }
}

/// Who calls. The teams and people are those of [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    /// Admin of another team.
    Outsider,
    Member(Role),
    /// An admin of the team, with a token that is only good for looking.
    AdminWithViewerToken,
    /// An admin of the team, with a token for another team.
    AdminWithForeignToken,
    Owner,
    /// An owner, with a token that is only good for looking.
    OwnerWithViewerToken,
}

impl Caller {
    const ALL: [Self; 10] = [
        Self::Nobody,
        Self::Outsider,
        Self::Member(Role::Viewer),
        Self::Member(Role::Developer),
        Self::Member(Role::Approver),
        Self::Member(Role::Admin),
        Self::AdminWithViewerToken,
        Self::AdminWithForeignToken,
        Self::OwnerWithViewerToken,
        Self::Owner,
    ];

    fn role(self) -> Option<Role> {
        match self {
            Self::Nobody | Self::Outsider | Self::AdminWithForeignToken => None,
            Self::Member(role) => Some(role),
            Self::AdminWithViewerToken | Self::OwnerWithViewerToken => Some(Role::Viewer),
            Self::Owner => Some(Role::Admin),
        }
    }
}

/// What an answer has to be. What a request is refused for that gets through (a body that makes no sense, a state
/// that does not fit) is another test's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Unauthenticated,
    Hidden,
    Forbidden,
    LetThrough,
}

fn wanted(access: Access, caller: Caller) -> Answered {
    match access {
        Access::Public => Answered::LetThrough,
        _ if caller == Caller::Nobody => Answered::Unauthenticated,
        Access::SignedIn => Answered::LetThrough,
        Access::Owner if caller == Caller::Owner => Answered::LetThrough,
        Access::Owner => Answered::Forbidden,
        Access::Team(needed) => match caller.role() {
            None => Answered::Hidden,
            Some(role) if role >= needed => Answered::LetThrough,
            Some(_) => Answered::Forbidden,
        },
    }
}

fn is_as_wanted(access: Access, wanted: Answered, answer: &Answer) -> bool {
    let status = answer.status.as_u16();
    match wanted {
        Answered::Unauthenticated => status == 401,
        Answered::Hidden => status == 404,
        Answered::Forbidden => status == 403,
        Answered::LetThrough => match access {
            Access::Public => status < 500,
            Access::SignedIn => status != 401 && status < 500,
            // There is no delivery to play again and no secret to remove: who may know that is told so.
            Access::Team(_) if answer.text.contains("this delivery does not exist") => true,
            Access::Team(_) if answer.text.contains("this secret does not exist") => true,
            Access::Team(_) if answer.text.contains("this approval does not exist") => true,
            Access::Team(_) if answer.text.contains("this subscription does not exist") => true,
            Access::Team(_) if answer.text.contains("this artifact does not exist") => true,
            Access::Team(_) if answer.text.contains("this key does not exist") => true,
            Access::Owner if answer.text.contains("this worker does not exist") => true,
            Access::Team(_) | Access::Owner
                if answer.text.contains("this budget does not exist") =>
            {
                true
            }
            Access::Team(_) | Access::Owner => ![401, 403, 404].contains(&status) && status < 500,
        },
    }
}

#[derive(Debug)]
struct Operation {
    method: String,
    path: String,
    access: Access,
    summary: String,
    /// Required parameters of the query.
    query: String,
    body: Option<Value>,
}

fn document() -> Value {
    serde_json::to_value(api::router().1).unwrap()
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS.iter().filter(|it| item.get(**it).is_some()) {
            let operation = &item[*method];
            let access = operation["x-access"].as_str().and_then(Access::parse);
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            operations.push(Operation {
                access: access.unwrap_or_else(|| {
                    panic!("`{method} {path}` says not who may call it: add `x-access` to its `utoipa::path`")
                }),
                method: method.to_uppercase(),
                path: path.clone(),
                query: required_query(operation),
                summary: operation["summary"].as_str().unwrap_or_default().to_owned(),
                body: (!body.is_null()).then(|| sample(body, document, "")),
            });
        }
    }
    operations
}

fn required_query(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let is_wanted = |it: &&Value| it["in"] == "query" && it["required"] == true;
    let pairs = parameters.iter().filter(is_wanted).map(|it| it["name"].as_str().unwrap());
    let pairs: Vec<_> = pairs.map(|name| format!("{name}=sample")).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A value that fits a schema, of which only what is required is there.
fn sample(schema: &Value, document: &Value, name: &str) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return sample(document.pointer(&reference[1..]).unwrap(), document, name);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|it| it.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let names = required.iter().map(|it| it.as_str().unwrap());
            let field =
                |name: &str| (name.to_owned(), sample(&schema["properties"][name], document, name));
            Value::Object(names.map(field).collect())
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        _ => match name {
            "team" => json!("home"),
            "project" => json!("home/site"),
            "role" => json!("viewer"),
            _ => json!("sample"),
        },
    }
}

/// Two teams, a project of one of them with a run, and everybody who calls.
struct World {
    server: Server,
    away: TeamId,
    run: RunId,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let (home, away) = (server.team("home").await, server.team("away").await);
        for (login, is_owner) in [
            ("outsider", false),
            ("viewer", false),
            ("developer", false),
            ("approver", false),
            ("admin", false),
            ("owner", true),
            ("target", false),
        ] {
            insert_person(&server, login, is_owner).await;
        }
        server.member(&away, "outsider", Role::Admin).await;
        for role in Role::ALL {
            server.member(&home, role.as_str(), role).await;
        }
        server.member(&home, "target", Role::Viewer).await;
        let run = insert_run_of(&server, home).await;
        let at = server.app.now();
        let trace = traced::trace("req_home", "home", at);
        server.app.store.insert_traces(&[trace], &[]).await.unwrap();
        Self { server, away, run }
    }

    async fn token(&self, caller: Caller) -> Option<String> {
        let foreign = format!("admin:{}", self.away);
        let (login, scope) = match caller {
            Caller::Nobody => return None,
            Caller::Outsider => ("outsider", "admin"),
            Caller::Member(role) => (role.as_str(), "admin"),
            Caller::AdminWithViewerToken => ("admin", "viewer"),
            Caller::AdminWithForeignToken => ("admin", foreign.as_str()),
            Caller::Owner => ("owner", "owner"),
            Caller::OwnerWithViewerToken => ("owner", "viewer"),
        };
        Some(self.server.token(login, &[scope]).await)
    }

    /// The path with something of the team `home` for each parameter.
    fn fill(&self, path: &str) -> String {
        let mut filled = String::new();
        for segment in path.split('/').skip(1) {
            let value = match segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
                None => segment,
                Some("team") => "home",
                Some("project" | "name") => "site",
                Some("login") => "target",
                Some("run") => self.run.0.as_str(),
                Some("stage") => "test",
                Some("path") => "report.html",
                Some("worker") => "gpu-1",
                Some("budget") => "month",
                Some("trace") => "req_home",
                Some("key") => "app",
                Some("pipeline") => "ci.svg",
                Some("token" | "session" | "delivery" | "subscription") => {
                    "01k00000000000000000000000"
                }
                Some(other) => panic!("give `{{{other}}}` of `{path}` a value in `World::fill`"),
            };
            write!(filled, "/{value}").unwrap();
        }
        filled
    }

    async fn send(&self, operation: &Operation, caller: Caller) -> Answer {
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
        let path = self.fill(&operation.path) + &operation.query;
        let mut request = self.server.request(method, &path);
        if let Some(token) = self.token(caller).await {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &operation.body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let is_stream = response
            .headers()
            .get("content-type")
            .is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
        // It would not end before its run does.
        if is_stream { Answer::without_body(&response) } else { Answer::of(response).await }
    }
}

/// Without a password: those cost time, and nobody signs in here.
async fn insert_person(server: &Server, login: &str, is_owner: bool) {
    let person = PersonRow {
        id: trunkline::model::PersonId(server.app.new_id()),
        login: login.to_owned(),
        name: login.to_owned(),
        email: String::new(),
        password_hash: String::new(),
        is_owner,
        created_at: server.app.now(),
        disabled_at: None,
    };
    server.app.store.insert_person(&person).await.unwrap();
}

pub(crate) async fn insert_run_of(server: &Server, home: TeamId) -> RunId {
    let text = str::to_owned;
    let project = ProjectRow {
        id: ProjectId(server.app.new_id()),
        team: home,
        team_name: text("home"),
        name: text("site"),
        address: text("https://git.example.org/site.git"),
        forge: ForgeKind::Git,
        forge_url: String::new(),
        forge_path: String::new(),
        default_branch: text("main"),
        priority: 0,
        poll_seconds: 0,
        created_at: server.app.now(),
        archived_at: None,
    };
    server.app.store.insert_project(&project).await.unwrap();
    let id = RunId(server.app.new_id());
    let create = CreateRun {
        id: id.clone(),
        repository: String::new(),
        tree: String::new(),
        project: project.id,
        cause: String::new(),
        height: 0,
        plan: plan(),
        context: Context { event: text("push"), ..Context::default() },
        created_at: server.app.now(),
    };
    server.app.runs.create(&create).await.unwrap();
    id
}

fn plan() -> Plan {
    let text =
        "version: 1\nname: ci\non: { push: {} }\nstages:\n  test: { image: alpine, run: 'true' }\n";
    crate::support::plan_of(text)
}

#[tokio::test]
async fn each_endpoint_answers_each_role_as_its_table_says() {
    let mut wrong = String::new();
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() > 20, "{operations:#?}");
    for operation in &operations {
        let mut world = World::new().await;
        for caller in Caller::ALL {
            let answer = world.send(operation, caller).await;
            let wanted = wanted(operation.access, caller);
            if !is_as_wanted(operation.access, wanted, &answer) {
                let Operation { method, path, .. } = operation;
                let (status, text) = (answer.status, answer.text);
                writeln!(wrong, "{method} {path}: {caller:?} is to be {wanted:?}: {status} {text}")
                    .unwrap();
            }
            if wanted == Answered::LetThrough && operation.method != "GET" {
                world = World::new().await;
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_hidden_look_the_same() {
    let world = World::new().await;
    let token = world.token(Caller::Outsider).await.unwrap();
    let hidden = format!("/api/v1/runs/{}", world.run);
    for (hidden, missing) in [
        ("/api/v1/teams/home", "/api/v1/teams/nowhere"),
        (hidden.as_str(), "/api/v1/runs/01k00000000000000000000000"),
    ] {
        let (hidden, missing) =
            (world.server.get(&token, hidden).await, world.server.get(&token, missing).await);
        assert_eq!((hidden.status, hidden.text), (missing.status, missing.text));
    }
    for list in ["/api/v1/runs", "/api/v1/projects", "/api/v1/teams"] {
        let list = world.server.get(&token, list).await;
        assert_eq!(list.status, 200);
        assert!(!list.text.contains("home") && !list.text.contains(&world.run.0), "{list:?}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let server = Server::start().await;
    for path in ["/api/v1/me", "/api/v1/nowhere", "/nowhere", "/.well-known/jwks.json"] {
        let answer = Answer::of(server.request(Method::GET, path).send().await.unwrap()).await;
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'; frame-ancestors 'none'")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("strict-transport-security"), "", "only behind TLS");
        assert_eq!(answer.header("x-request-id").len(), 26);
        let cache = if path.contains("jwks") { "public, max-age=3600" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), cache, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = Server::start().await;
    let body = "x".repeat((1 << 20) + 1);
    let request =
        server.request(Method::POST, "/api/v1/sign-in").header("content-type", "application/json");
    let answer = Answer::of(request.body(body).send().await.unwrap()).await;
    assert_eq!(answer.status, 413);
}

#[test]
fn the_table_in_the_documentation_is_fresh() {
    let found = std::fs::read_to_string(PAGE).unwrap_or_default();
    let wanted = page(&operations(&document()));
    if found != wanted {
        let new = format!("{}/api-access.md.new", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&new, wanted).unwrap();
        panic!("endpoints have changed: look at `{new}` and move it to `{PAGE}`");
    }
}

fn page(operations: &[Operation]) -> String {
    let mut page = "\
# Who may call what

Made from the API's description by a test, which also sends every request of this table as everybody: nobody, \
somebody of another team, each role, an owner, and admins and owners with tokens that are only good for looking or \
for another team. [Sign-in](sign-in.md) says what roles and scopes are.

| who | may |
| --- | --- |
| `public` | anybody; what they send may have to prove something itself, such as a password |
| `signed-in` | everybody who is signed in or shows a token; they see and change only what is theirs |
| `viewer`, `developer`, `approver`, `admin` | who has this role or a higher one in the team; others of the team get 403, everybody else 404 |
| `owner` | who owns the installation; everybody else gets 403 |

Nobody gets 401 for all but `public`. Somebody's token never allows more than its scopes.

| endpoint | who | what |
| --- | --- | --- |
"
    .to_owned();
    for Operation { method, path, access, summary, .. } in operations {
        let access = match access {
            Access::Public => "public",
            Access::SignedIn => "signed-in",
            Access::Team(role) => role.as_str(),
            Access::Owner => "owner",
        };
        let summary = summary.trim_end_matches('.');
        writeln!(page, "| `{method} {path}` | `{access}` | {summary} |").unwrap();
    }
    page
}
