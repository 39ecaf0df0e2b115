//! Asks somebody else whether a text is an attack. In bounded time, and with a bounded text.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::upstream::{self, Upstream};
use crate::gateway::guard::settings::Classifier;

/// The most of a text that is sent.
const TEXT_BYTES: usize = 64 << 10;
/// The largest answer that is read.
const ANSWER_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
struct Answer {
    score: f64,
}

/// Its score from 0 to 1; `None` when it does not answer, or not in time, or not with a score.
pub(super) async fn ask(upstream: &Upstream, classifier: &Classifier, text: &str) -> Option<f64> {
    let limit = classifier.timeout_ms.into();
    let answer = tokio::time::timeout(limit, asked(upstream, classifier, text)).await;
    let score = answer.ok().flatten().filter(|it| (0.0..=1.0).contains(it));
    if score.is_none() {
        tracing::warn!("a classifier does not answer as it should");
    }
    score
}

async fn asked(upstream: &Upstream, classifier: &Classifier, text: &str) -> Option<f64> {
    let text = text.get(..text.floor_char_boundary(TEXT_BYTES))?;
    let body = serde_json::json!({"text": text}).to_string();
    let mut request = Request::post(&classifier.url).body(Full::new(Bytes::from(body))).ok()?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let limit = classifier.timeout_ms.into();
    let response = upstream.send(request, limit).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = upstream::read_all(response.into_body(), ANSWER_BYTES, limit).await.ok()?;
    Some(serde_json::from_slice::<Answer>(&body).ok()?.score)
}
