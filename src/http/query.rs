//! Lists come in pages: newest first, and a cursor that says where the next one begins.

pub(super) mod parameters;

use serde::de::{Deserialize as _, Deserializer, Error as _};

use crate::http::Problem;

/// Rows of a page unless asked otherwise, and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where it begins: `next` of the page before.
    pub cursor: Option<String>,
    /// Rows at most (1 to 200).
    #[serde(default, deserialize_with = "read_limit")]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

fn read_limit<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u32>, D::Error> {
    let limit = u32::deserialize(text).ok().filter(|it| (1..=LIMIT_MAX).contains(it));
    let bad = || D::Error::custom(format!("it is a number from 1 to {LIMIT_MAX}"));
    limit.map(Some).ok_or_else(bad)
}

/// What a cursor of a list looks like: what looks otherwise was never `next` of one of its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorForm {
    /// The id of a row.
    Id,
    /// The name of a row, or names with `/` between them.
    Name,
    /// A number of so many digits, then what stands between this and what follows, then more.
    Numbered(usize, char),
}

impl CursorForm {
    fn admits(self, cursor: &str) -> bool {
        match self {
            Self::Id => cursor.len() == ulid::ULID_LEN && ulid::Ulid::from_string(cursor).is_ok(),
            Self::Name => {
                let begins = cursor.starts_with(|it: char| it.is_alphanumeric() || it == '_');
                begins && !cursor.chars().any(char::is_control)
            }
            Self::Numbered(digits, between) => {
                let (number, rest) = cursor.split_at_checked(digits).unwrap_or_default();
                let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
                is_number && rest.starts_with(between)
            }
        }
    }
}

impl PageQuery {
    /// Rows at most.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
    }

    /// The same, unless its cursor is none of a list whose cursors look like this. An empty one is none.
    pub fn checked(mut self, form: CursorForm) -> Result<Self, Problem> {
        self.cursor = self.cursor.filter(|it| !it.is_empty());
        if self.cursor.as_deref().is_some_and(|it| !form.admits(it)) {
            return Err(Problem::bad_request("`cursor` is none of this list").with_help(
                "Take `next` of the page before, as it is; leave it out for the first page.",
            ));
        }
        Ok(self)
    }
}

/// One page of a list.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of rows that were asked for with one more than the limit.
    pub fn new(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(cursor);
        Self { items: rows, next }
    }

    /// A page of a list that is short enough to lie in memory as a whole; it is sorted by its cursor.
    pub fn of_all(mut rows: Vec<T>, query: &PageQuery, cursor: impl Fn(&T) -> String) -> Self {
        rows.sort_by_cached_key(&cursor);
        if let Some(after) = &query.cursor {
            rows.retain(|it| cursor(it) > *after);
        }
        Self::new(rows, query.limit(), cursor)
    }

    /// As [`Self::of_all`], for a list whose newest rows have the highest cursors and come first.
    pub fn newest_of_all(
        mut rows: Vec<T>,
        query: &PageQuery,
        cursor: impl Fn(&T) -> String,
    ) -> Self {
        rows.sort_by_cached_key(|it| std::cmp::Reverse(cursor(it)));
        if let Some(before) = &query.cursor {
            rows.retain(|it| cursor(it) < *before);
        }
        Self::new(rows, query.limit(), cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_list_in_memory_follow_each_other() {
        let rows = || vec!["c", "a", "e", "b", "d"];
        let mut query = PageQuery { cursor: None, limit: Some(2) };
        let mut seen = Vec::new();
        loop {
            let page = Page::of_all(rows(), &query, |it| (*it).to_owned());
            seen.push(page.items);
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    }

    #[test]
    fn a_cursor_that_was_never_given_out_is_told() {
        let is_fine = |form, cursor: &str| {
            let query = PageQuery { cursor: Some(cursor.to_owned()), limit: None };
            query.checked(form).is_ok()
        };
        let id = "01arz3ndektsv4rrffq69g5fav";
        assert!(is_fine(CursorForm::Id, id));
        for bad in ["x", "01ARZ3NDEKTSV4RRFFQ69G5FAVV", "'; --"] {
            assert!(!is_fine(CursorForm::Id, bad), "{bad}");
        }
        assert!(is_fine(CursorForm::Name, "shop/web") && is_fine(CursorForm::Name, "TOKEN/"));
        assert!(!is_fine(CursorForm::Name, "!") && !is_fine(CursorForm::Name, "-1"));
        let queue = CursorForm::Numbered(6, '-');
        assert!(is_fine(queue, "000001-0000000000000000012"));
        assert!(!is_fine(queue, "1-2") && !is_fine(queue, "000001") && !is_fine(queue, "é00001-1"));
        assert!(PageQuery::default().checked(queue).is_ok());
    }
}
