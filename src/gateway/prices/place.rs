//! Where in a price file something is wrong: which row, and which amount of it. Pure.

use serde_json::Value;

use super::PriceRow;
use super::rate::Decimal;

/// The first row that cannot be read, and what is wrong with it; nothing, where it is not a row.
pub(super) fn of_mistake(file: &Value) -> Option<String> {
    let rows = file.get("price")?.as_array()?;
    let wrong = |row: &Value| serde_json::from_value::<PriceRow>(row.clone()).err();
    let (place, row, why) =
        rows.iter().enumerate().find_map(|(place, row)| Some((place + 1, row, wrong(row)?)))?;
    let name = ["id", "model"].into_iter().find_map(|it| row.get(it)?.as_str());
    let name = name.map(|it| format!(" (`{it}`)")).unwrap_or_default();
    let (field, why) = match amount(row).or_else(|| length(row)) {
        Some((field, why)) => (format!(", `{field}`"), why),
        None => (String::new(), why.to_string()),
    };
    Some(format!("`[[price]]` {place}{name}{field}: {why}"))
}

/// The most tokens of an answer, where that is no such number.
fn length(row: &Value) -> Option<(String, String)> {
    let tokens = row.get("max_output").filter(|it| it.as_u64().is_none_or(|it| it == 0))?;
    Some(("max_output".to_owned(), format!("`{tokens}` is not a number of tokens from 1 on")))
}

/// The first amount of a row that is none.
fn amount(row: &Value) -> Option<(String, String)> {
    let above = row.get("above").and_then(Value::as_array).into_iter().flatten();
    let above = above.map(|it| ("above.".to_owned(), it));
    let tiers = row.get("tier").and_then(Value::as_object).into_iter().flatten();
    let tiers = tiers.map(|(name, it)| (format!("tier.{name}."), it));
    let mut all = std::iter::once((String::new(), row)).chain(above).chain(tiers);
    all.find_map(|(path, rates)| {
        let wrong = of_table(rates, "per_million", is_wrong::<6>)
            .or_else(|| of_table(rates, "per_thousand", is_wrong::<3>));
        wrong.map(|(field, why)| (format!("{path}{field}"), why))
    })
}

fn of_table(
    rates: &Value,
    table: &str,
    is_wrong: fn(&Value) -> Option<String>,
) -> Option<(String, String)> {
    let amounts = rates.get(table)?.as_object()?;
    amounts.iter().find_map(|(class, it)| Some((format!("{table}.{class}"), is_wrong(it)?)))
}

fn is_wrong<const POWER: u32>(amount: &Value) -> Option<String> {
    let text = match amount {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Some(format!("`{amount}` is not an amount of dollars"));
        }
    };
    text.parse::<Decimal<POWER>>().err()
}
