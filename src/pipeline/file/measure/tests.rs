use super::*;

#[test]
fn durations_add_their_units_from_the_largest_down() {
    let read = |text| duration(text).map(|it| it.0);
    assert_eq!(read("45s"), Some(45_000));
    assert_eq!(read("2h30m"), Some(9_000_000));
    assert_eq!(read("14d"), Some(14 * 86_400_000));
    assert_eq!(read("1s500ms"), Some(1500));
    for wrong in
        ["", "15", "m", "1h2h", "30m2h", "1 h", "-1s", "1.5h", "99999999999999999999s", "999999d"]
    {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn sizes_know_both_families_of_units() {
    let read = |text| size(text).map(|it| it.0);
    assert_eq!(read("2Gi"), Some(2 << 30));
    assert_eq!(read("1.5Gi"), Some(3 << 29));
    assert_eq!(read("500M"), Some(500_000_000));
    for wrong in ["", "2", "2GB", "Gi", "-1Gi", "1e3Mi", "18446744073709551615Ti"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn days_are_counted_from_the_epoch() {
    assert_eq!(day_number("1970-01-01"), Some(0));
    assert_eq!(day_number("2000-02-29"), Some(11_016));
    assert_eq!(day_number("2027-03-31"), Some(20_908));
    for wrong in ["2027-02-29", "2027-13-01", "2027-3-31", "31.3.2027", "2027-00-10", "1969-12-31"]
    {
        assert_eq!(day_number(wrong), None, "{wrong}");
    }
}

#[test]
fn rates_have_a_number_and_a_unit() {
    assert!(is_rate("50/s") && is_rate("0.5/m"));
    assert!(!is_rate("50") && !is_rate("0/s") && !is_rate("50/d") && !is_rate("/s"));
}
