use super::*;

#[test]
fn the_time_is_taken_off_a_line() {
    let (at, rest) = split_time(Bytes::from_static(b"2026-11-23T14:58:26.066028008Z a b\n"));
    assert_eq!(at, Some(Timestamp(1_795_445_906_066)));
    assert_eq!(rest, Bytes::from_static(b"a b\n"));
}

#[test]
fn days_are_counted_across_leap_years() {
    assert_eq!(days_since_epoch(1970, 1, 1), 0);
    assert_eq!(days_since_epoch(2000, 2, 29), 11016);
    assert_eq!(days_since_epoch(2000, 3, 1), 11017);
    assert_eq!(days_since_epoch(2100, 3, 1), 47541);
}
