//! Why a call was not found: the recorded call that is nearest to it, and the difference. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::entry::{Call, Entry};

/// Differences that are shown.
const SHOWN: usize = 5;
/// Letters of a value that are shown.
const LETTERS: usize = 80;
/// Entries whose texts are compared letter by letter: those that a count of their letters finds nearest.
const COMPARED: usize = 32;
/// Bytes of two texts that are counted, from where they part on.
const COUNTED_BYTES: usize = 4096;
/// Bytes of two texts that are compared.
const COMPARED_BYTES: usize = 256;
/// Two texts that have nothing in common are so far from each other.
const WHOLE: u64 = 1_000_000_000;
/// How far two calls are from each other of which one has a place more.
const MISSING: u64 = 2 * WHOLE;
/// The least distance at a place that differs.
const CHANGED: u64 = WHOLE / 10;

/// What is missing, for people. Nothing of the call is shown that recordings do not show: `call` is redacted.
pub fn describe(call: &Call, entries: &[Arc<Entry>], file: &str) -> String {
    let wanted = parts(&call.body);
    let Some(entry) = nearest(call, &wanted, entries) else {
        return format!(
            "this call was not recorded in `{file}`, nor was any other of `{}`; record it with \
             the cassette mode `record`",
            call.path
        );
    };
    let differences = differences(&wanted, &parts(&entry.request));
    if differences.is_empty() && entry.headers == call.headers {
        return without_difference(call, entry, file);
    }
    let mut text = format!("this call was not recorded in `{file}`; the nearest one differs in");
    let headers = (entry.headers != call.headers)
        .then(|| format!("\n  headers: recorded {:?}, now {:?}", entry.headers, call.headers));
    text.push_str(&headers.unwrap_or_default());
    for (path, recorded, now) in differences.iter().take(SHOWN) {
        let (recorded, now) = (show(recorded.as_deref()), show(now.as_deref()));
        text.push_str(&format!("\n  {path}: recorded {recorded}, now {now}"));
    }
    if differences.len() > SHOWN {
        text.push_str(&format!("\n  and {} more places", differences.len() - SHOWN));
    }
    text
}

/// Of an entry that looks like the call, and has another key.
fn without_difference(call: &Call, entry: &Entry, file: &str) -> String {
    let key = &entry.key;
    match entry.key_of_request() {
        Some(of_request) if of_request == call.key => format!(
            "this call was not recorded in `{file}`: the entry with the key `{key}` has this request, but was \
             recorded for another one and changed by hand; calls are found by `key`, so delete its line and \
             record the call anew, or set its `key` to `{of_request}`"
        ),
        Some(_) | None => format!(
            "this call was not recorded in `{file}`: the entry with the key `{key}` differs from it only in what \
             is taken out of recordings, such as a secret or an e-mail address; send the same as then, or record \
             the call anew"
        ),
    }
}

/// How far two texts are from each other.
type Unlike = fn(&str, &str) -> u64;

/// The entry of the same path that is nearest. Texts are compared where that may decide.
fn nearest<'a>(
    call: &Call,
    wanted: &BTreeMap<String, String>,
    entries: &'a [Arc<Entry>],
) -> Option<&'a Entry> {
    let same_path = entries.iter().map(|it| &**it).filter(|it| it.path == call.path);
    let roughly = same_path.map(|it| (far((call, wanted), it, unlike_by_count), it));
    let mut roughly: Vec<_> = roughly.collect();
    roughly.sort_by_key(|it| it.0);
    let compared = roughly.into_iter().take(COMPARED).map(|it| it.1);
    compared.min_by_key(|it| far((call, wanted), it, unlike_by_letters))
}

fn far((call, wanted): (&Call, &BTreeMap<String, String>), entry: &Entry, unlike: Unlike) -> u64 {
    let headers = if entry.headers == call.headers { 0 } else { CHANGED };
    distance(wanted, &parts(&entry.request), unlike).saturating_add(headers)
}

fn distance(
    now: &BTreeMap<String, String>,
    then: &BTreeMap<String, String>,
    unlike: Unlike,
) -> u64 {
    let of_now = now.iter().map(|(place, now)| match then.get(place) {
        Some(then) if then == now => 0,
        Some(then) => CHANGED + unlike(now, then) / 10 * 9,
        None => MISSING,
    });
    let only_then = then.keys().filter(|it| !now.contains_key(*it)).map(|_| MISSING);
    of_now.chain(only_then).sum()
}

/// How far two texts are from each other: by how many bytes of each value they differ. Never more than what a
/// comparison of their letters finds.
fn unlike_by_count(one: &str, other: &str) -> u64 {
    unlike(one, other, COUNTED_BYTES, |one, other| {
        let mut counts = [0_i64; 256];
        let mut count = |bytes: &[u8], by: i64| {
            for byte in bytes {
                if let Some(it) = counts.get_mut(usize::from(*byte)) {
                    *it += by;
                }
            }
        };
        count(one, 1);
        count(other, -1);
        let more: i64 = counts.iter().filter(|it| **it > 0).sum();
        let less: i64 = counts.iter().filter(|it| **it < 0).sum();
        usize::try_from(more.max(-less)).unwrap_or(usize::MAX)
    })
}

/// The same by the changes that make one of the other.
fn unlike_by_letters(one: &str, other: &str) -> u64 {
    unlike(one, other, COMPARED_BYTES, |one, other| {
        strsim::generic_levenshtein(&one.to_vec(), &other.to_vec())
    })
}

/// What `edits` says of the first bytes between the beginning and the end that two texts share, as a part of the whole.
fn unlike(one: &str, other: &str, bytes: usize, edits: impl FnOnce(&[u8], &[u8]) -> usize) -> u64 {
    let all = one.len().max(other.len()).max(1);
    let (one, other) = between(one.as_bytes(), other.as_bytes());
    let unshared = one.len().max(other.len());
    let looked_at = unshared.min(bytes).max(1);
    let first = |it: &[u8]| it.iter().copied().take(bytes).collect::<Vec<_>>();
    let edits = edits(&first(one), &first(other));
    // Where they were cut, the rest is taken to be alike or unlike as the first part.
    let edits = edits.saturating_mul(unshared) / looked_at;
    let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
    (number(edits).saturating_mul(WHOLE) / number(all)).min(WHOLE)
}

/// Two texts without the beginning and the end that they share.
fn between<'a>(one: &'a [u8], other: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let start = one.iter().zip(other).take_while(|it| it.0 == it.1).count();
    let rest = |it: &'a [u8]| it.get(start..).unwrap_or_default();
    let (one, other) = (rest(one), rest(other));
    let end = one.iter().rev().zip(other.iter().rev()).take_while(|it| it.0 == it.1).count();
    let rest = |it: &'a [u8]| it.get(..it.len().saturating_sub(end)).unwrap_or_default();
    (rest(one), rest(other))
}

/// A place, what was recorded there, and what is there now.
type Difference = (String, Option<String>, Option<String>);

fn differences(now: &BTreeMap<String, String>, then: &BTreeMap<String, String>) -> Vec<Difference> {
    let mut places: Vec<_> = now.keys().chain(then.keys()).collect();
    places.sort_unstable();
    places.dedup();
    let changed = places.into_iter().filter(|it| now.get(*it) != then.get(*it));
    changed.map(|it| (it.clone(), then.get(it).cloned(), now.get(it).cloned())).collect()
}

/// Every leaf of a value with its place, such as `messages[0].content`.
fn parts(value: &Value) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    walk(value, String::new(), &mut leaves);
    leaves
}

fn walk(value: &Value, place: String, leaves: &mut BTreeMap<String, String>) {
    if let Some(members) = value.as_object().filter(|it| !it.is_empty()) {
        for (name, item) in members {
            let dot = if place.is_empty() { "" } else { "." };
            walk(item, format!("{place}{dot}{name}"), leaves);
        }
    } else if let Some(items) = value.as_array().filter(|it| !it.is_empty()) {
        for (index, item) in items.iter().enumerate() {
            walk(item, format!("{place}[{index}]"), leaves);
        }
    } else {
        leaves.insert(place, super::canonical::text(value));
    }
}

/// A value, not all of a long text.
fn show(value: Option<&str>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(text) if text.chars().count() > LETTERS => {
            format!("{}…", text.chars().take(LETTERS).collect::<String>())
        }
        Some(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::cassette::entry::{Content, Response};

    fn call(text: &str) -> Call {
        let body = format!("{{\"model\":\"m\",\"text\":\"{text}\"}}");
        Call::new("/v1/messages", std::iter::empty(), body.as_bytes())
    }

    fn recorded(call: &Call) -> Arc<Entry> {
        let content = Content::Text("x".to_owned());
        Arc::new(call.entry(1, Response { status: 200, headers: BTreeMap::new(), content }))
    }

    fn nearest_text(now: &str, recorded_texts: &[String]) -> String {
        let entries: Vec<_> = recorded_texts.iter().map(|it| recorded(&call(it))).collect();
        let now = call(now);
        let found = nearest(&now, &parts(&now.body), &entries).unwrap();
        found.request["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_nearest_call_is_the_one_whose_texts_are_most_alike() {
        let texts = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let few = texts(&["one me@example.org", "three", "two", "four"]);
        assert_eq!(nearest_text("tow", &few), "two");
        assert_eq!(nearest_text("thre", &few), "three");
        // As many letters of each kind, in another order.
        assert_eq!(nearest_text("dear abc", &texts(&["cab read", "dear abd"])), "dear abd");
        // Long texts that part far behind what is compared.
        let long =
            |end: &str| format!("{}{end}{}", "a long prompt ".repeat(900), " and more".repeat(900));
        let many: Vec<_> = (0..200).map(|it| long(&format!("question {it}"))).collect();
        assert_eq!(nearest_text(&long("qestion 137"), &many), long("question 137"));
    }

    #[test]
    fn a_place_more_is_further_than_a_text_that_is_another() {
        let mut more = call("abc");
        more.body["tools"] = Value::from("x");
        let entries = [recorded(&more), recorded(&call("xyz"))];
        let now = call("abc");
        let found = nearest(&now, &parts(&now.body), &entries).unwrap();
        assert_eq!(found.request["text"], "xyz");
    }
}
