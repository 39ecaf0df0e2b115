//! Tokens of stages, and forged tokens of all kinds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use reqwest::Method;
use serde_json::{Value, json};
use trunkline::auth::WorkloadClaims;
use trunkline::config::SignInSettings;
use trunkline::model::Milliseconds;

use crate::support::{Answer, PASSWORD, Server};

const MINUTE: Milliseconds = Milliseconds(60_000);

async fn server() -> Server {
    let settings = |url: &str| SignInSettings {
        public_url: Some(url.to_owned()),
        ..SignInSettings::default()
    };
    Server::start_with(settings).await
}

fn workload() -> WorkloadClaims {
    let text = str::to_owned;
    WorkloadClaims {
        team: text("search"),
        project: text("site"),
        git_ref: text("refs/heads/main"),
        environment: text("production"),
        stage: text("deploy"),
        run: text("01k"),
        event: text("push"),
    }
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = Answer::of(server.request(Method::GET, path).send().await.unwrap()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// As a cloud does it: discovery, keys, the one that is named, the claims.
pub(crate) async fn verify(server: &Server, token: &str, audience: &str) -> Result<Value, String> {
    let discovery = get(server, "/.well-known/openid-configuration").await;
    assert_eq!(discovery["issuer"], server.url);
    let keys = discovery["jwks_uri"].as_str().unwrap().strip_prefix(&server.url).unwrap();
    let keys: JwkSet = serde_json::from_value(get(server, keys).await).unwrap();
    let header = jsonwebtoken::decode_header(token).map_err(|it| it.to_string())?;
    let key = keys.find(&header.kid.unwrap()).ok_or("no such key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[&server.url]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    validation.validate_nbf = true;
    let data =
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation);
    data.map(|it| it.claims).map_err(|it| it.to_string())
}

#[tokio::test]
async fn a_cloud_verifies_the_token_of_a_stage() {
    let server = server().await;
    let token =
        server.app.auth.workload_token(&workload(), "sts.example.com", MINUTE).await.unwrap();
    let claims = verify(&server, &token, "sts.example.com").await.unwrap();
    assert_eq!(
        claims["sub"],
        "project:search/site:ref:refs/heads/main:environment:production:stage:deploy"
    );
    for (name, value) in [
        ("team", "search"),
        ("project", "site"),
        ("ref", "refs/heads/main"),
        ("environment", "production"),
        ("stage", "deploy"),
        ("run", "01k"),
        ("event", "push"),
    ] {
        assert_eq!(claims[name], value);
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    let other = verify(&server, &token, "other.example.com").await;
    assert_eq!(other, Err("InvalidAudience".to_owned()));
    let again =
        server.app.auth.workload_token(&workload(), "sts.example.com", MINUTE).await.unwrap();
    assert_ne!(verify(&server, &again, "sts.example.com").await.unwrap()["jti"], claims["jti"]);
}

#[tokio::test]
async fn a_token_lives_an_hour_at_most() {
    let server = server().await;
    let day = Milliseconds::from_seconds(24 * 3600);
    let token = server.app.auth.workload_token(&workload(), "a", day).await.unwrap();
    let claims = verify(&server, &token, "a").await.unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
}

#[tokio::test]
async fn the_next_key_is_published_two_days_before_it_signs() {
    let server = server().await;
    let kid = |token: String| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let sign =
        async || kid(server.app.auth.workload_token(&workload(), "a", MINUTE).await.unwrap());
    let published = async || {
        let keys: JwkSet =
            serde_json::from_value(get(&server, "/.well-known/jwks.json").await).unwrap();
        keys.keys.into_iter().map(|it| it.common.key_id.unwrap()).collect::<Vec<_>>()
    };
    let first = sign().await;
    assert_eq!(published().await, std::slice::from_ref(&first));
    let day = 24 * 3600;
    server.clock.by_seconds(28 * day + 60);
    assert_eq!(sign().await, first);
    let both = published().await;
    assert_eq!((both.len(), &both[0]), (2, &first));
    server.clock.by_seconds(2 * day);
    assert_eq!(sign().await, both[1]);
    assert_eq!(published().await, both, "what the first has signed is still verified");
    server.clock.by_seconds(2 * day);
    assert_eq!(published().await, both[1..]);
}

#[tokio::test]
async fn private_keys_are_sealed_and_never_published() {
    let server = server().await;
    let keys = get(&server, "/.well-known/jwks.json").await;
    assert!(keys["keys"][0].get("d").is_none());
    let rows = server.app.store.list_signing_keys("workload", server.app.now()).await.unwrap();
    // PKCS #8 in base64 begins with `M`.
    assert!(rows.iter().all(|it| !it.private_key.starts_with('M')), "{rows:?}");
}

/// A JWT of three parts as they are.
fn raw(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_forged_session_is_nobody() {
    let server = server().await;
    server.person("ada", true).await;
    let token = server.sign_in("ada", PASSWORD).await.cookie("trunkline");
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let signature = token.split('.').nth(2).unwrap();
    let kid = header["kid"].as_str().unwrap();
    let with = |key: &str, value: Value| {
        let mut header = header.clone();
        header[key] = value;
        header
    };
    let mut longer = claims.clone();
    longer["exp"] = json!(4_000_000_000_i64);
    let hmac = |secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        (header.kid, header.typ) = (Some(kid.to_owned()), Some("trunkline-session+jwt".to_owned()));
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let row =
        server.app.store.list_signing_keys("session", server.app.now()).await.unwrap().remove(0);
    let public: Value = serde_json::from_str(&row.public_key).unwrap();
    let public = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let workload = server.app.auth.workload_token(&workload(), "trunkline", MINUTE).await.unwrap();
    for (what, forged) in [
        ("alg none", raw(&with("alg", json!("none")), &claims, "")),
        ("alg none with the signature", raw(&with("alg", json!("none")), &claims, signature)),
        ("alg None", raw(&with("alg", json!("None")), &claims, "")),
        ("no signature", raw(&header, &claims, "")),
        ("other claims", raw(&header, &longer, signature)),
        ("unknown kid", raw(&with("kid", json!("01k")), &claims, signature)),
        ("no kid", raw(&with("kid", Value::Null), &claims, signature)),
        ("a path as kid", raw(&with("kid", json!("../../etc/passwd")), &claims, signature)),
        ("other type", raw(&with("typ", json!("JWT")), &claims, signature)),
        ("the public key as a secret", hmac(&public)),
        ("an empty secret", hmac(b"")),
        (
            "a key of its own",
            raw(&with("jwk", json!({ "kty": "oct", "k": "AA" })), &claims, signature),
        ),
        ("a token of a stage", workload),
        ("nonsense", "a.b.c".to_owned()),
        ("nothing", String::new()),
        ("a very long one", "a".repeat(7000)),
    ] {
        let request = server.request(Method::GET, "/api/v1/me");
        let request = request.header("cookie", format!("trunkline={forged}"));
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let bearer = server.get(&forged, "/api/v1/me").await;
        assert_eq!(bearer.status, 401, "{what}: {bearer:?}");
    }
    // The JWT of a session is no API token: a browser's cookie cannot be used past its CSRF protection.
    assert_eq!(server.get(&token, "/api/v1/me").await.status, 401);
}
