//! Why a call was not found: the recorded call that is nearest to it, and the difference. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entry::{Call, Entry};

/// Differences that are shown.
const SHOWN: usize = 5;
/// Letters of a value that are shown.
const LETTERS: usize = 80;

/// What is missing, for people.
pub fn describe<'a>(call: &Call, entries: impl Iterator<Item = &'a Entry>, file: &str) -> String {
    let wanted = parts(&call.body);
    let same_path = entries.filter(|it| it.path == call.path);
    let with_differences = same_path.map(|it| (differences(&wanted, &parts(&it.request)), it));
    let Some((differences, entry)) = with_differences.min_by_key(|it| weight(&it.0)) else {
        return format!(
            "this call was not recorded in `{file}`, nor was any other of `{}`; record it with \
             the cassette mode `record`",
            call.path
        );
    };
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

/// A place, what was recorded there, and what is there now.
type Difference = (String, Option<String>, Option<String>);

/// A place that is there in both is half a difference: the calls have the same shape.
fn weight(differences: &[Difference]) -> usize {
    differences.iter().map(|it| if it.1.is_some() && it.2.is_some() { 1 } else { 2 }).sum()
}

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
