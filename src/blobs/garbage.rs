//! Which blobs may go. Pure: what is stored and what is needed are arguments.

use std::collections::HashSet;
use std::hash::BuildHasher;

use super::StoredBlob;
use crate::model::{Digest, Milliseconds, Timestamp};

/// How old a blob must be before it can be garbage: long enough for whoever stores a blob to write
/// down that it is needed, which comes after.
pub const GRACE: Milliseconds = Milliseconds::from_seconds(60 * 60);

/// The stored blobs that nothing refers to and that are at least `min_age` old. `stored` must be
/// listed before `referenced`, or what is referred to in between would be missed.
#[must_use]
pub fn garbage<S: BuildHasher>(
    stored: &[(StoredBlob, Timestamp)],
    referenced: &HashSet<Digest, S>,
    now: Timestamp,
    min_age: Milliseconds,
) -> Vec<StoredBlob> {
    stored
        .iter()
        .filter(|(blob, stored_at)| {
            now.since(*stored_at) >= min_age && !referenced.contains(&blob.digest)
        })
        .map(|(blob, _)| blob.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn blob(n: u8) -> StoredBlob {
        StoredBlob { digest: Digest::of(&[n]), size_bytes: u64::from(n) }
    }

    proptest! {
        #[test]
        fn exactly_what_is_old_and_not_referred_to_is_garbage(
            ages in proptest::collection::vec(-3..10_i64, 0..12),
            referenced in proptest::collection::hash_set(0..12_u8, 0..12),
            min_age in 0..6_u64,
        ) {
            let now = Timestamp(1_000_000);
            let stored: Vec<_> = (0..)
                .zip(&ages)
                .map(|(n, age)| (blob(n), Timestamp(now.0 - age)))
                .collect();
            let digests: HashSet<_> = referenced.iter().map(|n| Digest::of(&[*n])).collect();

            let garbage = garbage(&stored, &digests, now, Milliseconds(min_age));

            for (n, age) in (0..).zip(&ages) {
                let is_old = u64::try_from(*age).unwrap_or(0) >= min_age;
                let expected = is_old && !referenced.contains(&n);
                prop_assert_eq!(garbage.contains(&blob(n)), expected);
            }
        }
    }
}
