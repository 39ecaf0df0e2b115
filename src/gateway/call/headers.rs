//! Heads of requests and answers: what goes to the provider, what comes back, what is said besides.

use std::time::Duration;

use chrono::DateTime;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue,
};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use ulid::Ulid;

use crate::gateway::budget::scope::{OF_ENDPOINTS, is_endpoint};
use crate::gateway::call::answer::Answer;
use crate::gateway::ledger::{Origin, Similar};
use crate::model::{Milliseconds, Timestamp, UsdNanos};
use crate::provider::refusal::Refusal;
use crate::provider::{Dialect, said};

/// Which endpoint of its app a call is of.
pub(in crate::gateway) const ENDPOINT: &str = "x-trunkline-endpoint";

/// Of one connection, or the gateway's own matter.
const NOT_TO_PROVIDER: [&str; 15] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
];

/// Of one connection, or said by the gateway itself.
const NOT_TO_CLIENT: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a call has cost.
const COST: &str = "x-trunkline-cost-usd";
/// What is to be known of it besides.
const FLAGS: &str = "x-trunkline-flags";
/// Headers that the gateway adds to an answer.
const TOLD_MAX: usize = 10;
/// Tags of a call, and letters of one.
const TAGS_MAX: usize = 8;
const TAG_LETTERS: usize = 64;
/// How bodies come that can be read.
const IDENTITY: &str = "identity";
/// Letters of the name of a compression.
const ENCODING_LETTERS: usize = 40;

/// What the gateway says of an answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) attempt: u32,
    pub(super) overhead: Duration,
    pub(super) origin: Origin,
    pub(super) reserved: Option<UsdNanos>,
    pub(super) cost: Option<UsdNanos>,
    pub(super) remaining: Option<UsdNanos>,
    pub(super) flags: Vec<&'static str>,
}

/// What the app tells its call apart by: words of `x-trunkline-tags`, with commas between. Each is taken once, the
/// first eight of them; what is longer than 64 letters, or has others than these or a space inside, is none.
pub(in crate::gateway) fn tags(headers: &HeaderMap) -> String {
    let is_letter = |it: char| it.is_ascii_alphanumeric() || "._:=/-".contains(it);
    let mut tags: Vec<&str> = Vec::new();
    for value in headers.get_all("x-trunkline-tags") {
        let words = value.as_bytes().split(|it| *it == b',');
        let words = words.filter_map(|it| std::str::from_utf8(it.trim_ascii()).ok());
        let words =
            words.filter(|it| (1..=TAG_LETTERS).contains(&it.len()) && it.chars().all(is_letter));
        for word in words {
            if tags.len() < TAGS_MAX && !tags.contains(&word) {
                tags.push(word);
            }
        }
    }
    tags.sort_unstable();
    tags.join(" ")
}

/// The headers of a request for its provider. Answers come uncompressed, so that they can be read.
pub(super) fn to_provider(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let text = name.as_str();
        let is_ours = text.starts_with("x-trunkline-") || text.starts_with("x-forwarded-");
        if !is_ours && !NOT_TO_PROVIDER.contains(&text) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept.insert(ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY));
    kept
}

/// How a body is compressed, if it is.
pub(super) fn compression(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let mut words = values.flat_map(|it| it.as_bytes().split(|it| *it == b','));
    let is_plain = |it: &[u8]| it.is_empty() || it.eq_ignore_ascii_case(IDENTITY.as_bytes());
    let word = words.find(|it| !is_plain(it.trim_ascii()))?;
    Some(said::plain(&String::from_utf8_lossy(word.trim_ascii()), ENCODING_LETTERS))
}

/// The endpoint that a request names. One with another name would be left out of the budgets of endpoints: it is refused.
pub(in crate::gateway) fn endpoint(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get(ENDPOINT).filter(|it| !it.is_empty()) else { return Ok(None) };
    let name = value.to_str().ok().filter(|it| is_endpoint(it));
    let odd = || Refusal::Unreadable(format!("`{ENDPOINT}` has {OF_ENDPOINTS}"));
    name.map(Some).ok_or_else(odd)
}

/// A body that is compressed cannot be metered.
pub(super) fn refuse_compressed(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(word) = compression(headers) else { return Ok(()) };
    Err(Refusal::Unreadable(format!(
        "the body is compressed (`content-encoding: {word}`), and what is compressed is not read here; send it as it is, \
         without that header"
    )))
}

/// The answer of a provider for the client.
pub(super) fn to_client(
    head: &Parts,
    answer: Answer,
    model: &str,
    told: &Told,
) -> Response<Answer> {
    let mut response = Response::new(answer);
    *response.status_mut() = head.status;
    let headers = response.headers_mut();
    headers.reserve(head.headers.len() + TOLD_MAX);
    for (name, value) in &head.headers {
        match name.as_str() {
            "x-request-id" => set(headers, "x-trunkline-upstream-request-id", value.clone()),
            text if NOT_TO_CLIENT.contains(&text) => {}
            _ => drop(headers.append(name.clone(), value.clone())),
        }
    }
    tell(headers, model, told);
    response
}

/// An answer that was kept here.
pub(super) fn kept(
    answer: Answer,
    content_type: &str,
    model: &str,
    told: &Told,
) -> Response<Answer> {
    let mut response = Response::new(answer);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    tell(response.headers_mut(), model, told);
    response
}

/// What the gateway says of an answer, in headers.
pub(super) fn tell(headers: &mut HeaderMap, model: &str, told: &Told) {
    let mut say = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            set(headers, name, value);
        }
    };
    say("x-trunkline-model", model);
    say("x-trunkline-attempts", &told.attempt.to_string());
    say("x-trunkline-overhead-us", &told.overhead.as_micros().to_string());
    say("x-trunkline-origin", told.origin.as_str());
    let money = [
        ("x-trunkline-reserved-usd", told.reserved),
        (COST, told.cost),
        ("x-trunkline-budget-remaining-usd", told.remaining),
    ];
    for (name, amount) in money {
        if let Some(amount) = amount {
            say(name, amount.to_string().trim_end_matches(" USD"));
        }
    }
    if !told.flags.is_empty() {
        say(FLAGS, &told.flags.join(","));
    }
}

/// How often a call has gone out, and what that has cost. Where that is not known, no part of it is told either.
pub(super) fn tell_tries(headers: &mut HeaderMap, made: u32, cost: Option<UsdNanos>) {
    set(headers, "x-trunkline-attempts", HeaderValue::from(made));
    let cost = cost.map(|it| HeaderValue::from_str(it.to_string().trim_end_matches(" USD")));
    match cost {
        Some(Ok(cost)) => set(headers, COST, cost),
        Some(Err(_)) | None => drop(headers.remove(COST)),
    }
}

/// Adds a flag to those of an answer, unless it is there.
pub(super) fn add_flag(headers: &mut HeaderMap, flag: &str) {
    let told = headers.get(FLAGS).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if told.split(',').any(|it| it == flag) {
        return;
    }
    let comma = if told.is_empty() { "" } else { "," };
    if let Ok(value) = HeaderValue::from_str(&format!("{told}{comma}{flag}")) {
        set(headers, FLAGS, value);
    }
}

/// JSON of the gateway's own.
pub(in crate::gateway) fn json(body: String) -> Response<Answer> {
    let mut response = Response::new(Answer::full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Says how like another question this one is, and whose answer it is.
pub(super) fn similar(response: &mut Response<Answer>, similar: &Similar) {
    let said = [
        ("x-trunkline-similarity", similar.likeness.to_string()),
        ("x-trunkline-similar-to", similar.to.clone()),
    ];
    for (name, text) in said {
        if let Ok(value) = HeaderValue::from_str(&text) {
            set(response.headers_mut(), name, value);
        }
    }
}

/// Says that an answer was kept here.
pub(super) fn from_cache(response: &mut Response<Answer>) {
    let origin = HeaderValue::from_static(Origin::Cache.as_str());
    set(response.headers_mut(), "x-trunkline-origin", origin);
}

/// The gateway's own refusal.
pub(super) fn refused(refusal: &Refusal, dialect: Dialect) -> Response<Answer> {
    let reply = refusal.reply(dialect);
    let mut response = Response::new(Answer::full(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&text) {
            set(headers, name, value);
        }
    }
    response
}

/// Names the request in its answer, the way both vendors do.
pub(super) fn name(response: &mut Response<Answer>, id: u128) {
    if let Ok(value) = HeaderValue::from_str(&request_id(id)) {
        response.headers_mut().insert(HeaderName::from_static("request-id"), value.clone());
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response.headers_mut().remove(CONTENT_LENGTH);
}

/// The name of a request.
pub(in crate::gateway) fn request_id(id: u128) -> String {
    format!("req_{}", Ulid(id).to_string().to_ascii_lowercase())
}

/// Whether the answer is a stream of events.
pub(super) fn is_stream<T>(response: &Response<T>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.is_some_and(|it| it.to_ascii_lowercase().starts_with("text/event-stream"))
}

/// When a provider wants to see the next call: milliseconds, seconds, or a date, which its own clock tells where it says
/// what that is (RFC 9110, section 10.2.3).
pub(in crate::gateway) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Milliseconds> {
    let word = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| word(name)?.parse::<f64>().ok();
    let date = |name: &str| DateTime::parse_from_rfc2822(word(name)?).ok();
    let ms = number("retry-after-ms").or_else(|| number("retry-after").map(|it| it * 1000.0));
    if let Some(ms) = ms {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let ms = ms.clamp(0.0, 3_600_000.0) as u64;
        return Some(Milliseconds(ms));
    }
    let until = date("retry-after")?.timestamp_millis();
    let now = date("date").map_or(now.0, |it| it.timestamp_millis());
    let ms = u64::try_from(until.saturating_sub(now)).unwrap_or_default();
    Some(Milliseconds(ms.min(3_600_000)))
}

fn set(headers: &mut HeaderMap, name: &'static str, value: HeaderValue) {
    headers.insert(HeaderName::from_static(name), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[&str]) -> String {
        let values: Vec<_> = values.iter().map(|it| it.as_bytes()).collect();
        told_of_bytes(&values)
    }

    fn told_of_bytes(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-trunkline-tags", HeaderValue::from_bytes(value).unwrap());
        }
        tags(&headers)
    }

    fn compressed(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        compression(&headers)
    }

    #[test]
    fn a_compression_is_what_is_not_identity() {
        assert_eq!(compressed(&[]), None);
        assert_eq!(compressed(&["", "Identity"]), None);
        assert_eq!(compressed(&["identity, gzip"]), Some("gzip".to_owned()));
        assert_eq!(compressed(&["identity", "br"]), Some("br".to_owned()));
    }

    #[test]
    fn providers_are_asked_not_to_compress() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        let sent = to_provider(&headers);
        let sent: Vec<_> = sent.get_all(ACCEPT_ENCODING).iter().collect();
        assert_eq!(sent, ["identity"]);
    }

    #[test]
    fn a_cost_that_is_not_known_is_not_told_in_part() {
        let mut headers = HeaderMap::new();
        set(&mut headers, COST, HeaderValue::from_static("0.01"));
        tell_tries(&mut headers, 2, Some(UsdNanos(20_000_000)));
        assert_eq!(headers[COST], "0.02");
        assert_eq!(headers["x-trunkline-attempts"], "2");
        tell_tries(&mut headers, 2, None);
        assert_eq!(headers.get(COST), None);
    }

    #[test]
    fn a_provider_says_its_patience_in_numbers_or_as_a_date() {
        let now = Timestamp(784_111_757_500);
        let told = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|it| (HeaderName::from_static(it.0), it.1));
            let headers: HeaderMap =
                pairs.map(|it| (it.0, HeaderValue::from_static(it.1))).collect();
            retry_after(&headers, now).map(|it| it.0)
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("retry-after", "soon")]), None);
        assert_eq!(told(&[("retry-after", " 1.5")]), Some(1500));
        assert_eq!(told(&[("retry-after", "9"), ("retry-after-ms", "250")]), Some(250));
        let date = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(told(&[date]), Some(19_500));
        assert_eq!(told(&[date, ("date", "Sun, 06 Nov 1994 08:49:30 GMT")]), Some(7000));
        assert_eq!(told(&[date, ("date", "Sun, 06 Nov 1994 08:49:40 GMT")]), Some(0));
        assert_eq!(told(&[("retry-after", "Mon, 07 Nov 1994 08:49:37 GMT")]), Some(3_600_000));
    }

    #[test]
    fn a_flag_is_added_once() {
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            add_flag(&mut headers, "estimated");
            assert_eq!(headers[FLAGS], "estimated");
        }
        add_flag(&mut headers, "cut");
        add_flag(&mut headers, "estimated");
        assert_eq!(headers[FLAGS], "estimated,cut");
    }

    #[test]
    fn tags_are_words_each_once_and_few() {
        assert_eq!(told(&[]), "");
        assert_eq!(told(&["tenant=acme, beta", "beta"]), "beta tenant=acme");
        assert_eq!(told(&["<b>,a\"b,ok"]), "ok");
        assert_eq!(told(&[&"x".repeat(65), "y"]), "y");
        assert_eq!(told(&["a,b,c,d,e,f,g,h,i,j"]), "a b c d e f g h");
        assert_eq!(told(&["tenant=Müller, beta"]), "beta");
        assert_eq!(told(&["tenant=big corp,\tbeta ,a"]), "a beta");
        assert_eq!(told_of_bytes(&[b"a\xff,beta"]), "beta");
    }
}
