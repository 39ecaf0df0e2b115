//! Lists come in pages: newest first, and a cursor that says where the next one begins.

/// Rows of a page unless asked otherwise, and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 200;

/// Which page of a list.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where it begins: `next` of the page before.
    pub cursor: Option<String>,
    /// Rows at most (1 to 200).
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl PageQuery {
    /// Rows at most.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
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
}
