//! Answers to questions that mean the same: the vectors of questions whose answers are kept, by what else of their
//! requests must be the same. What is near enough and passes the guards is found; nothing else is ever given.

pub mod settings;
pub mod question;
pub mod guards;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use crate::model::Timestamp;
use guards::Marks;

/// What a vector weighs besides its numbers.
const OVERHEAD: usize = 1024;
/// The most numbers of a vector.
const DIMENSIONS: usize = 8192;

/// How like each other two questions are: the cosine, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness(pub u16);

impl Likeness {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    fn of(cosine: f32) -> Self {
        Self((cosine.clamp(0.0, 1.0) * 1000.0).round() as u16)
    }
}

impl std::fmt::Display for Likeness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A direction: a vector of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction(Box<[f32]>);

impl Direction {
    /// Of a vector; `None` when it has no direction.
    #[must_use]
    pub fn of(mut vector: Vec<f32>) -> Option<Self> {
        let length = vector.iter().map(|it| it * it).sum::<f32>().sqrt();
        if vector.len() > DIMENSIONS || !length.is_finite() || length <= 0.0 {
            return None;
        }
        for number in &mut vector {
            *number /= length;
        }
        Some(Self(vector.into()))
    }

    /// Of the first embedding of an answer.
    #[must_use]
    pub fn of_answer(answer: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            data: Vec<Part>,
        }
        #[derive(Deserialize)]
        struct Part {
            embedding: Vec<f32>,
        }
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        Self::of(answer.data.into_iter().next()?.embedding)
    }

    /// How like another one it is; of another length: not at all.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> Likeness {
        if self.0.len() != other.0.len() {
            return Likeness(0);
        }
        // Eight sums at a time, which the compiler makes one instruction.
        let mut sums = [0.0_f32; 8];
        let (mine, its) = (self.0.chunks_exact(8), other.0.chunks_exact(8));
        let rest = mine.remainder().iter().zip(its.remainder());
        let rest: f32 = rest.map(|(a, b)| a * b).sum();
        for (mine, its) in mine.zip(its) {
            for ((sum, a), b) in sums.iter_mut().zip(mine).zip(its) {
                *sum += a * b;
            }
        }
        Likeness::of(sums.iter().sum::<f32>() + rest)
    }
}

/// A question, and where its answer is kept.
#[derive(Debug)]
pub struct Known {
    /// Where it points.
    pub direction: Direction,
    /// What the guards look at.
    pub marks: Marks,
    /// The key of its answer in the cache.
    pub key: String,
    /// The request that brought the answer.
    pub request: String,
    /// Until when it holds.
    pub until: Timestamp,
}

/// A question that becomes known when its answer is kept.
#[derive(Debug)]
pub struct Meant {
    /// What else of the request must be the same.
    pub scope: String,
    /// The question.
    pub known: Known,
    /// The most that are known of the scope.
    pub entries: usize,
}

/// A known question that means the same.
#[derive(Debug, Clone)]
pub struct Found {
    /// The known one.
    pub known: Arc<Known>,
    /// How like it is.
    pub likeness: Likeness,
}

/// All known questions. The oldest make room.
#[derive(Debug)]
pub struct Index {
    memory_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scopes: HashMap<Arc<str>, VecDeque<Arc<Known>>>,
    /// The scope of each known question, the oldest first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Index {
    /// An empty one.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        let memory_bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        Self { memory_bytes, state: Mutex::default() }
    }

    /// The known questions of a scope that are near enough and pass the guards, the nearest first. Looks at each.
    #[must_use]
    pub fn find(
        &self,
        scope: &str,
        (direction, marks): (&Direction, &Marks),
        threshold: Likeness,
        now: Timestamp,
    ) -> Vec<Found> {
        let known: Vec<_> = self.lock().scopes.get(scope).into_iter().flatten().cloned().collect();
        let mut found = Vec::new();
        for known in known.into_iter().filter(|it| now < it.until) {
            let likeness = direction.likeness(&known.direction);
            if likeness >= threshold && marks.differ(&known.marks).is_none() {
                found.push(Found { known, likeness });
            }
        }
        found.sort_by_key(|it| std::cmp::Reverse(it.likeness));
        found
    }

    /// Notes a question whose answer is kept, and at most `entries` of its scope.
    pub fn insert(&self, scope: &str, known: Known, entries: usize) {
        let size = size(&known);
        let mut state = self.lock();
        let scope: Arc<str> = match state.scopes.get_key_value(scope) {
            Some((scope, _)) => scope.clone(),
            None => scope.into(),
        };
        let of_scope = state.scopes.entry(scope.clone()).or_default();
        // The answer to the same question again takes the place of the one before.
        if let Some(same) = of_scope.iter_mut().find(|it| it.key == known.key) {
            *same = Arc::new(known);
            return;
        }
        if of_scope.len() >= entries.max(1) {
            let gone = of_scope.pop_front().map_or(0, |it| self::size(&it));
            of_scope.push_back(Arc::new(known));
            // Its place in the order goes to the new one, whose turn to go comes a little early.
            state.bytes = (state.bytes + size).saturating_sub(gone);
        } else {
            of_scope.push_back(Arc::new(known));
            state.order.push_back(scope);
            state.bytes += size;
        }
        while state.bytes > self.memory_bytes && state.forget_oldest() {}
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_oldest(&mut self) -> bool {
        let Some(scope) = self.order.pop_front() else { return false };
        if let Some(known) = self.scopes.get_mut(&scope) {
            let gone = known.pop_front().map_or(0, |it| size(&it));
            self.bytes = self.bytes.saturating_sub(gone);
            if known.is_empty() {
                self.scopes.remove(&scope);
            }
        }
        true
    }
}

fn size(known: &Known) -> usize {
    OVERHEAD + 4 * known.direction.0.len()
}

#[cfg(test)]
mod tests;
