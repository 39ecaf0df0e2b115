//! Reads `labels`: what the worker must have that a stage runs on.

use std::collections::BTreeMap;

use super::super::fields::mapping;
use super::super::occurrence::{self, Use};
use super::super::scalar::Loose;
use crate::pipeline::Template;
use crate::pipeline::file::fields::Read as _;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::Node;

/// Labels of one stage.
const MOST_LABELS: usize = 16;

pub(super) fn read(node: &Node, reading: &Reading) -> Option<BTreeMap<String, Template>> {
    let entries = mapping(node, "`labels`", "such as `labels: { gpu: true }`", reading)?;
    if entries.len() > MOST_LABELS {
        let message = format!("there are {} labels; the limit is {MOST_LABELS}", entries.len());
        reading.error("pipeline/limit", node.place, message, "put some of them into one");
    }
    let mut labels = BTreeMap::new();
    for entry in entries {
        if !is_label(&entry.key) {
            let message = format!("`{}` cannot be the name of a label", entry.key);
            let help = "use 1 to 63 letters, digits, `_`, `-`, `.` and `/`";
            reading.error("pipeline/label", entry.key_place, message, help);
            continue;
        }
        let value = Loose::read(&entry.value, &format!("label `{}`", entry.key), reading);
        let value =
            value.and_then(|it| occurrence::template(&it.0, Use::Early, &entry.value, reading));
        labels.extend(value.map(|it| (entry.key.clone(), it)));
    }
    Some(labels)
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
}
