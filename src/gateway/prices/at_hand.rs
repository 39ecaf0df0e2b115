//! Prices that were just looked up, kept at hand: a long public list is gone through once a minute for a name, and not
//! twice a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{PriceRow, Prices};
use crate::model::Timestamp;

/// How many names are kept. They come from callers and from answers, so there may be any number of them.
const MOST: usize = 1024;
/// Longer names are looked up each time: nobody bounds those that answers have.
const NAME_BYTES_MAX: usize = 512;

/// All prices, and those that were just looked up.
#[derive(Debug)]
pub struct PricesAtHand {
    all: Prices,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    by_provider: HashMap<String, HashMap<String, Price>>,
    len: usize,
}

/// What was found for a name, none too, and in which minute: prices begin and end with one.
#[derive(Debug)]
struct Price {
    minute: i64,
    row: Option<Arc<PriceRow>>,
}

impl PricesAtHand {
    /// Of all prices.
    #[must_use]
    pub fn new(all: Prices) -> Self {
        Self { all, found: Mutex::default() }
    }

    /// The price of a model at a provider at a moment.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at: Timestamp) -> Option<Arc<PriceRow>> {
        let minute = at.0.div_euclid(60_000);
        if let Some(price) = self.found().get(provider, model, minute) {
            return price.row.clone();
        }
        let row = self.all.find(provider, model, at).cloned().map(Arc::new);
        self.found().keep(provider, model, Price { minute, row: row.clone() });
        row
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn get(&self, provider: &str, model: &str, minute: i64) -> Option<&Price> {
        let price = self.by_provider.get(provider)?.get(model)?;
        (price.minute == minute).then_some(price)
    }

    fn keep(&mut self, provider: &str, model: &str, price: Price) {
        if model.len() > NAME_BYTES_MAX {
            return;
        }
        if self.len >= MOST {
            *self = Self::default();
        }
        let of_provider = self.by_provider.entry(provider.to_owned()).or_default();
        if of_provider.insert(model.to_owned(), price).is_none() {
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::prices::read_toml;

    fn prices() -> PricesAtHand {
        let text = "version = 1\ncurrency = \"USD\"\n\
                    [[price]]\nid = \"old\"\nprovider = \"p\"\nmodel = \"m\"\nper_million = { input = 1 }\n\
                    [[price]]\nid = \"new\"\nprovider = \"p\"\nmodel = \"m\"\nfrom = \"2026-06-01\"\n\
                    per_million = { input = 2 }\n";
        PricesAtHand::new(Prices::new(read_toml(text).unwrap().prices))
    }

    /// 2026-06-01, when the new price begins.
    const JUNE: i64 = 1_780_272_000_000;

    #[test]
    fn a_price_that_begins_is_found_at_once_and_the_old_one_for_calls_of_before() {
        let prices = prices();
        let id = |at: i64| prices.find("p", "m", Timestamp(at)).unwrap().id.clone();
        assert_eq!(id(JUNE - 1), "old");
        assert_eq!(id(JUNE), "new");
        assert_eq!(id(JUNE - 1), "old");
    }

    #[test]
    fn what_has_no_price_is_kept_too_and_no_more_than_so_many() {
        let prices = prices();
        for it in 0..3 * MOST {
            assert!(prices.find("p", &format!("made-up-{it}"), Timestamp(JUNE)).is_none());
            assert!(prices.find("q", "m", Timestamp(JUNE)).is_none());
            assert!(prices.find("p", "m", Timestamp(JUNE)).is_some());
        }
        let (long, at) = ("m".repeat(NAME_BYTES_MAX + 1), Timestamp(JUNE));
        assert!(prices.find("p", &long, at).is_none() && prices.find("p", "m", at).is_some());
        let found = prices.found();
        assert!(!found.by_provider["p"].contains_key(&long), "it may be as long as an answer");
        let kept: usize = found.by_provider.values().map(HashMap::len).sum();
        assert_eq!(kept, found.len);
        assert!(kept <= MOST, "{kept}");
        assert!(found.get("q", "m", JUNE / 60_000).is_some());
    }
}
