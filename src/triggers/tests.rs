//! The pure parts: which events start a pipeline, when a schedule is due, what a comment orders.

use chrono::{DateTime, Utc};
use insta::assert_snapshot;

use super::comments::{Order, orders};
use super::matching::{self, Match};
use super::schedules::next;
use crate::engine::RerunScope;
use crate::model::Timestamp;
use crate::pipeline::file::trigger::PushTrigger;

fn globs(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}

fn push(branches: &[&str], tags: &[&str], r#ref: &str) -> bool {
    let trigger = PushTrigger { branches: globs(branches), tags: globs(tags), paths: Vec::new() };
    matching::push(Some(&trigger), r#ref, None) == Match::Starts
}

#[test]
fn a_push_starts_a_pipeline_by_its_branch_or_tag() {
    assert!(push(&[], &[], "refs/heads/topic"));
    assert!(!push(&[], &[], "refs/tags/v1"));
    assert!(push(&["main", "release/*"], &[], "refs/heads/release/2"));
    assert!(!push(&["release/*"], &[], "refs/heads/release/2/fix"));
    assert!(!push(&["main"], &[], "refs/heads/topic"));
    assert!(push(&[], &["v*"], "refs/tags/v1"));
    assert!(!push(&[], &["v*"], "refs/heads/main"));
    assert_eq!(matching::push(None, "refs/heads/main", None), Match::Unconcerned);
}

#[test]
fn paths_decide_when_it_is_known_what_has_changed() {
    let trigger = PushTrigger { paths: globs(&["src/**"]), ..PushTrigger::default() };
    let changed = |paths: &[&str]| {
        let paths = globs(paths);
        matching::push(Some(&trigger), "refs/heads/main", Some(&paths))
    };
    assert_eq!(changed(&["src/a/b.rs", "README.md"]), Match::Starts);
    let reason = "nothing has changed in `src/**`".to_owned();
    assert_eq!(changed(&["README.md"]), Match::Skipped(reason));
    assert_eq!(matching::push(Some(&trigger), "refs/heads/main", None), Match::Starts);
}

#[test]
fn a_comment_orders_by_lines_that_begin_with_a_command() {
    assert_eq!(orders("nice /approve\n> /approve\n /approve\n/approved"), []);
    assert_eq!(
        orders("/approve production looks good\r\n/rerun failed\n/rerun  \n/cancel"),
        [
            Order::Approve("production looks good".to_owned()),
            Order::Rerun(RerunScope::Failed),
            Order::Rerun(RerunScope::All),
            Order::Cancel(String::new()),
        ]
    );
}

/// The moments of a cron after a moment, in UTC.
fn moments(cron: &str, after: &str, count: usize) -> String {
    let start = DateTime::parse_from_rfc3339(after).unwrap();
    let mut at = Timestamp(start.timestamp_millis());
    let mut shown = Vec::new();
    for _ in 0..count {
        at = next(cron, "Europe/Berlin", at);
        let moment = DateTime::<Utc>::from_timestamp_millis(at.0).unwrap();
        shown.push(moment.format("%d %H:%M").to_string());
    }
    shown.join(", ")
}

/// On 28 March 2027 clocks go from 02:00 to 03:00, on 31 October 2027 from 03:00 back to 02:00.
#[test]
fn a_schedule_counts_in_its_time_zone_when_clocks_change() {
    assert_snapshot!(moments("30 2 * * *", "2027-03-27T00:00:00Z", 3), @"27 01:30, 28 01:00, 29 00:30");
    assert_snapshot!(moments("30 2 * * *", "2027-10-30T00:00:00Z", 3), @"30 00:30, 31 00:30, 01 01:30");
    assert_snapshot!(moments("*/30 * * * *", "2027-03-28T00:00:00Z", 4), @"28 00:30, 28 01:00, 28 01:30, 28 02:00");
    assert_snapshot!(moments("*/30 * * * *", "2027-10-31T00:00:00Z", 6), @"31 00:30, 31 01:00, 31 01:30, 31 02:00, 31 02:30, 31 03:00");
}

#[test]
fn a_moment_that_never_comes_is_never_due() {
    assert_eq!(next("0 0 30 2 *", "UTC", Timestamp(0)), Timestamp(i64::MAX));
    assert_eq!(next("nonsense", "UTC", Timestamp(0)), Timestamp(i64::MAX));
}
