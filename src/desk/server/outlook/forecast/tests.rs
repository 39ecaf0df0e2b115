use proptest::prelude::*;

use super::*;

const NONE: Rest = Rest { of_present: 0.0, spans: 0 };

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-6 * right.abs().max(1.0)
}

fn rest(of_present: f64, spans: usize) -> Rest {
    Rest { of_present, spans }
}

#[test]
fn too_little_is_said_to_be_too_little() {
    assert_eq!(Pace::of(&[], 7), None);
    assert_eq!(Pace::of(&[0.0; 30], 7), None, "nothing was ever spent");
    assert_eq!(Pace::of(&[0.0, 0.0, 5.0, 5.0], 7), None, "two days are no habit");
    assert_eq!(Pace::of(&[0.0, 5.0, 5.0, 5.0], 7).unwrap().spans, 3);
}

#[test]
fn what_is_the_same_each_day_stays_so() {
    let pace = Pace::of(&[10.0; 20], 7).unwrap();
    let forecast = pace.forecast(35.0, rest(0.5, 9));
    assert!(close(forecast.total, 130.0), "{forecast:?}");
    assert!(close(forecast.low, 130.0) && close(forecast.high, 130.0), "{forecast:?}");
    assert!(close(pace.forecast(35.0, NONE).total, 35.0));
}

#[test]
fn a_few_days_have_a_mean_and_no_trend() {
    let pace = Pace::of(&[1.0, 2.0, 3.0, 4.0], 7).unwrap();
    assert!(close(pace.forecast(0.0, rest(0.0, 2)).total, 5.0), "twice the mean of 2.5");
}

#[test]
fn a_trend_goes_on_and_fades() {
    let days: Vec<f64> = (1..=10).map(f64::from).collect();
    let pace = Pace::of(&days, 1).unwrap();
    // The present day: 10 + 0.9; the next: 10 + 0.9 + 0.81.
    assert!(close(pace.forecast(0.0, rest(1.0, 0)).total, 10.9));
    assert!(close(pace.forecast(0.0, rest(0.0, 1)).total, 11.71));
    let far = pace.forecast(0.0, rest(0.0, 1000)).total;
    assert!(far < 1000.0 * 19.0 + 1.0, "never more than ten and nine a day: {far}");
    let falling: Vec<f64> = (0..10).map(|it| 10.0 - f64::from(it)).collect();
    let fallen = Pace::of(&falling, 1).unwrap().forecast(4.0, rest(0.0, 20));
    assert!(fallen.total >= 4.0, "nothing is given back: {fallen:?}");
}

#[test]
fn weekends_are_no_work_days() {
    // Four weeks; the present day is the first of a week.
    let week = [10.0, 10.0, 10.0, 10.0, 10.0, 0.0, 0.0];
    let days: Vec<f64> = week.iter().cycle().take(28).copied().collect();
    let pace = Pace::of(&days, 7).unwrap();
    assert!(close(pace.forecast(0.0, rest(1.0, 6)).total, 50.0));
    assert!(close(pace.forecast(40.0, rest(1.0, 0)).total, 50.0));
    // The same, when it is a Friday and a part of a week is known too.
    let days: Vec<f64> = week.iter().cycle().take(32).copied().collect();
    let pace = Pace::of(&days, 7).unwrap();
    assert_eq!(pace.spans, 28, "only whole weeks count");
    assert!(close(pace.forecast(0.0, rest(1.0, 2)).total, 10.0), "Friday, and nothing after it");
}

#[test]
fn what_varies_has_a_range() {
    let days: Vec<f64> = [8.0, 12.0].iter().cycle().take(20).copied().collect();
    let forecast = Pace::of(&days, 1).unwrap().forecast(0.0, rest(0.0, 4));
    assert!(forecast.low < 38.0 && forecast.high > 42.0, "{forecast:?}");
    let known = Pace::of(&days, 1).unwrap().forecast(100.0, rest(0.0, 1));
    assert!(known.low >= 100.0, "what is spent is spent: {known:?}");
}

#[test]
fn when_it_is_used_up_lies_within_a_span() {
    let pace = Pace::of(&[10.0; 10], 1).unwrap();
    let after = |room, rest| pace.used_up_after(room, rest);
    assert!(close(after(25.0, rest(0.5, 9)).unwrap(), 2.5), "5 today, and two days");
    assert!(close(after(2.5, rest(0.5, 9)).unwrap(), 0.25));
    assert!(close(after(0.0, rest(0.5, 9)).unwrap(), 0.0));
    assert_eq!(after(96.0, rest(0.5, 9)), None, "95 until the end");
    assert!(close(after(-3.0, rest(1.0, 0)).unwrap(), 0.0), "it is used up");
}

proptest! {
    /// Whatever was spent: no figure is odd, and each way to say the same says the same.
    #[test]
    fn the_end_of_the_path_is_the_forecast(
        days in proptest::collection::vec(0.0..1e6_f64, 0..60),
        cycle in prop_oneof![Just(1_usize), Just(7), Just(24)],
        spent in 0.0..1e6_f64,
        of_present in 0.0..1.0_f64,
        spans in 0_usize..40,
        room in 0.0..1e7_f64,
    ) {
        let Some(pace) = Pace::of(&days, cycle) else { return Ok(()) };
        let rest = Rest { of_present, spans };
        let forecast = pace.forecast(spent, rest);
        let path = pace.path(spent, rest);
        prop_assert!(forecast.total.is_finite() && forecast.high.is_finite());
        prop_assert!(forecast.low >= spent && forecast.low <= forecast.total + 1e-6);
        prop_assert!(forecast.high >= forecast.total);
        prop_assert_eq!(path.len(), spans + 1);
        prop_assert!(close(*path.last().unwrap(), forecast.total));
        prop_assert!(path.windows(2).all(|it| it[0] <= it[1]));
        match pace.used_up_after(room, rest) {
            Some(after) => {
                prop_assert!(after >= 0.0 && after <= of_present + f64::from(u32::try_from(spans).unwrap()) + 1e-9);
                prop_assert!(forecast.total - spent >= room - 1e-6 * room.max(1.0));
            }
            None => prop_assert!(forecast.total - spent <= room + 1e-6 * room.max(1.0)),
        }
    }
}
