//! Takes prices of a list into a file of ours. Rows are only added, each from a day on: what was charged before
//! stays what it was. Pure.

use std::collections::HashSet;

use super::import::Listed;
use super::matcher::Matcher;
use super::rate::Date;
use super::{PriceRow, Prices};
use crate::model::Timestamp;

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
    let prices = Prices::new(present.to_vec());
    let mut seen = HashSet::new();
    for Listed { source, row, is_plain } in listed {
        // Else the two would take turns, a row at each import.
        if is_plain && !seen.insert(row.id.clone()) {
            merged.kept.push((source, "the list has it twice".to_owned()));
            continue;
        }
        let verdict = match plain(&row.model).filter(|_| is_plain) {
            Some(name) => of_model((present, &prices), (name, &row), from),
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

fn of_model(
    (present, prices): (&[PriceRow], &Prices),
    (name, row): (&str, &PriceRow),
    from: Date,
) -> Verdict {
    let at = from.start();
    let rows = present.iter().filter(|it| it.provider == row.provider);
    let Some(first) = rows.clone().find(|it| it.model.matches(name)) else {
        let new = PriceRow { from: row.from.or(Some(from)), ..row.clone() };
        return Verdict::Add(Box::new(new), false);
    };
    let own: Vec<_> = rows.filter(|it| it.id == first.id).collect();
    if own.iter().any(|it| it.hours.is_some()) {
        return Verdict::Keep(format!("`{}` of the file has a price by the hour", first.id));
    }
    let current = prices.find(&row.provider, name, at);
    if current.is_some_and(|it| is_same_price(it, row)) {
        return Verdict::Same;
    }
    if own.iter().any(|it| it.model != row.model) {
        let why = format!("`{}` of the file is for several models, this one among them", first.id);
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
        Some(day) if !has_begun_before => {
            Verdict::Add(Box::new(PriceRow { from: Some(day), ..row.clone() }), true)
        }
        _ => next((&own, from), row),
    }
}

/// A row that holds from a day on, after all of its kind.
fn next((own, from): (&[&PriceRow], Date), row: &PriceRow) -> Verdict {
    if let Some(later) = own.iter().filter_map(|it| it.from).find(|it| *it >= from) {
        let why = format!("the file has another price of it from {later} on");
        return Verdict::Keep(why);
    }
    Verdict::Add(Box::new(PriceRow { from: Some(from), ..row.clone() }), true)
}

fn is_same_price(one: &PriceRow, other: &PriceRow) -> bool {
    (&one.rates, &one.above, &one.tier) == (&other.rates, &other.above, &other.tier)
}

/// Something that is odd about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Id of the row.
    pub id: String,
    /// What is odd.
    pub what: String,
}

/// What is odd about the rows of a file: what can never be found, or says something twice.
#[must_use]
pub fn oddities(rows: &[PriceRow]) -> Vec<Oddity> {
    let mut found = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let before = rows.get(..place).unwrap_or_default();
        let mut say = |what: String| found.push(Oddity { id: row.id.clone(), what });
        let mut own = before.iter().filter(|it| it.provider == row.provider && it.id == row.id);
        if let Some(twin) = own.clone().find(|it| it.from == row.from && it.hours == row.hours) {
            let day =
                twin.from.map_or_else(|| "without a day".to_owned(), |it| format!("from {it} on"));
            say(format!("it is there twice {day}: the later row counts"));
        } else if own.any(|it| it.from > row.from && row.hours.is_none() && it.hours.is_none()) {
            say("it stands after a row of a later day, and hides that one".to_owned());
        }
        let hides = |it: &&PriceRow| it.provider == row.provider && it.id != row.id;
        if let Some(name) = plain(&row.model)
            && let Some(other) = before.iter().filter(hides).find(|it| it.model.matches(name))
        {
            say(format!(
                "`{}` before it is for `{name}` too, so this row is never taken",
                other.id
            ));
        }
        let rates = row.rates.per_million.values().map(|it| it.0.0);
        let mut all = rates.chain(row.rates.per_thousand.values().map(|it| it.0.0));
        if all.all(|it| it == 0) {
            say("it costs nothing".to_owned());
        }
    }
    found
}

/// The name, where a pattern is for one.
fn plain(model: &Matcher) -> Option<&str> {
    match model {
        Matcher::Glob(name) if !name.contains('*') => Some(name),
        Matcher::Glob(_) | Matcher::Any(_) | Matcher::All { .. } | Matcher::Regex { .. } => None,
    }
}

/// The rows that are for a model: which one holds at a moment, and those of its id before and after.
#[must_use]
pub fn history<'a>(
    rows: &'a [PriceRow],
    (provider, model): (&str, &str),
    at: Timestamp,
) -> Vec<(&'a PriceRow, bool)> {
    let prices = Prices::new(rows.to_vec());
    let own = rows.iter().filter(|it| it.provider == provider);
    let Some(first) = own.clone().find(|it| it.model.matches(model)) else { return Vec::new() };
    let holds = prices.find(provider, model, at);
    let of_id = own.filter(|it| it.id == first.id && it.model.matches(model));
    of_id.map(|it| (it, holds.is_some_and(|holds| holds == it))).collect()
}

#[cfg(test)]
mod tests;
