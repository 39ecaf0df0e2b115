//! Whether a call may be answered from the cache and may be kept, and the key of what is kept. Pure.

use sha2::{Digest as _, Sha256};

/// What may be done with a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// It may be answered from the cache.
    pub reads: bool,
    /// Its answer may be kept.
    pub writes: bool,
}

impl Wish {
    /// From the client's own word, and whether the call gives the same answer each time as it is.
    /// `Err` gives a word that is none.
    pub fn of(word: Option<&str>, is_repeatable: bool) -> Result<Self, String> {
        let (reads, writes) = match word {
            None => (is_repeatable, is_repeatable),
            Some("on") => (true, true),
            Some("off") => (false, false),
            Some("read") => (true, false),
            Some("write") => (false, true),
            Some(other) => return Err(other.to_owned()),
        };
        Ok(Self { reads, writes })
    }

    /// Whether there is anything to do.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// The key of several parts. No two lists of parts have the same.
#[must_use]
pub fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    crate::gateway::keys::hex(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_word_counts_and_without_one_what_repeats_itself_is_kept() {
        let of = |word, repeats| Wish::of(word, repeats).map(|it| (it.reads, it.writes));
        assert_eq!(of(None, true), Ok((true, true)));
        assert_eq!(of(None, false), Ok((false, false)));
        assert_eq!(of(Some("on"), false), Ok((true, true)));
        assert_eq!(of(Some("off"), true), Ok((false, false)));
        assert_eq!(of(Some("read"), true), Ok((true, false)));
        assert_eq!(of(Some("write"), true), Ok((false, true)));
        assert_eq!(of(Some("yes"), true), Err("yes".to_owned()));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a"]), key(&["a", ""]));
    }
}
