//! `matrix`: one stage for each combination of values.

use std::collections::BTreeMap;

use super::super::fields::{choice, mapping, wrong_type};
use super::super::scalar::{is_variable, loose_list};
use super::super::trigger::EVENTS;
use crate::pipeline::reading::{Reading, known_words};
use crate::pipeline::yaml::{Entry, Node, Value};

/// Cells of one stage.
pub(crate) const MOST_CELLS: usize = 256;

/// Axes of one matrix, and names in one rule of it.
const MOST_AXES: usize = 32;

/// A matrix.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix {
    /// Axes and their values in the order of the file.
    pub(crate) axes: Vec<(String, Vec<String>)>,
    pub(crate) exclude: Vec<Rule>,
    pub(crate) include: Vec<Rule>,
    /// Whether a part could not be read, so that its names are not all known.
    pub(crate) is_broken: bool,
}

/// Values of axes, and for which events they hold.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// All when empty.
    pub(crate) events: Vec<String>,
    /// In the order of the file.
    pub(crate) values: Vec<(String, String)>,
}

/// One combination: axes in the order of the file, then what `include` added.
pub(crate) type Cell = Vec<(String, String)>;

impl Matrix {
    /// Names that `matrix.…` knows.
    pub(crate) fn names(&self) -> Vec<&str> {
        let axes = self.axes.iter().map(|(name, _)| name.as_str());
        let more =
            self.include.iter().flat_map(|it| it.values.iter().map(|(name, _)| name.as_str()));
        let mut names: Vec<&str> = axes.collect();
        for name in more {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The cells of a run that was started by `event`; the first axis varies slowest.
    pub(crate) fn cells(&self, event: &str) -> Vec<Cell> {
        let mut cells: Vec<Cell> = if self.axes.is_empty() { vec![] } else { vec![Vec::new()] };
        for (name, values) in &self.axes {
            cells = cells
                .iter()
                .flat_map(|cell| values.iter().map(|value| with(cell, name, value)))
                .take(MOST_CELLS + 1)
                .collect();
        }
        let excluded = |cell: &Cell| {
            self.exclude.iter().any(|rule| rule.holds_for(event) && rule.matches(cell))
        };
        cells.retain(|cell| !excluded(cell));
        let originals = cells.len();
        for rule in self.include.iter().filter(|rule| rule.holds_for(event)) {
            self.add(rule, &mut cells, originals);
        }
        cells
    }

    /// GitHub's rule: added to every cell of which it changes no axis, else a cell of its own.
    fn add(&self, rule: &Rule, cells: &mut Vec<Cell>, originals: usize) {
        let is_axis = |name: &str| self.axes.iter().any(|(axis, _)| axis == name);
        let mut was_added = false;
        for cell in cells.iter_mut().take(originals) {
            let fits = rule
                .values
                .iter()
                .filter(|(name, _)| is_axis(name))
                .all(|pair| cell.contains(pair));
            if !fits {
                continue;
            }
            was_added = true;
            for (name, value) in rule.values.iter().filter(|(name, _)| !is_axis(name)) {
                cell.retain(|(other, _)| other != name);
                cell.push((name.clone(), value.clone()));
            }
        }
        if !was_added {
            cells.push(rule.values.clone());
        }
    }
}

impl Rule {
    fn holds_for(&self, event: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|it| it == event)
    }

    fn matches(&self, cell: &Cell) -> bool {
        self.values.iter().all(|pair| cell.contains(pair))
    }
}

fn with(cell: &Cell, name: &str, value: &str) -> Cell {
    let pair = (name.to_owned(), value.to_owned());
    cell.iter().cloned().chain(std::iter::once(pair)).collect()
}

/// Reads `matrix`.
pub(crate) fn read(node: &Node, reading: &Reading) -> Option<Matrix> {
    let entries =
        mapping(node, "`matrix`", "such as `matrix: { python: [\"3.11\", \"3.12\"] }`", reading)?;
    let errors = reading.error_count();
    let mut matrix = Matrix::default();
    if !is_few(entries.len(), MOST_AXES, "axes", node, reading) {
        return Some(Matrix { is_broken: true, ..matrix });
    }
    for entry in entries.iter().filter(|it| it.key != "include" && it.key != "exclude") {
        if let Some(axis) = read_axis(entry, reading) {
            matrix.axes.push(axis);
        }
    }
    for entry in entries {
        match entry.key.as_str() {
            "include" => matrix.include = read_rules(&entry.value, "`include`", reading),
            "exclude" => {
                matrix.exclude = read_rules(&entry.value, "`exclude`", reading);
                check_exclude(&entry.value, &matrix, reading);
            }
            _ => {}
        }
    }
    check_size(&matrix, entries, node, reading);
    matrix.is_broken = reading.error_count() > errors;
    Some(matrix)
}

fn check_size(matrix: &Matrix, entries: &[Entry], node: &Node, reading: &Reading) {
    if entries.is_empty() {
        let message = "the matrix has no axis";
        let help = "such as `matrix: { python: [\"3.11\", \"3.12\"] }`";
        reading.error("pipeline/matrix", node.place, message, help);
    }
    let cells = matrix.axes.iter().map(|(_, values)| values.len());
    let cells = cells.fold(1_usize, usize::saturating_mul).saturating_add(matrix.include.len());
    if cells > MOST_CELLS {
        let message = format!("the matrix has {cells} cells; the limit is {MOST_CELLS}");
        reading.error("pipeline/limit", node.place, message, "remove values, or split the stage");
    }
}

fn is_few(count: usize, most: usize, what: &str, node: &Node, reading: &Reading) -> bool {
    if count > most {
        let message = format!("there are {count} {what}; the limit is {most}");
        reading.error("pipeline/limit", node.place, message, "split the stage");
    }
    count <= most
}

fn read_axis(entry: &Entry, reading: &Reading) -> Option<(String, Vec<String>)> {
    let label = format!("`{}`", entry.key);
    if !matches!(entry.value.value, Value::Sequence(_)) {
        let help = format!("write a list: `{}: [\"1\", \"2\"]`", entry.key);
        wrong_type(&entry.value, &label, "a list of values", reading, &help);
        return None;
    }
    if !is_variable(&entry.key) || entry.key == "on" {
        let message = format!("`{}` cannot be the name of an axis", entry.key);
        let help = "use letters, digits and `_`, so that `matrix.name` can be written";
        reading.error("pipeline/name", entry.key_place, message, help);
        return None;
    }
    let values = loose_list(&entry.value, &label, reading)?;
    if !is_few(values.len(), MOST_CELLS, "values", &entry.value, reading) {
        return None;
    }
    if let Some(twice) = first_twice(&values) {
        let message = format!("{label} has the value `{twice}` twice");
        reading.error(
            "pipeline/duplicate-name",
            entry.value.place,
            message,
            "remove one of the two",
        );
        return None;
    }
    if let Some(long) = values.iter().find(|it| it.is_empty() || it.len() > 200) {
        let message = format!("{label} has a value of {} bytes", long.len());
        reading.error("pipeline/matrix", entry.value.place, message, "use 1 to 200 bytes");
        return None;
    }
    if values.is_empty() {
        let message = format!("{label} has no values");
        reading.error("pipeline/matrix", entry.value.place, message, "add one, or remove the axis");
        return None;
    }
    Some((entry.key.clone(), values))
}

fn first_twice(values: &[String]) -> Option<&str> {
    let mut seen = std::collections::BTreeSet::new();
    values.iter().find(|it| !seen.insert(it.as_str())).map(String::as_str)
}

fn read_rules(node: &Node, label: &str, reading: &Reading) -> Vec<Rule> {
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    };
    if !is_few(items.len(), MOST_CELLS, "rules", node, reading) {
        return Vec::new();
    }
    items.iter().filter_map(|it| read_rule(it, &format!("an item of {label}"), reading)).collect()
}

fn read_rule(node: &Node, label: &str, reading: &Reading) -> Option<Rule> {
    let entries = mapping(node, label, "such as `{ python: \"3.11\" }`", reading)?;
    if !is_few(entries.len(), MOST_AXES, "axes", node, reading) {
        return None;
    }
    let mut rule = Rule { events: Vec::new(), values: Vec::new() };
    for entry in entries {
        if entry.key == "on" {
            rule.events = read_events(&entry.value, reading);
            continue;
        }
        let label = format!("`{}`", entry.key);
        let Some(values) = loose_list(&entry.value, &label, reading) else { continue };
        if let Ok([value]) = <[String; 1]>::try_from(values) {
            rule.values.push((entry.key.clone(), value));
        } else {
            wrong_type(&entry.value, &label, "one value", reading, "write one item for each");
        }
    }
    if !entries.iter().any(|it| it.key != "on") {
        let message = format!("{label} names no axis");
        reading.error("pipeline/matrix", node.place, message, "such as `{ python: \"3.11\" }`");
        return None;
    }
    Some(rule)
}

fn read_events(node: &Node, reading: &Reading) -> Vec<String> {
    let words: BTreeMap<&str, &str> = EVENTS.iter().map(|it| (*it, *it)).collect();
    let words: Vec<(&str, &str)> = words.into_iter().collect();
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar(_) | Value::Mapping(_) => std::slice::from_ref(node),
    };
    let events = items.iter().filter_map(|it| choice(it, "`on`", &words, reading));
    events.map(str::to_owned).collect()
}

fn check_exclude(node: &Node, matrix: &Matrix, reading: &Reading) {
    let entries = match &node.value {
        Value::Sequence(items) => items.iter().collect(),
        Value::Scalar(_) | Value::Mapping(_) => vec![node],
    };
    for item in entries {
        let Value::Mapping(entries) = &item.value else { continue };
        for entry in entries.iter().filter(|it| it.key != "on") {
            check_excluded_value(entry, matrix, reading);
        }
    }
}

fn check_excluded_value(entry: &Entry, matrix: &Matrix, reading: &Reading) {
    let Some((_, values)) = matrix.axes.iter().find(|(name, _)| *name == entry.key) else {
        let known: Vec<&str> = matrix.axes.iter().map(|(name, _)| name.as_str()).collect();
        let message =
            format!("`exclude` names the axis `{}`, which the matrix does not have", entry.key);
        let help = reading.suggest(&entry.key, "axes", &known);
        reading.error("pipeline/unknown-axis", entry.key_place, message, help);
        return;
    };
    let Value::Scalar(scalar) = &entry.value.value else { return };
    if !values.contains(&scalar.text) {
        let known: Vec<&str> = values.iter().map(String::as_str).collect();
        let message = format!("`{}` never has the value `{}`", entry.key, scalar.text);
        reading.error(
            "pipeline/unknown-value",
            entry.value.place,
            message,
            known_words("values", &known),
        );
    }
}
