//! Settings from the environment and from the file.

use super::*;

fn state_folder(environment: &Environment) -> String {
    Settings::read(environment, None).unwrap().state_folder.display().to_string()
}

#[test]
fn the_state_folder_is_the_first_that_is_named() {
    let home = [("HOME", "/home/ada")];
    assert_eq!(state_folder(&home.into()), "/home/ada/.local/share/trunkline");
    let data = [("HOME", "/home/ada"), ("XDG_DATA_HOME", "/data")];
    assert_eq!(state_folder(&data.into()), "/data/trunkline");
    let all = [("HOME", "/h"), ("XDG_DATA_HOME", "/data"), ("TRUNKLINE_STATE", "/state")];
    assert_eq!(state_folder(&all.into()), "/state");
    let read = Settings::read(&all.into(), Some(PathBuf::from("/given")));
    assert_eq!(read.unwrap().state_folder, PathBuf::from("/given"));
}

#[test]
fn without_a_home_the_error_names_what_could_be_set() {
    let error = Settings::read(&Environment::default(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no state folder is known: none of `TRUNKLINE_STATE`, `XDG_DATA_HOME` and `HOME` is set"
    );
}

#[test]
fn a_value_that_cannot_be_is_refused_by_name() {
    for (name, value, message) in [
        ("TRUNKLINE_JOBS", "0", "`TRUNKLINE_JOBS` is `0`, and must be a number from 1 to 1000"),
        (
            "TRUNKLINE_EXECUTOR",
            "podman",
            "`TRUNKLINE_EXECUTOR` is `podman`, and must be `docker` or `host`",
        ),
    ] {
        let environment = [("HOME", "/h"), (name, value)].into();
        assert_eq!(Settings::read(&environment, None).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let environment = [("HOME", "/h"), ("TRUNKLINE_STATE", ""), ("NO_COLOR", "")].into();
    let settings = Settings::read(&environment, None).unwrap();
    assert_eq!(settings.color, None);
    assert_eq!(settings.state_folder, PathBuf::from("/h/.local/share/trunkline"));
    assert!(settings.slots >= 2);
}

/// A file with this text, and files beside it; its problems as `<line>:<column> <code>: <message> (<help>)`.
fn problems(text: &str, beside: &[(&str, &str)], variables: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    for (name, content) in beside {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let layers = Layers::read(&path, &environment(variables)).unwrap();
    let folder = format!("{}/", folder.path().display());
    let shown = |it: &file::Problem| {
        let before = &text[..it.span.start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let help = it.help.as_deref().unwrap_or("-");
        format!("{line}:{column} {}: {} ({help})", it.code, it.message).replace(&folder, "")
    };
    layers.problems.iter().map(shown).collect()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let home = [("HOME", "/home/ada")];
    let owned = home.iter().chain(variables).map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    Environment { variables: owned.collect() }
}

#[test]
fn every_problem_of_a_file_is_told_at_once_with_its_place() {
    let text = r#"
database_url_file = "missing"
stat = "/srv"

[server]
listen = "everywhere"
drain_seconds = "3"
public_ur = "https://ci.example"
[worker]
executor = "dokcer"
jobs = 0
[forges]
private_hosts = "gitlab.lan"
github_app_id = 12
[public_url]
"#;
    insta::assert_snapshot!(problems(text, &[], &[]).join("\n"), @r#"
    2:21 config/unreadable-file: `database_url_file` names `missing`, which cannot be used: No such file or directory (os error 2) (the server's user must be able to read it)
    3:1 config/unknown-key: there is no setting `stat` (did you mean `state`?)
    6:10 config/wrong-value: `server.listen` is `everywhere`, and must be an IP address with a port, such as `0.0.0.0:7080` (-)
    7:17 config/wrong-type: `server.drain_seconds` must be a whole number (-)
    8:1 config/unknown-key: there is no setting `server.public_ur` (did you mean `server.public_url`?)
    10:12 config/wrong-value: `worker.executor` is `dokcer`, and must be `docker` or `host` (did you mean `docker`?)
    11:8 config/wrong-value: `worker.jobs` is `0`, and must be a number from 1 to 1000 (-)
    13:17 config/wrong-type: `forges.private_hosts` must be a list of texts, such as `["a", "b"]` (-)
    14:17 config/incomplete: a GitHub App needs `forges.github_app_key_file` too (-)
    15:2 config/unknown-key: there is no setting `public_url` (did you mean `server.public_url`?)
    "#);
}

#[test]
fn a_text_that_is_no_toml_is_told_with_every_place() {
    insta::assert_snapshot!(problems("state = \nlog = 3 4\n", &[], &[]).join("\n"), @r#"
    1:9 config/syntax: string values must be quoted, expected literal string (-)
    2:7 config/syntax: string values must be quoted, expected literal string (-)
    2:7 config/wrong-type: `log` is a table (write `[log]`, and its keys below)
    "#);
}

#[test]
fn what_the_whole_lacks_is_told_where_it_begins() {
    let text = r#"
database_url = "mysql://db"
[server]
listen = "0.0.0.0:80"
[keys]
holder = "transit"
"#;
    insta::assert_snapshot!(problems(text, &[], &[]).join("\n"), @r#"
    1:1 config/wrong-value: `TRUNKLINE_TRANSIT_URL` is not set (`keys.transit.url` in the file, or `TRUNKLINE_TRANSIT_URL`)
    2:16 config/database-url: `database_url` starts with neither `postgres:` nor `sqlite:` (write `postgres://user@host/database`; its password may stand in it)
    "#);
}

#[test]
fn what_others_could_see_is_a_warning() {
    let text = r#"
database_url = "postgres://ci:hunter2@db/ci"
[server]
listen = "0.0.0.0:80"
public_url = "http://ci.example"
"#;
    insta::assert_snapshot!(problems(text, &[], &[]).join("\n"), @r#"
    2:16 config/secret-in-file: `database_url` is a secret in a file that others can read (move it to a file of its own, and name that with `database_url_file`)
    4:10 config/open-metrics: everybody who reaches the server can read `/metrics` (set `metrics.token_file`, or `metrics.listen = "127.0.0.1:9090"`)
    5:14 config/no-tls: `server.public_url` is not `https:`, and others can reach the server (put a proxy with TLS in front, and name its `https:` address: without TLS passwords and tokens can be read on the way)
    "#);
    let text = "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://ci.example\"\n\
        [metrics]\ntoken_file = \"token\"\n";
    assert_eq!(problems(text, &[("token", LONG)], &[]), [""; 0]);
}

#[test]
fn the_environment_wins_over_the_file_and_a_file_holds_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    let text = "state = \"data\"\ndatabase_url_file = \"url\"\n[worker]\njobs = 3\n\
        [server]\ntrusted_proxies = [\"10.0.0.1\", \"::1\"]\n";
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("url"), "postgres://ci:x@db/ci\n").unwrap();
    let layers = Layers::read(&path, &environment(&[("TRUNKLINE_JOBS", "7")])).unwrap();
    assert_eq!(layers.problems, []);
    let settings = Settings::read(&layers.environment, None).unwrap();
    assert_eq!(settings.slots, 7);
    assert_eq!(settings.state_folder, folder.path().join("data"));
    assert_eq!(settings.database_url.as_deref(), Some("postgres://ci:x@db/ci"));
    assert_eq!(settings.sign_in.trusted_proxies.len(), 2);
}

#[test]
fn a_variable_may_name_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url").display().to_string();
    std::fs::write(&file, "sqlite:ci.db\n").unwrap();
    let named = environment(&[("DATABASE_URL_FILE", &file)]).with_files().unwrap();
    assert_eq!(named.get("DATABASE_URL"), Some("sqlite:ci.db"));
    let both = [("DATABASE_URL_FILE", file.as_str()), ("DATABASE_URL", "sqlite:other.db")];
    assert_eq!(
        environment(&both).with_files().unwrap().get("DATABASE_URL"),
        Some("sqlite:other.db")
    );
    let error = environment(&[("DATABASE_URL_FILE", "/nowhere")]).with_files().unwrap_err();
    assert!(error.to_string().starts_with("`DATABASE_URL_FILE` names `/nowhere`"), "{error}");
}

#[test]
fn the_documentation_has_a_row_for_every_setting() {
    let page = std::fs::read_to_string("docs/configuration.md").unwrap();
    let kind = |setting: &Setting| match setting.kind {
        Kind::Text => "text".to_owned(),
        Kind::Hidden => "secret".to_owned(),
        Kind::Number { min, max } => format!("number, {min} to {max}"),
        Kind::Words => "list".to_owned(),
        Kind::Addresses => "list of IP addresses".to_owned(),
        Kind::Socket => "IP address and port".to_owned(),
        Kind::Url => "address".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Choice(words) => {
            words.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
        }
    };
    let row = |it: &Setting| {
        let default = if it.default.is_empty() { "-" } else { it.default };
        format!("| `{}` | `{}` | {} | {default} | {} |", it.key, it.variable, kind(it), it.about)
    };
    let wanted: Vec<_> = SETTINGS.iter().map(row).collect();
    let found: Vec<_> = page.lines().filter(|it| it.starts_with("| `")).collect();
    assert_eq!(found, wanted, "the table should be:\n{}", wanted.join("\n"));
}

#[test]
fn the_example_of_the_documentation_is_fine() {
    let page = std::fs::read_to_string("docs/configuration.md").unwrap();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let example = example.replace("/etc/trunkline/database-url", "url");
    let example = example.replace("/var/lib/trunkline", "data");
    let beside = [("url", "postgres://ci@db/ci\n"), ("metrics.token", LONG)];
    assert_eq!(problems(&example, &beside, &[]), [""; 0]);
}

/// A secret that nobody guesses.
const LONG: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn settings_that_need_another_one_are_told() {
    let text = r#"
database_url = ""
[oidc]
client_id = "ci"
[mail]
from = "ci@example.org"
[traces]
headers = "a=b"
[metrics]
token = "secret"
"#;
    let told = problems(text, &[], &[]);
    let told: Vec<_> = told.iter().filter(|it| !it.contains("config/secret-in-file")).collect();
    let told = told.iter().map(|it| it.as_str()).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(told, @r#"
    2:16 config/empty: `database_url` is empty, and SQLite in the state folder is used (leave it out for SQLite, or write `postgres://user@host/database`)
    4:13 config/incomplete: an OpenID provider needs `oidc.issuer` too (-)
    6:8 config/incomplete: mail needs `mail.smtp_url` too (-)
    8:11 config/incomplete: the sending of traces needs `traces.endpoint` too (-)
    10:9 config/short-secret: `metrics.token` has fewer than 16 characters and can be guessed (make one with `openssl rand -hex 32`)
    "#);
    let smtp = problems("[mail]\nsmtp_url_file = \"url\"\n", &[("url", "smtp://host:25")], &[]);
    assert!(smtp.concat().contains("mail needs `mail.from` too"), "{smtp:?}");
    let empty = problems("", &[], &[("DATABASE_URL", "")]);
    assert!(empty.concat().contains("config/empty: `DATABASE_URL` is empty"), "{empty:?}");
    let key = "[forges]\ngithub_app_id = \"1\"\ngithub_app_key_file = \"key\"\n";
    let told = problems(key, &[("key", "abc")], &[]).concat();
    assert!(told.contains("in which there is no private key (PEM)"), "{told}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let told = problems("state = \"file/state\"\n", &[("file", "")], &[]).concat();
    assert!(told.contains("config/unwritable-folder: `state` names"), "{told}");
    assert!(told.contains("file` is no folder"), "{told}");
    let told = problems("state = \"/proc/trunkline\"\n", &[], &[]).concat();
    assert!(told.contains("`/proc` cannot be written to"), "{told}");
    assert_eq!(problems("state = \"new/state\"\n", &[], &[]), [""; 0]);
}

#[test]
fn who_calls_has_a_name_also_where_the_environment_has_none() {
    let text = "root:x:0:0:root:/root:/bin/sh\nci:x:1000:1000::/home/ci:/bin/sh\n";
    assert_eq!(name_of_user(text, 1000).as_deref(), Some("ci"));
    assert_eq!(name_of_user(text, 7), None);
    let settings = Settings::read(&[("HOME", "/h"), ("LOGNAME", "ada")].into(), None).unwrap();
    assert_eq!(settings.user, "ada");
    let unnamed = Settings::read(&[("HOME", "/h")].into(), None).unwrap().user;
    assert!(!unnamed.is_empty() && unnamed != "somebody", "{unnamed}");
}
