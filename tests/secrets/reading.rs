//! What a stage gets, and what is noted of it.

use sqlx::Connection as _;
use trunkline::secrets::rules::{Reader, Rules};
use trunkline::secrets::{SecretRequest, TeamSecretsError};
use trunkline::store::audit::AuditFilter;

use crate::place::Place;

fn request(project: &str, environment: &str) -> SecretRequest {
    SecretRequest {
        project: project.to_owned(),
        run: "r1".to_owned(),
        stage: "deploy".to_owned(),
        environment: environment.to_owned(),
        names: vec!["TOKEN".to_owned()],
        reader: Reader {
            event: "push".to_owned(),
            branch: "main".to_owned(),
            is_fork: false,
            images: vec!["debian".to_owned()],
        },
    }
}

fn fork() -> SecretRequest {
    let ours = request("p-web", "");
    let reader = Reader { is_fork: true, event: "pull_request".to_owned(), ..ours.reader.clone() };
    SecretRequest { reader, ..ours }
}

#[tokio::test]
async fn the_most_specific_place_wins() {
    let place = Place::new().await;
    let read = async |environment: &str| {
        place.secrets.deliver(&request("p-web", environment)).await.unwrap().concat()
    };
    place.set(("", ""), "of the team").await;
    assert_eq!(read("live").await, "of the team");
    place.set(("p-web", ""), "of the project").await;
    assert_eq!(read("live").await, "of the project");
    place.set(("", "live"), "of the team's environment").await;
    assert_eq!(read("live").await, "of the team's environment");
    place.set(("p-web", "live"), "of the project's environment").await;
    assert_eq!(read("live").await, "of the project's environment");
    assert_eq!(read("test").await, "of the project");
    assert_eq!(read("").await, "of the project");
}

#[tokio::test]
async fn another_team_and_a_run_from_a_terminal_get_nothing() {
    let place = Place::new().await;
    place.set(("", ""), "hunter22").await;
    for project in ["p-app", "", "p-unknown"] {
        let error = place.secrets.deliver(&request(project, "")).await.unwrap_err();
        assert!(matches!(error, TeamSecretsError::NotSet { .. }), "{project}: {error}");
    }
}

#[tokio::test]
async fn a_fork_gets_nothing_and_the_try_is_noted() {
    let place = Place::new().await;
    place.set_with(("", ""), ("hunter22", &Rules::default())).await;
    let error = place.secrets.deliver(&fork()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "secret `TOKEN` may not be read here: code from a fork gets no secrets"
    );
    let filter = AuditFilter { action: "secret.refuse".into(), limit: 9, ..Default::default() };
    let noted = place.store.list_audit_events(&filter).await.unwrap();
    assert_eq!((noted.len(), noted[0].actor.as_str()), (1, "run:r1"));
}

#[tokio::test]
async fn every_use_and_change_is_noted_and_no_value_is() {
    let place = Place::new().await;
    place.set(("p-web", ""), "hunter22").await;
    place.secrets.deliver(&request("p-web", "")).await.unwrap();
    let filter = AuditFilter { action: "secret.".into(), limit: 9, ..Default::default() };
    let noted = place.store.list_audit_events(&filter).await.unwrap();
    let told: Vec<_> = noted.iter().map(|it| (it.action.as_str(), it.subject.as_str())).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&("secret.read", "TOKEN")) && told.contains(&("secret.save", "TOKEN")));
    let all = format!("{noted:?} {:?}", place.secrets);
    assert!(!all.contains("hunter22"), "{all}");
}

#[tokio::test]
async fn a_sealed_value_that_is_moved_to_another_place_is_refused() {
    let place = Place::new().await;
    place.set(("p-web", "live"), "hunter22").await;
    let url = format!("sqlite:{}", place.folder.path().join("state.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let sql = "UPDATE secrets SET environment = ''";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    let error = place.secrets.deliver(&request("p-web", "")).await.unwrap_err();
    assert!(error.to_string().contains("was changed, or belongs elsewhere"), "{error}");
}
