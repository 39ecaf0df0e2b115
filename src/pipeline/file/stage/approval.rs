//! `approval`: people decide.

use std::collections::BTreeSet;

use super::super::fields::{Fields, Read, choice, items};
use super::super::measure::Positive;
use super::super::scalar::{Plain, whole};
use crate::model::Milliseconds;
use crate::pipeline::plan::Approval;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::Node;

pub(crate) const KEYS: &[&str] = &["by", "count", "not_author", "timeout", "on_timeout"];

/// An approval waits this long unless it says otherwise.
const TIMEOUT: Milliseconds = Milliseconds::from_seconds(7 * 86_400);

impl Read for Approval {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let fields = Fields::of(node, label, KEYS, reading)?;
        let count = fields.find("count").and_then(|it| whole(it, "`count`", 1..=100, reading));
        let words = [("reject", false), ("approve", true)];
        let on_timeout = fields.find("on_timeout");
        let approves = on_timeout.and_then(|it| choice(it, "`on_timeout`", &words, reading));
        let by = fields.find("by").map_or_else(Vec::new, |it| read_people(it, reading));
        let count = count.and_then(|it| u32::try_from(it).ok()).unwrap_or(1);
        check_count(&fields, count, &by, reading);
        Some(Self {
            by,
            count,
            not_author: fields.read_or("not_author", false),
            timeout: fields.read::<Positive>("timeout").map_or(TIMEOUT, |it| it.0),
            approve_on_timeout: approves.unwrap_or(false),
        })
    }
}

/// Reads `by`: logins and teams, each once.
fn read_people(node: &Node, reading: &Reading) -> Vec<String> {
    if items(node).is_empty() {
        let message = "`by` is an empty list, and does not say who may approve";
        let help =
            "name people or teams, such as `by: [ada, team/release]`; without `by` anybody may";
        reading.error("pipeline/empty-list", node.place, message, help);
    }
    let mut found = Vec::new();
    for item in items(node) {
        let Some(Plain(name)) = Plain::read(item, "an item of `by`", reading) else { continue };
        if !is_person_or_team(&name) {
            let message = format!("`{name}` is neither a login nor a team");
            let help = "write a login such as `ada`, or a team such as `team/release`";
            reading.error("pipeline/approval", item.place, message, help);
        } else if found.contains(&name) {
            let message = format!("`by` names `{name}` twice, and each person counts once");
            reading.error("pipeline/approval", item.place, message, "remove one of the two");
        }
        found.push(name);
    }
    found
}

fn is_person_or_team(name: &str) -> bool {
    let name = name.strip_prefix("team/").unwrap_or(name);
    !name.is_empty() && !name.chars().any(|it| it.is_whitespace() || it.is_control() || it == '/')
}

/// How many members a team has is not known here.
fn check_count(fields: &Fields<'_>, count: u32, by: &[String], reading: &Reading) {
    let people: BTreeSet<&String> = by.iter().collect();
    let has_team = by.iter().any(|it| it.starts_with("team/"));
    let Some(node) = fields.find("count") else { return };
    if by.is_empty() || has_team || people.len() >= count as usize {
        return;
    }
    let noun = if people.len() == 1 { "person" } else { "people" };
    let message =
        format!("`count` wants {count} approvals, but only {} {noun} may approve", people.len());
    let help = format!("write `count: {}`, or name more people in `by`", people.len());
    reading.error("pipeline/approval", node.place, message, help);
}
