//! Real key holders: OpenBao's transit engine, and AWS KMS as moto speaks it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline::config::keys::{AwsKmsSettings, Hidden, TransitSettings};
use trunkline::secrets::keys::{AwsKms, KeyFile, KeyProvider, Transit};
use trunkline::secrets::{KeyError, Keyring, SealError};
use trunkline::worker::SystemClock;

use crate::place::Place;

const TOKEN: &str = "root-of-the-test";

/// A process that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// `None` when it is not installed, which is said aloud, and which CI forbids.
#[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
fn program(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kms/bin").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").is_err(), "in CI `{}` must be there", path.display());
    eprintln!("SKIPPED: `{name}` is not there; `deploy/setup kms` installs it");
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn start(command: &mut Command, url: &str) -> Daemon {
    let daemon = Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    for _ in 0..300 {
        if reqwest::get(url).await.is_ok() {
            return daemon;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{url}` does not answer");
}

async fn openbao() -> Option<(Daemon, TransitSettings)> {
    let program = program("bao")?;
    let port = free_port();
    let address = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(program);
    command.args(["server", "-dev", "-dev-no-store-token"]);
    command.arg(format!("-dev-root-token-id={TOKEN}"));
    command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
    let daemon = start(&mut command, &format!("{address}/v1/sys/health")).await;
    let settings = TransitSettings {
        address: address.clone(),
        mount: "transit".into(),
        key: "trunkline".into(),
        token: Hidden(TOKEN.into()),
        namespace: String::new(),
    };
    let client = reqwest::Client::new();
    for (path, body) in [
        ("sys/mounts/transit", json!({ "type": "transit" })),
        ("transit/keys/trunkline", json!({})),
    ] {
        let request = client.post(format!("{address}/v1/{path}")).json(&body);
        let answer = request.header("X-Vault-Token", TOKEN).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }
    Some((daemon, settings))
}

async fn aws() -> Option<(Daemon, AwsKmsSettings)> {
    let program = program("moto_server")?;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(program);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let daemon = start(&mut command, &url).await;
    let request = reqwest::Client::new().post(&url).body("{}");
    let answer = request
        .header("x-amz-target", "TrentService.CreateKey")
        .header("content-type", "application/x-amz-json-1.1")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/kms/aws4_request",
        )
        .send();
    let key: Value = answer.await.unwrap().json().await.unwrap();
    let settings = AwsKmsSettings {
        key: key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned(),
        region: "eu-west-1".into(),
        endpoint: Some(url),
        access_key: "AKIDEXAMPLE".into(),
        secret_key: Hidden("hunter2".into()),
        session_token: None,
    };
    Some((daemon, settings))
}

/// Seals, rotates, opens; and moves from a key file to this provider.
async fn check(provider: KeyProvider) {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyProvider::File(KeyFile::open(&folder.path().join("secret.keys")).unwrap());
    let place = Place::with(folder, Keyring::new(file.clone(), Vec::new())).await;
    let old = place.sealer.seal("a", "hunter22").await.unwrap();
    place.set(("", ""), "of before").await;

    let place = Place { sealer: moved(&place, provider.clone(), vec![file]), ..place };
    assert_eq!(place.sealer.open("a", &old).await.unwrap(), "hunter22");
    let rotated = place.sealer.rotate("me", "system").await.unwrap();
    assert_eq!((rotated.resealed, rotated.unreadable), (1, 0));

    let alone = moved(&place, provider, Vec::new());
    assert_eq!(alone.open("a", &old).await.unwrap(), "hunter22");
    let fresh = alone.seal("b", "hunter33").await.unwrap();
    let again = alone.rotate("me", "system").await.unwrap();
    assert_ne!(again.data_key, rotated.data_key);
    assert_eq!(alone.open("b", &fresh).await.unwrap(), "hunter33");
    let kept = alone.status().await.unwrap().data_keys;
    assert!(kept.iter().all(|it| it.wrapped_by == kept[0].wrapped_by), "{kept:?}");
}

fn moved(
    place: &Place,
    primary: KeyProvider,
    others: Vec<KeyProvider>,
) -> trunkline::secrets::Sealer {
    let keyring = Keyring::new(primary, others);
    trunkline::secrets::Sealer::new(place.store.clone(), keyring, place.clock.clone())
}

#[tokio::test]
async fn openbao_wraps_rotates_and_takes_over_from_a_file() {
    let Some((_daemon, settings)) = openbao().await else { return };
    check(KeyProvider::Transit(Transit::new(settings).unwrap())).await;
}

#[tokio::test]
async fn aws_kms_wraps_and_takes_over_from_a_file() {
    let Some((_daemon, settings)) = aws().await else { return };
    check(KeyProvider::AwsKms(AwsKms::new(settings, std::sync::Arc::new(SystemClock)).unwrap()))
        .await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_not_shown() {
    let Some((_daemon, settings)) = openbao().await else { return };
    let settings = TransitSettings { token: Hidden("hunter2".into()), ..settings };
    let transit = KeyProvider::Transit(Transit::new(settings).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let place = Place::with(folder, Keyring::new(transit, Vec::new())).await;
    let error = place.sealer.seal("a", "hunter22").await.unwrap_err();
    assert!(matches!(&error, SealError::Key(KeyError::Refused { .. })), "{error}");
    let shown = format!("{error} {error:?} {:?}", place.sealer);
    assert!(!shown.contains("hunter2"), "{shown}");
}
