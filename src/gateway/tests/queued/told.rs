//! Who is told of the end of an item.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::place::{Place, SETTINGS, ask};
use super::{end_of, id, submit, until};
use crate::model::Timestamp;
use crate::secrets::signature;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Told = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// Who gets webhooks, and refuses the first.
async fn receiver() -> (String, Told) {
    let told = Told::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let noted = told.clone();
    let take = move |headers: HeaderMap, body: String| {
        let mut noted = noted.lock().unwrap();
        noted.push((headers, body));
        let status = if noted.len() == 1 { 503 } else { 204 };
        std::future::ready(StatusCode::from_u16(status).unwrap())
    };
    let router = axum::Router::new().route("/hook", post(take));
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, told)
}

#[tokio::test]
async fn an_end_is_told_with_a_signature_until_it_has_arrived() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    let (address, told) = receiver().await;
    let mut submission = ask("");
    submission["webhook"] = json!({"url": address, "secret": SECRET});
    let item = submit(&world, &submission).await;
    let item = until(&world, &item, |it| it["webhook"]["state"] == "sent").await;
    assert_eq!((&item["state"], &item["webhook"]["attempts"]), (&json!("done"), &json!(2)));
    let told = told.lock().unwrap().clone();
    let (headers, body) = told.last().unwrap();
    let said: Value = serde_json::from_str(body).unwrap();
    assert_eq!(said["type"], "queue.item.done");
    assert_eq!(said["data"]["item"], format!("/v1/queue/{}", id(&item)));
    assert!(!body.contains("choices"), "the answer is not told: {body}");
    let header = |name: &str| headers[name].to_str().unwrap();
    let seconds: i64 = header("webhook-timestamp").parse().unwrap();
    let at = Timestamp(seconds * 1000);
    let signed = signature::sign(header("webhook-id"), at, body, &[SECRET.to_owned()]);
    assert_eq!(header("webhook-signature"), signed.signature);
    assert_eq!(told[0].0["webhook-id"], headers["webhook-id"], "the same at every try");
    assert!(!format!("{:?}", place.ended(id(&item)).await).contains(SECRET), "it is sealed");
    world.end().await;
}

#[tokio::test]
async fn addresses_of_private_networks_and_short_secrets_are_refused() {
    let place = Place::new();
    let world = place.world(SETTINGS).await;
    for (url, secret) in [
        ("http://10.0.0.1/hook", SECRET),
        ("http://169.254.169.254/latest", SECRET),
        ("https://example.org/hook", "short"),
        ("no address", SECRET),
    ] {
        let mut submission = ask("");
        submission["webhook"] = json!({"url": url, "secret": secret});
        let reply = world.post(super::QUEUE, &submission.to_string(), &[]).await;
        assert_eq!(reply.status, 400, "{url}: {reply:?}");
        assert!(!reply.body.contains("whsec"), "{reply:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn who_cannot_be_reached_is_given_up() {
    let place = Place::new();
    let settings = SETTINGS.replace("retry_ms = 40", "retry_ms = 0");
    let world = place.world(&settings).await;
    let mut submission = ask("");
    submission["webhook"] = json!({"url": "http://127.0.0.1:9/hook", "secret": SECRET});
    let item = submit(&world, &submission).await;
    assert_eq!(end_of(&world, &item).await["state"], "done", "the item does not mind");
    let item = until(&world, &item, |it| it["webhook"]["state"] == "failed").await;
    assert_eq!(item["webhook"]["attempts"], 10, "{item}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.end().await;
}
