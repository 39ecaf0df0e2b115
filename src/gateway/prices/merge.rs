//! Takes prices of a list into a file of ours. Rows are only added, each from a day on: what was charged before
//! stays what it was. Pure.

use std::collections::HashSet;

use super::import::Listed;
use super::matcher::{Matcher, glob};
use super::rate::Date;
use super::{PriceRow, TIERS, lookup};
use crate::model::{Timestamp, UsageClass};

/// What is said of a price of prompts alone, as those of embeddings are.
const WITHOUT_OUTPUT: &str =
    "it has no price of `output`: calls with an answer are refused, embeddings are not";

/// What is done with a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// Rows to add, in order.
    pub added: Vec<Added>,
    /// Prices that are in the file already, and the same.
    pub unchanged: usize,
    /// Prices that were not taken, and why.
    pub kept: Vec<(String, String)>,
}

/// A row to add.
#[derive(Debug, Clone, PartialEq)]
pub struct Added {
    /// The row.
    pub row: PriceRow,
    /// Whether the file had a price of it before.
    pub is_change: bool,
}

/// Compares a list with what is there. New prices hold from `from` on, those with days of their own from those on.
#[must_use]
pub fn merge(present: &[PriceRow], listed: Vec<Listed>, from: Date) -> Merged {
    let mut merged = Merged::default();
    let mut seen = HashSet::new();
    for Listed { source, row, is_plain } in listed {
        // Else the two would take turns, a row at each import.
        if is_plain && !seen.insert(row.id.clone()) {
            merged.kept.push((source, "the list has it twice".to_owned()));
            continue;
        }
        let verdict = match plain(&row.model).filter(|_| is_plain) {
            Some(name) => of_model(present, (name, &row), from),
            None => of_pattern(present, &row, from),
        };
        let is_twice = |it: &Added| {
            let place = |it: &PriceRow| (it.id.clone(), it.provider.clone(), it.hours);
            let from = if is_plain { Some(from) } else { row.from };
            place(&it.row) == place(&row) && it.row.from == from
        };
        match verdict {
            Verdict::Same => merged.unchanged += 1,
            Verdict::Keep(why) => merged.kept.push((source, why)),
            Verdict::Add(..) if merged.added.iter().any(is_twice) => {
                merged.kept.push((source, "the list has it twice".to_owned()));
            }
            Verdict::Add(added, is_change) => merged.added.push(Added { row: *added, is_change }),
        }
    }
    merged
}

enum Verdict {
    Same,
    Keep(String),
    Add(Box<PriceRow>, bool),
}

fn of_model(present: &[PriceRow], (name, row): (&str, &PriceRow), from: Date) -> Verdict {
    let rows = present.iter().filter(|it| it.provider == row.provider);
    let mut own: Vec<_> = rows.clone().filter(|it| it.model.names(name)).collect();
    if own.is_empty()
        && let Some(first) = rows.clone().find(|it| it.model.matches(name))
    {
        own = rows.clone().filter(|it| it.model == first.model).collect();
    }
    let Some(first) = own.first() else {
        let new = PriceRow { from: row.from.or(Some(from)), ..row.clone() };
        return Verdict::Add(Box::new(new), false);
    };
    if own.iter().any(|it| it.hours.is_some()) {
        return Verdict::Keep(format!("`{}` of the file has a price by the hour", first.id));
    }
    let current = lookup::find(rows, name, from.start());
    if current.is_some_and(|it| is_same_price(it, row)) {
        return Verdict::Same;
    }
    if let Some(other) = own.iter().find(|it| it.model != row.model) {
        let why = format!("`{}` of the file is for several models, this one among them", other.id);
        return Verdict::Keep(why);
    }
    next((&own, from), &PriceRow { id: first.id.clone(), ..row.clone() })
}

/// Of a row for many models there is the same one, by its id, or none.
fn of_pattern(present: &[PriceRow], row: &PriceRow, from: Date) -> Verdict {
    let rows = present.iter().filter(|it| it.provider == row.provider && it.id == row.id);
    let own: Vec<_> = rows.collect();
    if own.is_empty() {
        return Verdict::Add(Box::new(row.clone()), false);
    }
    let is_there =
        |it: &&PriceRow| it.from == row.from && it.hours == row.hours && is_same_price(it, row);
    if own.iter().any(is_there) {
        return Verdict::Same;
    }
    if row.hours.is_some() || own.iter().any(|it| it.hours.is_some()) {
        return Verdict::Keep("its price is by the hour, and not that of the file".to_owned());
    }
    let latest = own.iter().rev().find(|it| it.from.is_none_or(|it| it <= from));
    if latest.is_some_and(|it| is_same_price(it, row)) {
        return Verdict::Same;
    }
    // What the list says of the past is not written into it.
    let begins = row.from.filter(|it| own.iter().all(|own| own.from.is_none_or(|own| own < *it)));
    let has_begun_before = row.from.is_some_and(|it| it < from);
    match begins {
        Some(day) if !has_begun_before => Verdict::Add(Box::new(behind(&own, row, day)), true),
        _ => next((&own, from), row),
    }
}

/// A row that holds from a day on, after all of its kind.
fn next((own, from): (&[&PriceRow], Date), row: &PriceRow) -> Verdict {
    if let Some(later) = own.iter().filter_map(|it| it.from).find(|it| *it >= from) {
        let why = format!("the file has another price of it from {later} on");
        return Verdict::Keep(why);
    }
    Verdict::Add(Box::new(behind(own, row, from)), true)
}

/// A row that follows others: how long answers get is as they say, where the list does not know it.
fn behind(own: &[&PriceRow], row: &PriceRow, from: Date) -> PriceRow {
    let before = own.iter().max_by_key(|it| it.from).and_then(|it| it.max_output);
    PriceRow { from: Some(from), max_output: row.max_output.or(before), ..row.clone() }
}

/// Whether a row of a list says nothing new. A list that does not know how long answers get takes nothing back.
fn is_same_price(one: &PriceRow, other: &PriceRow) -> bool {
    let is_as_long = other.max_output.is_none() || one.max_output == other.max_output;
    is_as_long && (&one.rates, &one.above, &one.tier) == (&other.rates, &other.above, &other.tier)
}

/// Something that is odd about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Id of the row.
    pub id: String,
    /// What is odd.
    pub what: String,
    /// Whether it may be so on purpose, which nobody can see from the file.
    pub may_be_meant: bool,
}

/// What is odd about the rows of a file: what can never be found, says something twice, or has no price of answers.
#[must_use]
pub fn oddities(rows: &[PriceRow]) -> Vec<Oddity> {
    let mut found = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let odd = |what| Oddity { id: row.id.clone(), what, may_be_meant: false };
        let mut say = |what: String| found.push(odd(what));
        let before = rows.get(..place).unwrap_or_default();
        let before = before.iter().filter(|it| it.provider == row.provider);
        if let Some(twin) = before.clone().find(|it| is_twin(it, row)) {
            let day =
                row.from.map_or_else(|| "without a day".to_owned(), |it| format!("from {it} on"));
            let of = if twin.id == row.id {
                String::new()
            } else {
                format!(", the other time as `{}`", twin.id)
            };
            say(format!("it is there twice {day}{of}: the later row counts"));
        }
        if let Some(other) = before.clone().find(|it| hides(it, row)) {
            let (other, model) = (&other.id, &row.model);
            say(format!("`{other}` before it is for `{model}` too, so this row is never taken"));
        }
        for tier in row.tier.keys().filter(|it| !TIERS.contains(&it.as_str())) {
            let known = TIERS.join("`, `");
            say(format!("no call is known to have its tier `{tier}`; known are `{known}`"));
        }
        let rates = row.rates.per_million.values().map(|it| it.0.0);
        let mut all = rates.chain(row.rates.per_thousand.values().map(|it| it.0.0));
        if all.all(|it| it == 0) {
            say("it costs nothing".to_owned());
        }
        if row.has_rate(UsageClass::Input) && !row.covers_output() {
            found.push(Oddity { may_be_meant: true, ..odd(WITHOUT_OUTPUT.to_owned()) });
        }
    }
    found
}

/// Whether two rows are for the same name or pattern from the same day on.
fn is_twin(one: &PriceRow, other: &PriceRow) -> bool {
    let is_same_time = one.from == other.from && one.hours == other.hours;
    let has_name = || other.model.in_full().into_iter().any(|it| one.model.names(it));
    is_same_time && (one.model == other.model || has_name())
}

/// Whether all that one row is for is taken by another before it, always.
fn hides(first: &PriceRow, row: &PriceRow) -> bool {
    let is_there_before = first.hours.is_none() && first.from <= row.from;
    match (&first.model, &row.model) {
        // A star is only found by a star, so what matches the pattern as a text matches all that it does.
        (Matcher::Glob(first), Matcher::Glob(own)) if first != own && own.contains('*') => {
            is_there_before && glob(first.as_bytes(), own.as_bytes())
        }
        _ => false,
    }
}

/// The name, where a pattern is for one.
fn plain(model: &Matcher) -> Option<&str> {
    match model {
        Matcher::Glob(name) if !name.contains('*') => Some(name),
        Matcher::Glob(_) | Matcher::Any(_) | Matcher::All { .. } | Matcher::Regex { .. } => None,
    }
}

/// The rows that are for a model, and which one holds at a moment.
#[must_use]
pub fn history<'a>(
    rows: &'a [PriceRow],
    (provider, model): (&str, &str),
    at: Timestamp,
) -> Vec<(&'a PriceRow, bool)> {
    let own = rows.iter().filter(|it| it.provider == provider);
    let holds = lookup::find(own.clone(), model, at);
    let own = own.filter(|it| it.model.matches(model));
    own.map(|it| (it, holds.is_some_and(|holds| std::ptr::eq(holds, it)))).collect()
}

#[cfg(test)]
mod tests;
