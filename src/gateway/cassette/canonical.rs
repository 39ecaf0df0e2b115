//! One form for all texts of one JSON value, and the key that is made of it. Pure.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Sorted members, no spaces, and numbers in one way: `1.0` and `1e0` are `1`.
#[must_use]
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => {
            let _ = write!(out, "{value}");
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && is_whole(float) => {
                let _ = write!(out, "{float:.0}");
            }
            _ => {
                let _ = write!(out, "{number}");
            }
        },
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|it| it.0);
            out.push('{');
            for (index, (name, item)) in members.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                write(item, out);
            }
            out.push('}');
        }
    }
}

/// Whether a float is an integer that it can tell from its neighbours.
fn is_whole(float: f64) -> bool {
    float.fract() == 0.0 && float.abs() < 9e15
}

/// The key of a call.
#[must_use]
pub fn key(method: &str, path: &str, headers: &[(String, String)], body: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{method} {path}\n"));
    for (name, value) in headers {
        hash.update(format!("{name}: {value}\n"));
    }
    hash.update(text(body));
    let digest: [u8; 32] = hash.finalize().into();
    crate::gateway::keys::hex(&digest).chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_spaces_and_ways_to_write_numbers_do_not_matter() {
        let of = |it: &str| text(&serde_json::from_str(it).unwrap());
        assert_eq!(of(r#"{"b": [1.0, 2, 0.50], "a": "é\u0041"}"#), r#"{"a":"éA","b":[1,2,0.5]}"#);
        assert_eq!(of("1e2"), of("100"));
        assert_eq!(of("-0.0"), "-0");
        assert_ne!(of("1e300"), of("1e299"));
    }
}
