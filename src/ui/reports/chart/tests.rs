use proptest::prelude::*;

use super::*;

fn chart(kind: Kind, unit: Unit, rows: Vec<Vec<Option<f64>>>) -> Chart {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let names = ["p50", "p95", "a", "b", "c", "d", "e"].into_iter().cycle();
    Chart {
        id: "duration".to_owned(),
        title: "Duration <b>".to_owned(),
        summary: "How long runs take & took".to_owned(),
        kind,
        unit,
        over: "Day".to_owned(),
        labels: (0..columns).map(|it| format!("d{it}")).collect(),
        series: rows
            .into_iter()
            .zip(names)
            .map(|(values, name)| Series::new(name, values))
            .collect(),
        threshold: None,
    }
}

/// Every number of an attribute that is a place, with the end of its axis.
fn places(svg: &str) -> Vec<(f64, f64)> {
    let mut places = Vec::new();
    let (width, height) = (draw::WIDTH, draw::HEIGHT);
    for (attribute, end) in [
        (" x=\"", width),
        (" cx=\"", width),
        (" width=\"", width),
        (" y=\"", height),
        (" cy=\"", height),
        (" height=\"", height),
    ] {
        for rest in svg.split(attribute).skip(1) {
            places.push((rest.split('"').next().unwrap().parse().unwrap(), end));
        }
    }
    for rest in svg.split(" d=\"").skip(1) {
        let path = rest.split('"').next().unwrap();
        for word in path.split(['M', 'L']).filter(|it| !it.is_empty()) {
            let (x, y) = word.split_once(' ').unwrap();
            places.push((x.parse().unwrap(), width));
            let (y, along) = y.split_once('H').unwrap_or((y, "0"));
            places.push((y.parse().unwrap(), height));
            places.push((along.parse().unwrap(), width));
        }
    }
    places
}

/// Only the picture: the icons of the legend have boxes of their own.
fn picture(html: &str) -> &str {
    html.split("</svg>").next().unwrap()
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        any::<f64>().prop_map(Some),
        (-10.0..10.0).prop_map(Some),
        Just(Some(f64::NAN)),
        Just(Some(f64::INFINITY)),
        Just(Some(f64::MIN_POSITIVE)),
        Just(Some(0.0)),
    ]
}

proptest! {
    #[test]
    fn every_point_lies_inside_of_the_picture(
        rows in prop::collection::vec(prop::collection::vec(value(), 0..30), 0..7),
        kind in prop::sample::select(vec![Kind::Lines, Kind::Detail, Kind::Bars, Kind::Stacked]),
        unit in prop::sample::select(vec![Unit::Time, Unit::Share, Unit::Usd, Unit::Count, Unit::Number]),
        limit in prop::option::of(any::<f64>()),
    ) {
        let threshold = limit.map(|it| ("limit".to_owned(), it));
        let html = Chart { threshold, ..chart(kind, unit, rows) }.figure();
        for (at, end) in places(picture(&html)) {
            prop_assert!((0.0..=end + 0.05).contains(&at), "{at} of {end} in {html}");
        }
        prop_assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }

    #[test]
    fn a_sparkline_lies_inside_of_its_box(
        values in prop::collection::vec(value(), 0..300),
        limit in prop::option::of(any::<f64>()),
    ) {
        let svg = sparkline("f1", &values, limit);
        for (at, end) in places(&svg) {
            let end = if end > draw::HEIGHT { spark::WIDTH } else { spark::HEIGHT };
            prop_assert!((0.0..=end).contains(&at), "{at} of {end} in {svg}");
        }
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn an_axis_has_few_ticks_and_holds_its_values(low in any::<f64>(), high in any::<f64>()) {
        prop_assume!(low.is_finite() && high.is_finite());
        let (low, high) = (scale::drawable(low).unwrap(), scale::drawable(high).unwrap());
        let axis = scale::Axis::new(Unit::Number, low, high);
        prop_assert!((1..=14).contains(&axis.ticks.len()), "{axis:?}");
        prop_assert!(axis.low <= low.min(high) && axis.high >= low.max(high), "{axis:?}");
    }
}

#[test]
fn ticks_are_round() {
    let ticks = |unit: Unit, high| {
        let axis = scale::Axis::new(unit, 0.0, high);
        axis.ticks.iter().map(|it| unit.text(*it)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(ticks(Unit::Time, 7_300.0), "0 ms, 2 s, 4 s, 6 s, 8 s");
    assert_eq!(ticks(Unit::Time, 200_000.0), "0 ms, 1 min, 2 min, 3 min, 4 min");
    assert_eq!(ticks(Unit::Share, 1.0), "0 %, 50 %, 100 %");
    assert_eq!(ticks(Unit::Count, 3.0), "0, 1, 2, 3");
    assert_eq!(ticks(Unit::Usd, 0.04), "0 USD, 0.01 USD, 0.02 USD, 0.03 USD, 0.04 USD");
    assert_eq!(ticks(Unit::Count, 0.0), "0, 1");
}

#[test]
fn a_missing_value_is_a_gap_and_a_lone_one_a_dot() {
    let row = vec![Some(1.0), Some(2.0), None, Some(3.0)];
    let html = chart(Kind::Lines, Unit::Count, vec![row]).figure();
    let curve = html.split("class=\"curve c1\">").nth(1).unwrap().split("</g>").next().unwrap();
    assert_eq!(curve.matches('M').count(), 2, "{curve}");
    assert_eq!(curve.matches('L').count(), 1, "{curve}");
    assert_eq!(curve.matches("<circle").count(), 3, "{curve}");
}

#[test]
fn the_numbers_stand_behind_the_picture_and_text_is_only_text() {
    let rows = vec![vec![Some(1500.0), None], vec![Some(61_000.0), Some(0.2)]];
    let mut chart = chart(Kind::Lines, Unit::Time, rows);
    chart.labels = vec!["<i>".to_owned(), "\"'&".to_owned()];
    let html = chart.figure();
    assert!(html.contains("<title id=\"duration-title\">Duration &#60;b&#62;</title>"), "{html}");
    assert!(
        html.contains("<th scope=\"row\">&#60;i&#62;</th><td class=\"number\">1.5 s</td>"),
        "{html}"
    );
    assert!(html.contains("<td class=\"number\">–</td><td class=\"number\">0.2 ms</td>"), "{html}");
    assert!(!html.contains("<i>") && !html.contains("style="), "{html}");
}

#[test]
fn nothing_is_said_to_be_nothing() {
    for rows in [vec![], vec![vec![]], vec![vec![None, Some(f64::NAN)]]] {
        let html = chart(Kind::Bars, Unit::Count, rows).figure();
        assert!(html.contains("Nothing to draw yet") && !html.contains("<svg"), "{html}");
    }
    assert_eq!(sparkline("x", &[], None), "");
}
