//! Candidates that are indexes. The gateway sees no query of an index: an app asks whether the candidate shall answer this
//! one as well, asks both, and reports how the two did. What the candidate cost is charged to the candidate's own budget.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::Response;
use hyper::http::request::Parts;
use serde::Deserialize;
use serde_json::json;

use super::{Shadow, share};
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::call::answer::Answer;
use crate::gateway::call::headers::{self, request_id};
use crate::gateway::keys::Key;
use crate::gateway::server::Core;
use crate::gateway::server::usage::report::{Report, usage_of};
use crate::gateway::server::usage::{self, Charged, Origin, Priced};
use crate::model::{Milliseconds, Timestamp, UsdNanos};
use crate::provider::refusal::{Refusal, STORE};
use crate::store::spend::requests::shadow::PairRow;

/// Pairs of one request, hits of one query, and letters of one.
const PAIRS_AT_MOST: usize = 100;
const HITS_AT_MOST: usize = 100;
const HIT_LETTERS: usize = 200;
/// Letters of a word on what went wrong.
const ERROR_LETTERS: usize = 63;
/// The largest body.
const BODY_BYTES: usize = 4 << 20;
/// When to come again while the store does not answer.
const AGAIN: Milliseconds = Milliseconds(1_000);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    pairs: Vec<Sent>,
}

/// A query that both indexes have answered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Names the pair: one of the same name counts once.
    id: String,
    /// The index that is used.
    primary: Side,
    /// The other.
    candidate: Side,
}

/// What one of them did.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    /// Ids of what was found, the best first.
    #[serde(default)]
    hits: Vec<String>,
    /// One word, where it has not answered.
    error: Option<String>,
    took_ms: u64,
    /// What was used.
    #[serde(default)]
    units: BTreeMap<String, u64>,
}

/// A pair with what both cost.
#[derive(Debug)]
struct Pair {
    sent: Sent,
    /// What the index that is used cost, which its app reports by itself.
    cost: UsdNanos,
    candidate: Option<Priced>,
}

/// Whether the candidate shall answer this query as well.
pub(super) async fn pick(
    core: &Core,
    key: &Key,
    (shadow, head): (&Shadow, &Parts),
) -> Result<Response<Answer>, Refusal> {
    let (of, index) = indexes(shadow)?;
    let its = &shadow.settings;
    let origin = Origin::of(key, &head.headers);
    let subject = origin.whose().clone().with(Kind::Model, of);
    let reason = if its.scope.account_of(&subject).is_none() {
        Some("scope")
    } else if !share::has(&its.name, &who(core, shadow, head), its.percent) {
        Some("share")
    } else if !has_money(core, shadow, key).await {
        Some("budget")
    } else {
        None
    };
    let body = json!({
        "object": "shadow.pick",
        "shadow": its.name,
        "picked": reason.is_none(),
        // Why not: it is outside of the scope or the share, or the budget is used up.
        "reason": reason,
        "of": of,
        "index": index,
    });
    Ok(headers::json(body.to_string()))
}

/// Keeps how the two did.
pub(super) async fn pairs(
    core: &Arc<Core>,
    key: &Key,
    (shadow, head, body): (&Arc<Shadow>, &Parts, &[u8]),
) -> Result<Response<Answer>, Refusal> {
    indexes(shadow)?;
    if body.len() > BODY_BYTES {
        return Err(Refusal::TooLarge { limit_bytes: BODY_BYTES as u64 });
    }
    let at = core.clock.now();
    let mut read = Vec::new();
    for (place, sent) in self::read(body).map_err(Refusal::Unreadable)?.into_iter().enumerate() {
        read.push(priced(core, shadow, (place, sent), at)?);
    }
    let candidates: Vec<_> = read.iter().filter_map(|it| it.candidate.clone()).collect();
    let origin = Origin::of(key, &head.headers);
    let owner = format!("{}/{}", shadow.endpoint(), origin.owner());
    let team = origin.whose().get(Kind::Team).unwrap_or_default().to_owned();
    let charged = usage::charge(core, origin.of_candidate(&shadow.endpoint()), candidates).await?;
    let mut costs = charged.iter();
    for pair in read {
        let cost = pair.candidate.as_ref().and_then(|_| costs.next());
        let row = PairRow { team: team.clone(), ..row(shadow, (&owner, &pair, cost), at) };
        shadow.made.fetch_add(1, Ordering::Relaxed);
        core.shadows.keep(row).await.map_err(|error| {
            tracing::error!(%error, "a pair of a shadow cannot be kept");
            Refusal::Away { what: STORE, retry_after: AGAIN }
        })?;
    }
    let exceeded = charged.iter().find_map(|it| it.exceeded.as_ref());
    let exceeded = exceeded.map(|it| json!({"budget": it.0, "message": it.1}));
    let cost = charged.iter().map(|it| it.cost.0).fold(0, i64::saturating_add);
    let body = json!({
        "object": "shadow.pairs",
        "cost_usd": usage::doors::usd(UsdNanos(cost)),
        "exceeded": exceeded,
    });
    Ok(headers::json(body.to_string()))
}

/// The index that is used, and the candidate.
fn indexes(shadow: &Shadow) -> Result<(&str, &str), Refusal> {
    let its = &shadow.settings;
    its.of
        .as_deref()
        .zip(its.index.as_deref())
        .ok_or_else(|| Refusal::NotFound(format!("the shadow `{}` is none of an index", its.name)))
}

/// What always falls on the same side: the user, as far as the app says who that is.
fn who(core: &Core, shadow: &Shadow, head: &Parts) -> String {
    let request = || format!("request {}", core.new_id());
    if shadow.settings.sticky == super::settings::Sticky::Request {
        return request();
    }
    let mut query = head.uri.query().unwrap_or_default().split('&');
    let asked = query.find_map(|it| it.strip_prefix("user="));
    let asked = asked.map(|it| percent_encoding::percent_decode_str(it).decode_utf8_lossy());
    let named = head.headers.get("x-trunkline-user").and_then(|it| it.to_str().ok());
    let user = asked.map(std::borrow::Cow::into_owned).or_else(|| named.map(str::to_owned));
    user.filter(|it| !it.is_empty()).map_or_else(request, |it| format!("user {it}"))
}

/// Whether anything is left of the candidate's budget.
async fn has_money(core: &Core, shadow: &Shadow, key: &Key) -> bool {
    let mut subject = Subject::default().with(Kind::Endpoint, shadow.endpoint());
    if let Some(organisation) = key.subject.get(Kind::Organisation) {
        subject = subject.with(Kind::Organisation, organisation);
    }
    let now = core.clock.now();
    core.ledger.look_up(&subject, now).await;
    let (money, tokens) = core.ledger.headroom(&subject, now);
    money.is_none_or(|it| it.0 > 0) && tokens.is_none_or(|it| it > 0)
}

fn read(body: &[u8]) -> Result<Vec<Sent>, String> {
    let body: Body =
        serde_json::from_slice(body).map_err(|it| format!("the body is not understood: {it}"))?;
    let pairs = body.pairs;
    if pairs.is_empty() || pairs.len() > PAIRS_AT_MOST {
        return Err(format!("`pairs` has 1 to {PAIRS_AT_MOST} of them, not {}", pairs.len()));
    }
    let mut ids = HashSet::new();
    for (place, pair) in pairs.iter().enumerate() {
        let wrong = |why: &str| format!("pair {}: {why}", place + 1);
        if !ids.insert(pair.id.as_str()) {
            return Err(wrong("its `id` is there twice"));
        }
        for (side, name) in [(&pair.primary, "primary"), (&pair.candidate, "candidate")] {
            check(side).map_err(|why| wrong(&format!("`{name}`: {why}")))?;
        }
    }
    Ok(pairs)
}

fn check(side: &Side) -> Result<(), String> {
    let is_long = |it: &String| it.is_empty() || it.len() > HIT_LETTERS;
    if side.hits.len() > HITS_AT_MOST || side.hits.iter().any(is_long) {
        return Err(format!("`hits` has at most {HITS_AT_MOST} ids of 1 to {HIT_LETTERS} bytes"));
    }
    if side.hits.iter().collect::<HashSet<_>>().len() < side.hits.len() {
        return Err("`hits` has an id twice".to_owned());
    }
    let is_word = |it: &String| {
        (1..=ERROR_LETTERS).contains(&it.len())
            && it.chars().all(|it| it.is_ascii_alphanumeric() || " _-".contains(it))
    };
    match &side.error {
        Some(error) if !is_word(error) => {
            Err(format!("`error` is a word of 1 to {ERROR_LETTERS} letters"))
        }
        Some(_) if !side.hits.is_empty() => Err("it has `hits` and an `error`".to_owned()),
        None if side.units.is_empty() => {
            Err("`units` is missing: what was used, so that both can be priced".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

fn priced(
    core: &Core,
    shadow: &Shadow,
    (place, sent): (usize, Sent),
    at: Timestamp,
) -> Result<Pair, Refusal> {
    let (of, index) = indexes(shadow)?;
    let price = |name: &str, side: &Side| {
        if side.units.is_empty() {
            return Ok(None);
        }
        let wrong = |why: String| Refusal::Unreadable(format!("pair {}: {why}", place + 1));
        let report = Report {
            id: Some(sent.id.clone()),
            name: name.to_owned(),
            usage: usage_of(&side.units).map_err(wrong)?,
            took_ms: side.took_ms,
            ..Report::default()
        };
        let report = report.checked(true).map_err(wrong)?;
        usage::priced(core, report, at).map(Some)
    };
    let primary = price(of, &sent.primary)?;
    let candidate = price(index, &sent.candidate)?;
    Ok(Pair { cost: primary.map_or(UsdNanos(0), |it| it.cost), candidate, sent })
}

fn row(
    shadow: &Shadow,
    (owner, pair, charged): (&str, &Pair, Option<&Charged>),
    at: Timestamp,
) -> PairRow {
    let its = &shadow.settings;
    let (primary, candidate) = (&pair.sent.primary, &pair.sent.candidate);
    let took = |side: &Side| i64::try_from(side.took_ms).unwrap_or(i64::MAX);
    let status = |side: &Side| if side.error.is_none() { 200 } else { 0 };
    let is_compared = primary.error.is_none() && candidate.error.is_none();
    let hits = usize::try_from(its.hits).unwrap_or(HITS_AT_MOST);
    PairRow {
        id: request_id(usage::number(owner, &pair.sent.id)),
        shadow: its.name.clone(),
        at,
        copy: charged.map(|it| it.request.clone()).unwrap_or_default(),
        model: its.of.clone().unwrap_or_default(),
        candidate: its.index.clone().unwrap_or_default(),
        status: status(primary),
        copy_status: status(candidate),
        reason: candidate.error.clone().unwrap_or_default(),
        total_ms: took(primary),
        copy_total_ms: took(candidate),
        first_ms: took(primary),
        copy_first_ms: took(candidate),
        cost: pair.cost,
        copy_cost: charged.map_or(UsdNanos(0), |it| it.cost),
        overlap: is_compared.then(|| overlap(&primary.hits, &candidate.hits, hits)),
        ..PairRow::default()
    }
}

/// Overlap@k: how many of the first `k` hits of both are the same, of `k` or of as many as the longer one has. Two that
/// have found nothing are of one mind.
fn overlap(one: &[String], other: &[String], k: usize) -> f64 {
    let (one, other) = (one.get(..k).unwrap_or(one), other.get(..k).unwrap_or(other));
    let longer = one.len().max(other.len());
    if longer == 0 {
        return 1.0;
    }
    let one: HashSet<_> = one.iter().collect();
    let same = other.iter().filter(|it| one.contains(it)).count();
    #[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
    let share = same as f64 / longer as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hits_of_both_are_compared_and_their_order_does_not_matter() {
        let hits = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let check = |one: &str, other: &str, k: usize, expected: f64| {
            let share = overlap(&hits(one), &hits(other), k);
            assert!((share - expected).abs() < 1e-9, "{one} {other}: {share}");
        };
        check("abcde", "edcba", 5, 1.0);
        check("abcde", "abxyz", 5, 0.4);
        check("abcde", "deabc", 3, 1.0 / 3.0);
        check("ab", "abcd", 10, 0.5);
        check("", "a", 10, 0.0);
        check("", "", 10, 1.0);
    }

    #[test]
    fn what_is_wrong_with_pairs_is_told() {
        let side = r#"{"hits":["a"],"took_ms":3,"units":{"queries":1}}"#;
        let pair = |id: &str, candidate: &str| {
            format!(r#"{{"id":"{id}","primary":{side},"candidate":{candidate}}}"#)
        };
        let wrong = |pairs: &[String]| {
            read(format!(r#"{{"pairs":[{}]}}"#, pairs.join(",")).as_bytes()).unwrap_err()
        };
        assert!(wrong(&[]).contains("1 to 100"));
        assert!(wrong(&[pair("a", side), pair("a", side)]).starts_with("pair 2"));
        assert!(wrong(&[pair("a", r#"{"hits":["a"],"took_ms":3}"#)]).contains("`units`"));
        let both = r#"{"hits":["a"],"error":"timeout","took_ms":3}"#;
        assert!(wrong(&[pair("a", both)]).contains("`candidate`"));
        let twice = r#"{"hits":["a","a"],"took_ms":3,"units":{"queries":1}}"#;
        assert!(wrong(&[pair("a", twice)]).contains("twice"));
        let text = r#"{"error":"what was asked: 'secret'","took_ms":3}"#;
        assert!(wrong(&[pair("a", text)]).contains("a word"));
        let fine = format!(r#"{{"pairs":[{}]}}"#, pair("a", r#"{"error":"timeout","took_ms":3}"#));
        assert_eq!(read(fine.as_bytes()).unwrap().len(), 1);
    }
}
