//! What a cassette holds, and what of it is not in its file yet. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use super::entry::{Call, Entry};

/// Path, key and number of an entry.
pub(super) type Name = (String, String, u32);

#[derive(Debug, Default)]
pub(super) struct Tape {
    entries: BTreeMap<Name, Arc<Entry>>,
    /// How often each call was asked for since the gateway started.
    asked: HashMap<String, u32>,
    /// Calls that were recorded since then, by path and key.
    renewed: HashSet<(String, String)>,
    unsaved: Unsaved,
}

/// What is not in the file yet.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    recorded: BTreeSet<Name>,
    /// Calls of which the file is to have nothing but that.
    replaced: HashSet<(String, String)>,
}

impl Tape {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_changed(&self) -> bool {
        !self.unsaved.recorded.is_empty()
    }

    /// All entries, sorted.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.entries.values().cloned().collect()
    }

    /// Those that are not in the file yet, sorted.
    pub(super) fn all_unsaved(&self) -> Vec<Arc<Entry>> {
        self.unsaved.recorded.iter().filter_map(|it| self.entries.get(it)).cloned().collect()
    }

    /// The entry of a call with this number.
    pub(super) fn entry(&self, call: &Call, repeat: u32) -> Option<&Arc<Entry>> {
        self.entries.get(&(call.path.clone(), call.key.clone(), repeat))
    }

    /// The entries of one call, in their order.
    pub(super) fn equal(&self, path: &str, key: &str) -> impl Iterator<Item = (u32, &Arc<Entry>)> {
        let name = |repeat| (path.to_owned(), key.to_owned(), repeat);
        self.entries.range(name(0)..=name(u32::MAX)).map(|it| (it.0.2, it.1))
    }

    /// How often a call was asked for, this time included.
    pub(super) fn turn(&mut self, key: &str) -> u32 {
        let asked = self.asked.entry(key.to_owned()).or_default();
        *asked = asked.saturating_add(1);
        *asked
    }

    /// Forgets what earlier sessions have recorded of a call, unless it is one that was missed.
    pub(super) fn renew(&mut self, call: &Call) {
        let name = (call.path.clone(), call.key.clone());
        let is_first = self.renewed.insert(name.clone());
        if !is_first || self.asked.contains_key(&call.key) {
            return;
        }
        self.entries.retain(|it, _| it.0 != call.path || it.1 != call.key);
        self.unsaved.replaced.insert(name);
    }

    /// Takes in what is in the file.
    pub(super) fn insert(&mut self, entry: Entry) {
        self.entries.insert(name_of(&entry), Arc::new(entry));
    }

    /// Takes in what is not.
    pub(super) fn record(&mut self, entry: Entry) {
        self.unsaved.recorded.insert(name_of(&entry));
        self.insert(entry);
    }

    /// Takes in what others have made of the file: all is as it is there now, but for what is not written yet.
    pub(super) fn merge(&mut self, found: impl Iterator<Item = Entry>) {
        let mut before = mem::take(&mut self.entries);
        for entry in found {
            let call = (entry.path.clone(), entry.key.clone());
            if !self.unsaved.replaced.contains(&call) {
                self.insert(entry);
            }
        }
        for name in &self.unsaved.recorded {
            if let Some(entry) = before.remove(name) {
                self.entries.insert(name.clone(), entry);
            }
        }
    }

    /// What is about to be written.
    pub(super) fn take_unsaved(&mut self) -> Unsaved {
        mem::take(&mut self.unsaved)
    }

    /// It could not be written.
    pub(super) fn give_back(&mut self, unsaved: Unsaved) {
        self.unsaved.recorded.extend(unsaved.recorded);
        self.unsaved.replaced.extend(unsaved.replaced);
    }
}

fn name_of(entry: &Entry) -> Name {
    (entry.path.clone(), entry.key.clone(), entry.repeat)
}
