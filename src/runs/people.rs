//! Whom of the people here a commit or a forge means.

use crate::pipeline::context::Author;
use crate::store::access::people::PersonRow;

/// The person: by address, or else by login, or else by name. An address says more than a name, which anybody may
/// have.
#[must_use]
pub fn find_author<'a>(author: &Author, people: &'a [PersonRow]) -> Option<&'a PersonRow> {
    let is = |one: &str, other: &str| {
        let (one, other) = (one.trim().to_lowercase(), other.trim().to_lowercase());
        !one.is_empty() && one == other
    };
    let by = |same: &dyn Fn(&PersonRow) -> bool| people.iter().find(|it| same(it));
    by(&|it| is(&it.email, &author.email))
        .or_else(|| by(&|it| is(&it.login, &author.name)))
        .or_else(|| by(&|it| is(&it.name, &author.name)))
}
