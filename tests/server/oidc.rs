//! Sign-in at an OpenID provider, a real one and one that lies.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use trunkline::config::{GroupGrant, ProviderSettings, SignInSettings};
use trunkline::model::Role;

use crate::provider::{CLIENT_ID, CLIENT_SECRET, Provider, now};
use crate::support::{Answer, Server};

/// A server whose people sign in at a provider.
async fn start() -> (Server, Arc<Provider>) {
    let provider = Provider::start().await;
    let grant =
        |group: &str, role| GroupGrant { group: group.to_owned(), team: "search".to_owned(), role };
    let settings = ProviderSettings {
        issuer: provider.issuer.clone(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        domains: vec!["example.org".to_owned()],
        groups_claim: "groups".to_owned(),
        grants: vec![grant("everybody", Role::Viewer), grant("ops", Role::Admin)],
    };
    let server = Server::start_with(|url| SignInSettings {
        public_url: Some(url.to_owned()),
        provider: Some(settings),
        ..SignInSettings::default()
    })
    .await;
    server.person("owner", true).await;
    (server, provider)
}

fn ada() -> Value {
    json!({
        "sub": "1815", "email": "ada@example.org", "email_verified": true, "name": "Ada",
        "preferred_username": "ada", "groups": ["everybody"],
    })
}

async fn begin(server: &Server, return_to: &str) -> Answer {
    let path = format!("/api/v1/sign-in/oidc?return_to={return_to}");
    let answer = Answer::of(server.request(Method::GET, &path).send().await.unwrap()).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    answer
}

async fn come_back(server: &Server, code: &str, state: &str, cookie: &str) -> Answer {
    let path = format!("/api/v1/sign-in/oidc/callback?code={code}&state={state}");
    let request = server.request(Method::GET, &path);
    let request = request.header("cookie", format!("trunkline-state={cookie}"));
    Answer::of(request.send().await.unwrap()).await
}

/// The whole way, for somebody of whom the provider says this.
async fn sign_in(server: &Server, provider: &Provider, claims: Value) -> Answer {
    let begun = begin(server, "/").await;
    let (code, state) = provider.authorize(begun.header("location"), &claims);
    come_back(server, &code, &state, &begun.cookie("trunkline-state")).await
}

async fn me(server: &Server, signed_in: &Answer) -> Value {
    let cookie = format!("trunkline={}", signed_in.cookie("trunkline"));
    let request = server.request(Method::GET, "/api/v1/me").header("cookie", cookie);
    Answer::of(request.send().await.unwrap()).await.json()
}

#[tokio::test]
async fn a_person_signs_in_at_the_provider_and_comes_back_to_where_they_were() {
    let (server, provider) = start().await;
    server.team("search").await;
    let begun = begin(&server, "/runs%3Fa%3D1%26b%3D2").await;
    assert!(begun.set_cookie("trunkline-state").ends_with("; HttpOnly; SameSite=Lax"));
    let (code, state) = provider.authorize(begun.header("location"), &ada());
    let answer = come_back(&server, &code, &state, &begun.cookie("trunkline-state")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text.contains("0;url=/runs?a=1&amp;b=2"), "{answer:?}");
    assert!(answer.set_cookie("trunkline").contains("SameSite=Strict"));
    let me = me(&server, &answer).await;
    assert_eq!(me["login"], "ada");
    assert_eq!(me["teams"], json!([{ "team": "search", "role": "viewer" }]));
    assert_eq!(me["is_owner"], false);

    let again = come_back(&server, &code, &state, &begun.cookie("trunkline-state")).await;
    assert_eq!(again.status, 401, "a state is good once");
}

#[tokio::test]
async fn groups_decide_about_the_teams_that_the_settings_name() {
    let (server, provider) = start().await;
    let (_search, other) = (server.team("search").await, server.team("other").await);
    let with = |groups: Value| {
        let mut claims = ada();
        claims["groups"] = groups;
        claims
    };
    let first = sign_in(&server, &provider, with(json!(["everybody", "ops"]))).await;
    assert_eq!(me(&server, &first).await["teams"][0]["role"], "admin");
    server.member(&other, "ada", Role::Approver).await;
    let second = sign_in(&server, &provider, with(json!([]))).await;
    assert_eq!(
        me(&server, &second).await["teams"],
        json!([{ "team": "other", "role": "approver" }])
    );
}

#[tokio::test]
async fn a_login_or_an_address_of_somebody_else_makes_nobody_them() {
    let (server, provider) = start().await;
    server.person("ada", true).await;
    let answer = sign_in(&server, &provider, ada()).await;
    let me = me(&server, &answer).await;
    assert_eq!((me["login"].as_str(), me["is_owner"].as_bool()), (Some("ada-2"), Some(false)));
    let again = sign_in(&server, &provider, ada()).await;
    assert_eq!(self::me(&server, &again).await["login"], "ada-2", "the subject says who it is");
}

#[tokio::test]
async fn only_verified_addresses_of_the_named_domains_may_sign_in() {
    let (server, provider) = start().await;
    for (email, verified) in [
        ("ada@example.org", json!(false)),
        ("ada@example.org", json!("true")),
        ("ada@example.org.evil.example", json!(true)),
        ("ada@evil.example", json!(true)),
        ("example.org", json!(true)),
    ] {
        let mut claims = ada();
        (claims["email"], claims["email_verified"]) = (json!(email), verified.clone());
        let answer = sign_in(&server, &provider, claims).await;
        assert_eq!(answer.status, 403, "{email} {verified}: {answer:?}");
    }
    assert_eq!(server.app.store.list_people().await.unwrap().len(), 1);
}

#[tokio::test]
async fn somebody_who_is_shut_out_here_stays_out() {
    let (server, provider) = start().await;
    assert_eq!(sign_in(&server, &provider, ada()).await.status, 200);
    let owner = server.token("owner", &["owner"]).await;
    let body = Some(json!({ "is_disabled": true }));
    server.call(&owner, Method::PATCH, ("/api/v1/people/ada", body)).await;
    assert_eq!(sign_in(&server, &provider, ada()).await.status, 401);
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_link_of_somebody_else() {
    let (server, provider) = start().await;
    let (mine, theirs) = (begin(&server, "/").await, begin(&server, "/").await);
    let (code, state) = provider.authorize(theirs.header("location"), &ada());
    for cookie in [mine.cookie("trunkline-state"), String::new()] {
        let answer = come_back(&server, &code, &state, &cookie).await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    // A code of another sign-in does not fit the verifier of mine.
    let (_, state) = provider.authorize(mine.header("location"), &ada());
    let answer = come_back(&server, &code, &state, &mine.cookie("trunkline-state")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
}

#[tokio::test]
async fn a_sign_in_that_takes_too_long_is_refused() {
    let (server, provider) = start().await;
    let begun = begin(&server, "/").await;
    let (code, state) = provider.authorize(begun.header("location"), &ada());
    server.clock.by_seconds(601);
    let answer = come_back(&server, &code, &state, &begun.cookie("trunkline-state")).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_return_to_another_site_goes_to_the_front_page() {
    let (server, provider) = start().await;
    let begun = begin(&server, "//evil.example").await;
    let (code, state) = provider.authorize(begun.header("location"), &ada());
    let answer = come_back(&server, &code, &state, &begun.cookie("trunkline-state")).await;
    assert!(answer.text.contains("0;url=/\""), "{answer:?}");
}

fn set(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn hmac(kid: &str, secret: &[u8], claims: &Value) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

#[tokio::test]
async fn an_id_token_that_proves_nothing_signs_nobody_in() {
    type Forge = fn(&Provider, Value) -> String;
    let forged: [(&str, Forge); 18] = [
        ("wrong nonce", |it, claims| it.sign(&set(claims, "nonce", json!("other")))),
        ("no nonce", |it, claims| it.sign(&set(claims, "nonce", Value::Null))),
        ("wrong audience", |it, claims| it.sign(&set(claims, "aud", json!("other")))),
        ("several audiences and no party", |it, claims| {
            it.sign(&set(claims, "aud", json!([CLIENT_ID, "other"])))
        }),
        ("another party", |it, claims| it.sign(&set(claims, "azp", json!("other")))),
        ("wrong issuer", |it, claims| it.sign(&set(claims, "iss", json!("https://evil.example")))),
        ("expired", |it, claims| it.sign(&set(claims, "exp", json!(now() - 61)))),
        ("no end", |it, claims| it.sign(&set(claims, "exp", Value::Null))),
        ("of the future", |it, claims| it.sign(&set(claims, "iat", json!(now() + 120)))),
        ("nobody", |it, claims| it.sign(&set(claims, "sub", json!("")))),
        ("alg none", |_, claims| {
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#);
            format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()))
        }),
        ("the public key as a secret", |it, claims| hmac("k1", &it.public, &claims)),
        ("the secret key of the set", |_, claims| hmac("secret", b"secret", &claims)),
        ("our own secret", |_, claims| hmac("k1", CLIENT_SECRET.as_bytes(), &claims)),
        ("unknown kid", |it, claims| it.sign_as(Some("k2"), &claims)),
        ("kid of another key", |it, claims| it.sign_as(Some("secret"), &claims)),
        ("other claims than signed", |it, claims| {
            let token = it.sign(&claims);
            let mut parts: Vec<_> = token.split('.').collect();
            let other = URL_SAFE_NO_PAD.encode(set(claims, "sub", json!("1")).to_string());
            parts[1] = &other;
            parts.join(".")
        }),
        ("nonsense", |_, _| "a.b.c".to_owned()),
    ];
    let (server, provider) = start().await;
    for (what, forge) in forged {
        provider.forge(forge);
        let answer = sign_in(&server, &provider, ada()).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        // Each sign-in knocks twice.
        server.clock.by_seconds(2);
    }
    let people = server.app.store.list_people().await.unwrap();
    assert_eq!(people.len(), 1, "{people:?}");
    provider.forge(|it, claims| it.sign_as(None, &claims));
    assert_eq!(sign_in(&server, &provider, ada()).await.status, 200, "the only key is found");
}

#[tokio::test]
async fn before_the_owner_nobody_comes_from_the_provider() {
    let (server, provider) = start().await;
    server.app.store.close().await;
    let fresh = Server::start_with(|url| SignInSettings {
        public_url: Some(url.to_owned()),
        ..server.app.auth.settings().clone()
    })
    .await;
    assert_eq!(sign_in(&fresh, &provider, ada()).await.status, 403);
    assert!(fresh.app.auth.begin_setup().await.unwrap().is_some());
}
