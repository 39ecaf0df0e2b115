//! What works, and is seldom what was meant: the log says it at the start.

use super::Outside;
use crate::gateway::settings::{CassetteMode, Settings, UnknownPrice};

/// Letters of a key's text that can be guessed.
const GUESSED_LETTERS: usize = 15;

/// All that is to be said of settings.
pub(super) fn of(settings: &Settings, outside: &Outside<'_>) -> Vec<String> {
    let is_forgotten = settings.ledger.is_none() && outside.ledger.is_none();
    let mut all = Vec::new();
    if is_forgotten && !settings.budgets.is_empty() {
        all.push(
            "what is used of budgets is forgotten at each restart, for it is written nowhere; set a file for it above the \
             tables, `ledger = \"ledger.jsonl\"`"
                .to_owned(),
        );
    }
    let has_prices = !settings.prices.is_empty() || settings.public_prices.is_some();
    let refuses = matches!(settings.unknown_price, UnknownPrice::Refuse);
    let calls = settings.cassette_mode != CassetteMode::Replay && !settings.routes.is_empty();
    if calls && refuses && !has_prices {
        all.push(
            "every call is refused (403), for no price is known: name price files in `prices`, a public list in \
             `public_prices`, or say what calls without a price cost, `unknown_price = { assume = … }`"
                .to_owned(),
        );
    }
    all
}

/// What is to be said of the text of a key.
pub(super) fn of_key(name: &str, text: &str) -> Option<String> {
    (text.chars().count() <= GUESSED_LETTERS).then(|| {
        format!(
            "the text of the `[[key]]` `{name}` has fewer than {} letters, and may be guessed; make one with `openssl \
             rand -hex 32`",
            GUESSED_LETTERS + 1
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gateway::ledger::Ledger;
    use crate::gateway::server::set_up::MissingKeys;
    use crate::gateway::settings;
    use crate::model::{Clock, Timestamp};

    #[derive(Debug)]
    struct Then;

    impl Clock for Then {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
    }

    fn told(text: &str, ledger: Option<Arc<Ledger>>) -> String {
        let outside = Outside {
            variables: &|_| None,
            folder: std::path::PathBuf::new(),
            clock: Arc::new(Then),
            store: None,
            missing_keys: MissingKeys::Refuse,
            ledger,
            queue: None,
        };
        of(&settings::read(text).unwrap(), &outside).join("\n")
    }

    #[test]
    fn budgets_that_are_forgotten_at_a_restart_are_told_of() {
        let budget = "[[budget]]\nid = \"day\"\nwindow = \"day\"\nusd = \"1\"\n";
        let said = told(budget, None);
        assert!(said.starts_with("what is used of budgets is forgotten"), "{said}");
        assert!(said.ends_with("`ledger = \"ledger.jsonl\"`"), "{said}");
        assert_eq!(told(&format!("ledger = \"l\"\n{budget}"), None), "");
        let elsewhere = Arc::new(Ledger::new(Vec::new(), false));
        assert_eq!(told(budget, Some(elsewhere)), "");
        assert_eq!(told("", None), "");
    }

    #[test]
    fn a_gateway_without_a_price_is_told_of() {
        let route = "[[route]]\nmodel = \"m\"\nto = [{ provider = \"p\" }]\n";
        let said = told(route, None);
        assert!(said.starts_with("every call is refused (403), for no price is known"), "{said}");
        for more in [
            "prices = [\"p.toml\"]",
            "public_prices = \"p.json\"",
            "unknown_price = { assume = { per_million = { input = 1 } } }",
            "cassettes = \"c\"\ncassette_mode = \"replay\"",
        ] {
            assert_eq!(told(&format!("{more}\n{route}"), None), "", "{more}");
        }
    }

    #[test]
    fn a_key_that_may_be_guessed_is_told_of() {
        let said = of_key("ci", &"k".repeat(15)).unwrap();
        assert!(said.starts_with("the text of the `[[key]]` `ci` has fewer than 16"), "{said}");
        assert!(!said.contains("kkk"), "{said}");
        assert_eq!(of_key("ci", &"k".repeat(16)), None);
    }
}
