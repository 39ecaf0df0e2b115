//! Chances that depend on the seed and on what they are for, and not on who asks first.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Everything that is left to chance in one history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// The dice for this matter; the same each time it is asked about.
    pub(crate) fn dice(self, matter: impl Hash) -> Dice {
        let mut hasher = DefaultHasher::new();
        (self.0, matter).hash(&mut hasher);
        Dice(fastrand::Rng::with_seed(hasher.finish()))
    }
}

/// Thrown again and again.
#[derive(Debug, Clone)]
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    /// True this often of 100 times.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high)
    }

    /// As [`Self::between`], as an index or a count.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        self.0.usize(low..=high)
    }

    /// One of these.
    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())].clone()
    }
}
