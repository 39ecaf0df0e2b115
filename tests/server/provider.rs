//! An OpenID provider with keys of its own, that can be told to lie.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) const CLIENT_ID: &str = "trunkline";
pub(crate) const CLIENT_SECRET: &str = "s3cr3t/with:colon";
const KID: &str = "k1";

/// How it makes the ID token of the next sign-in.
type Forge = Box<dyn Fn(&Provider, Value) -> String + Send>;

pub(crate) struct Provider {
    pub(crate) issuer: String,
    key: Vec<u8>,
    pub(crate) public: Vec<u8>,
    /// Grants by code: challenge, redirect address, claims.
    grants: Mutex<HashMap<String, (String, String, Value)>>,
    forge: Mutex<Option<Forge>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Provider {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref()).unwrap();
        let provider = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            key: key.as_ref().to_vec(),
            public: pair.public_key().as_ref().to_vec(),
            grants: Mutex::default(),
            forge: Mutex::default(),
            tasks: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(provider.clone());
        let serve = async move { axum::serve(listener, router).await.unwrap() };
        provider.tasks.lock().unwrap().spawn(serve);
        provider
    }

    /// The person signs in at `location` and is sent back with a code; these are the claims about them.
    pub(crate) fn authorize(&self, location: &str, claims: &Value) -> (String, String) {
        let url = reqwest::Url::parse(location).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert!(location.starts_with(&format!("{}/authorize?", self.issuer)), "{location}");
        assert_eq!(
            (query["response_type"].as_str(), query["client_id"].as_str()),
            ("code", CLIENT_ID)
        );
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|it| it == "openid"));
        let mut all = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "nonce": query["nonce"],
            "iat": now(), "exp": now() + 300,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let code = format!("code-{}", query["state"]);
        let grant = (query["code_challenge"].clone(), query["redirect_uri"].clone(), all);
        self.grants.lock().unwrap().insert(code.clone(), grant);
        (code, query["state"].clone())
    }

    /// Makes the next ID token differently.
    pub(crate) fn forge(&self, forge: impl Fn(&Self, Value) -> String + Send + 'static) {
        *self.forge.lock().unwrap() = Some(Box::new(forge));
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some(KID), claims)
    }

    pub(crate) fn sign_as(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&self.key)).unwrap()
    }
}

pub(crate) fn now() -> i64 {
    use trunkline::model::Clock as _;
    trunkline::worker::SystemClock.now().0 / 1000
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let (x, y) = provider.public[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    // The secret key is a trap: who believes in it can be lied to by everybody.
    Json(json!({ "keys": [
        { "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KID, "x": x, "y": y },
        { "kty": "oct", "kid": "secret", "k": URL_SAFE_NO_PAD.encode("secret") },
    ] }))
}

async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, StatusCode> {
    let basic = format!("{CLIENT_ID}:s3cr3t%2Fwith%3Acolon");
    let basic = format!("Basic {}", STANDARD.encode(basic));
    if headers["authorization"] != basic.as_str() {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let grant = provider.grants.lock().unwrap().remove(&form["code"]);
    let (challenge, redirect, claims) = grant.ok_or(StatusCode::BAD_REQUEST)?;
    let shown = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    if shown != challenge || form["redirect_uri"] != redirect {
        return Err(StatusCode::BAD_REQUEST);
    }
    let forge = provider.forge.lock().unwrap().take();
    let id_token = match forge {
        Some(forge) => forge(&provider, claims),
        None => provider.sign(&claims),
    };
    Ok(Json(json!({ "access_token": "unused", "token_type": "Bearer", "id_token": id_token })))
}
