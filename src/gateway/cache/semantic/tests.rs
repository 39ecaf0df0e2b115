use super::*;

fn known(numbers: &[f32], key: &str) -> Known {
    Known {
        direction: Direction::of(numbers.to_vec()).unwrap(),
        marks: Marks::default(),
        key: key.to_owned(),
        request: String::new(),
        until: Timestamp(100),
    }
}

fn keys(index: &Index, scope: &str, numbers: &[f32], now: i64) -> String {
    let direction = Direction::of(numbers.to_vec()).unwrap();
    let found = index.find(scope, (&direction, &Marks::default()), Likeness(900), Timestamp(now));
    found.iter().map(|it| format!("{}:{}", it.known.key, it.likeness)).collect::<Vec<_>>().join(" ")
}

#[test]
fn likeness_is_the_cosine_whatever_the_lengths() {
    let of = |numbers: &[f32]| Direction::of(numbers.to_vec()).unwrap();
    let nine: Vec<_> = (1_u8..=9).map(f32::from).collect();
    let twice: Vec<_> = nine.iter().map(|it| it * 2.0).collect();
    assert!(of(&nine).likeness(&of(&twice)) >= Likeness(999));
    assert_eq!(of(&[1.0, 0.0]).likeness(&of(&[0.0, 1.0])), Likeness(0));
    assert_eq!(of(&[1.0, 0.0]).likeness(&of(&[-1.0, 0.0])), Likeness(0));
    assert_eq!(of(&[1.0, 0.0]).likeness(&of(&[1.0, 0.0, 0.0])), Likeness(0), "of another model");
    assert_eq!(of(&[1.0, 1.0]).likeness(&of(&[1.0, 0.0])).to_string(), "0.707");
    assert_eq!(Direction::of(vec![0.0, 0.0]), None);
    assert_eq!(Direction::of(vec![f32::NAN]), None);
    assert_eq!(Direction::of_answer(br#"{"data":[]}"#), None);
    assert_eq!(Direction::of_answer(br#"{"data":[{"embedding":"AAAA"}]}"#), None);
}

#[test]
fn the_nearest_comes_first_of_its_own_scope_and_while_it_holds() {
    let index = Index::new(1 << 20);
    index.insert("a", known(&[1.0, 0.3], "near"), 10);
    index.insert("a", known(&[1.0, 0.1], "nearer"), 10);
    index.insert("a", known(&[0.0, 1.0], "far"), 10);
    index.insert("b", known(&[1.0, 0.0], "elsewhere"), 10);
    assert_eq!(keys(&index, "a", &[1.0, 0.0], 0), "nearer:0.995 near:0.958");
    assert_eq!(keys(&index, "a", &[1.0, 0.0], 100), "", "their time is over");
    assert_eq!(keys(&index, "c", &[1.0, 0.0], 0), "");
    index.insert("a", known(&[0.0, 1.0], "near"), 10);
    assert_eq!((keys(&index, "a", &[1.0, 0.0], 0).as_str(), index.len()), ("nearer:0.995", 4));
}

#[test]
fn guards_keep_near_questions_apart() {
    let index = Index::new(1 << 20);
    let of = |text| Known { marks: Marks::of(text), ..known(&[1.0, 0.0], "k") };
    index.insert("a", of("Convert 5 miles to km"), 10);
    let direction = Direction::of(vec![1.0, 0.0]).unwrap();
    let find = |text| {
        let marks = Marks::of(text);
        index.find("a", (&direction, &marks), Likeness(900), Timestamp(0)).len()
    };
    assert_eq!((find("How many km are 6 miles?"), find("convert 5 miles to km!")), (0, 1));
}

#[test]
fn neither_a_scope_nor_all_of_them_grow_without_end() {
    let index = Index::new(20 * (1024 + 8));
    for number in 0..100 {
        index.insert("a", known(&[1.0, 0.0], &format!("a{number}")), 5);
    }
    assert_eq!(index.len(), 5);
    assert!(keys(&index, "a", &[1.0, 0.0], 0).starts_with("a95:1.000"));
    for number in 0..100 {
        index.insert(&format!("s{number}"), known(&[1.0, 0.0], "k"), 5);
    }
    assert_eq!((index.len(), index.lock().scopes.len()), (20, 20));
    assert_eq!(keys(&index, "s99", &[1.0, 0.0], 0), "k:1.000");
    assert_eq!(keys(&index, "a", &[1.0, 0.0], 0), "");
}

/// Pairs of questions: whether one answer may be given for both, what is different, both, and their cosine.
const PAIRS: &str = include_str!("../../../../tests/fixtures/semantic/pairs.tsv");

struct Pair {
    is_same: bool,
    kind: &'static str,
    questions: [&'static str; 2],
    likeness: Likeness,
}

fn pairs() -> Vec<Pair> {
    let lines = PAIRS.lines().filter(|it| !it.starts_with('#'));
    let pair = |line: &'static str| {
        let fields: Vec<_> = line.split('\t').collect();
        Pair {
            is_same: fields[0] == "same",
            kind: fields[1],
            questions: [fields[2], fields[3]],
            likeness: Likeness::of(fields[4].parse().unwrap()),
        }
    };
    lines.map(pair).collect()
}

/// Thousandths of the pairs that would be given the other's answer.
fn rate(pairs: &[&Pair], threshold: u16, guards: impl Fn(&Pair) -> bool) -> u64 {
    let hits = pairs.iter().filter(|it| it.likeness >= Likeness(threshold) && guards(it)).count();
    (hits * 1000 / pairs.len().max(1)) as u64
}

fn passes(pair: &Pair) -> bool {
    let [one, other] = pair.questions.map(Marks::of);
    one.differ(&other).is_none()
}

/// The tables of `docs/cache.md`: `cargo nextest run --lib semantic::tests::the_trial --no-capture`.
#[test]
fn the_trial_of_pairs_gives_few_false_hits_with_the_guards_and_many_without() {
    let pairs = pairs();
    let (held, shaped): (Vec<_>, Vec<_>) = pairs.iter().partition(|it| it.kind == "held out");
    for (what, pairs) in [("that shaped the guards", &shaped), ("held out", &held)] {
        let (same, others): (Vec<_>, Vec<_>) = pairs.iter().copied().partition(|it| it.is_same);
        eprintln!(
            "{} pairs that mean the same and {} that do not, {what}",
            same.len(),
            others.len()
        );
        show(&same, &others);
        assert!(rate(&others, 900, |_| true) > 250, "without guards near misses are hits");
        assert!(rate(&others, 900, passes) <= 35, "with them hardly any is");
        assert!(rate(&same, 0, passes) >= 600, "and most paraphrases still pass");
    }
    assert!(shaped.len() >= 300 && held.len() >= 40, "{} {}", shaped.len(), held.len());
    for it in pairs.iter().filter(|it| !it.is_same && passes(it) && it.likeness >= Likeness(800)) {
        eprintln!("a false hit: {:?} {}", it.questions, it.likeness);
    }
}

fn show(same: &[&Pair], others: &[&Pair]) {
    let percent = |it: u64| format!("{}.{}", it / 10, it % 10);
    eprintln!("| threshold | hits | false hits | hits, guarded | false hits, guarded |");
    for threshold in [800, 850, 900, 925, 950, 975] {
        let of = |pairs: &[&Pair], is_guarded: bool| {
            rate(pairs, threshold, |it| !is_guarded || passes(it))
        };
        let row = [of(same, false), of(others, false), of(same, true), of(others, true)];
        eprintln!("| 0.{threshold} | {} |", row.map(percent).join(" | "));
    }
}
