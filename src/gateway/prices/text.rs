//! Rows of a price file as TOML, in the form that people write them in. Pure.

use std::fmt::Write as _;

use super::PriceRow;
use super::matcher::Matcher;
use super::rate::Rates;

/// What a new file begins with.
pub const HEAD: &str = "version = 1\ncurrency = \"USD\"\n";

/// A row.
#[must_use]
pub fn toml(row: &PriceRow) -> String {
    let mut text = "\n[[price]]\n".to_owned();
    let _ = writeln!(text, "id = {}", quoted(&row.id));
    let _ = writeln!(text, "provider = {}", quoted(&row.provider));
    let _ = writeln!(text, "model = {}", matcher(&row.model));
    if let Some(from) = row.from {
        let _ = writeln!(text, "from = \"{from}\"");
    }
    if let Some((from, to)) = row.hours {
        let _ = writeln!(text, "hours = [\"{from}\", \"{to}\"]");
    }
    if let Some(tokens) = row.max_output {
        let _ = writeln!(text, "max_output = {tokens}");
    }
    push_rates(&mut text, &row.rates);
    for above in &row.above {
        let _ = write!(text, "\n[[price.above]]\ninput_tokens = {}\n", above.input_tokens);
        push_rates(&mut text, &above.rates);
    }
    for (tier, rates) in &row.tier {
        let _ = write!(text, "\n[price.tier.{}]\n", key(tier));
        push_rates(&mut text, rates);
    }
    text
}

fn push_rates(text: &mut String, rates: &Rates) {
    let million = rates.per_million.iter().map(|(class, it)| (word(*class), it.to_string()));
    let thousand = rates.per_thousand.iter().map(|(class, it)| (word(*class), it.to_string()));
    push_table(text, "per_million", &million.collect::<Vec<_>>());
    push_table(text, "per_thousand", &thousand.collect::<Vec<_>>());
}

fn push_table(text: &mut String, name: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    let pairs: Vec<_> = pairs.iter().map(|(class, it)| format!("{class} = \"{it}\"")).collect();
    let _ = writeln!(text, "{name} = {{ {} }}", pairs.join(", "));
}

fn word(class: crate::model::UsageClass) -> String {
    let value = serde_json::to_value(class).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn matcher(of: &Matcher) -> String {
    let list = |several: &[Matcher]| several.iter().map(matcher).collect::<Vec<_>>().join(", ");
    match of {
        Matcher::Glob(name) => quoted(name),
        Matcher::Any(several) => format!("[{}]", list(several)),
        Matcher::All { all } => format!("{{ all = [{}] }}", list(all)),
        Matcher::Regex { regex } => format!("{{ regex = {} }}", quoted(&format!("{regex:?}"))),
    }
}

/// A basic string of TOML has the escapes that JSON has.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn key(name: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}
