//! Which calls have a copy: by a hash of who makes them, so that a user is always on the same side. Pure.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Whether a share of so many in a hundred has this one.
pub(super) fn has(shadow: &str, who: &str, percent: f64) -> bool {
    let digest = Sha256::new().chain_update(shadow).chain_update([0]).chain_update(who).finalize();
    let first: [u8; 8] =
        std::array::from_fn(|place| digest.get(place).copied().unwrap_or_default());
    // The upper 53 bits: a number from 0 to 1 that a float has exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let place = (u64::from_be_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64;
    place < percent / 100.0
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    user: Option<String>,
    safety_identifier: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    user_id: Option<String>,
}

/// The user that a request names, in either format.
pub(super) fn user_of(body: &[u8]) -> Option<String> {
    let said: Said = serde_json::from_slice(body).ok()?;
    said.user.or(said.safety_identifier).or_else(|| said.metadata?.user_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_as_many_as_it_says_and_always_the_same() {
        for percent in [0.5, 5.0, 10.0, 50.0] {
            let count = 40_000;
            let chosen =
                (0..count).filter(|it| has("mini", &format!("user-{it}"), percent)).count();
            let chosen = f64::from(u32::try_from(chosen).unwrap());
            let count = f64::from(count);
            let share = percent / 100.0;
            let deviation = (count * share * (1.0 - share)).sqrt();
            // Four standard deviations; it is the same each time, as nothing here is random.
            assert!((chosen - count * share).abs() < 4.0 * deviation, "{percent} %: {chosen}");
        }
        assert!((0..100).all(|it| has("mini", &format!("{it}"), 100.0)));
    }

    #[test]
    fn a_larger_share_has_all_of_a_smaller_one_and_two_shadows_are_independent() {
        let users: Vec<_> = (0..20_000).map(|it| format!("user-{it}")).collect();
        let small: Vec<_> = users.iter().filter(|it| has("a", it, 5.0)).collect();
        assert!(small.iter().all(|it| has("a", it, 10.0)));
        let both = small.iter().filter(|it| has("b", it, 5.0)).count();
        assert!((20..90).contains(&both), "5 % of 5 % of 20,000 are 50: {both}");
    }

    #[test]
    fn the_user_of_a_call_is_where_the_vendors_have_it() {
        let user = |it: &str| user_of(it.as_bytes());
        assert_eq!(user(r#"{"user":"u1","metadata":{"user_id":"u2"}}"#).as_deref(), Some("u1"));
        assert_eq!(user(r#"{"metadata":{"user_id":"u2"}}"#).as_deref(), Some("u2"));
        assert_eq!(user(r#"{"safety_identifier":"u3"}"#).as_deref(), Some("u3"));
        assert_eq!(user(r#"{"metadata":{"a":"b"}}"#), None);
        assert_eq!(user("no JSON"), None);
    }
}
