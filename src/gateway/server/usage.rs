//! What apps use that is not called through the gateway, such as queries of a vector index: they report it, it is priced
//! like calls, and counts in every budget. What is reported is spent already, so it is charged whether it fits or not.

pub mod settings;
pub mod report;
pub mod header;
pub mod doors;
pub mod retries;
mod price;
mod charge;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{Timestamp, UsdNanos};
use crate::store::spend::requests::usage::FirstTry;
pub(in crate::gateway) use charge::{Charged, Origin, charge, number};
pub(in crate::gateway) use price::{Priced, priced};
use settings::IndexSettings;

/// Ids of reports that a gateway without a store remembers.
const REMEMBERED: usize = 65_536;

/// The side of a gateway that takes reports.
#[derive(Debug, Default)]
pub struct Usage {
    /// Who serves the indexes that reports name.
    indexes: Vec<IndexSettings>,
    /// What was charged, where no store knows it.
    seen: Mutex<Seen>,
    purged: Mutex<Option<Timestamp>>,
}

/// What was charged, by whose id it is and the id.
#[derive(Debug, Default)]
struct Seen {
    all: HashMap<(String, String), (String, UsdNanos)>,
    order: VecDeque<(String, String)>,
    /// First tries of requests, by whose they are and what they are.
    tries: HashMap<(String, String), FirstTry>,
    tries_order: VecDeque<(String, String)>,
}

impl Usage {
    /// Of settings.
    #[must_use]
    pub fn new(indexes: Vec<IndexSettings>) -> Self {
        Self { indexes, ..Self::default() }
    }

    /// The provider of an index by the file.
    fn provider(&self, name: &str) -> Option<&str> {
        let index = self.indexes.iter().find(|it| it.name.matches(name))?;
        Some(&index.provider)
    }
}

impl Seen {
    fn add(&mut self, name: (String, String), what: (String, UsdNanos)) {
        if self.all.insert(name.clone(), what).is_none() {
            self.order.push_back(name);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }

    /// The id of the first try of a request: a former one's since then where this is none itself, or this one's.
    fn first_try(&mut self, tried: FirstTry, since: Timestamp, is_first: bool) -> String {
        let name = (tried.owner.clone(), tried.content.clone());
        let former = self.tries.get(&name).filter(|it| !is_first && it.at >= since);
        if let Some(former) = former {
            return former.id.clone();
        }
        let id = tried.id.clone();
        if self.tries.insert(name.clone(), tried).is_none() {
            self.tries_order.push_back(name);
        }
        if self.tries_order.len() > REMEMBERED
            && let Some(oldest) = self.tries_order.pop_front()
        {
            self.tries.remove(&oldest);
        }
        id
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
