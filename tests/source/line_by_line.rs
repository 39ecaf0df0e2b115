//! Changed files line by line, and what is left out of them.

use trunkline::source::{FileDiff, LineKind};

use super::Setting;
use super::repository::Repo;

impl Setting {
    /// These paths of the last commit and of the working tree.
    fn diff(&self, paths: &[&str]) -> Vec<FileDiff> {
        let before = self.repo.git(&["rev-parse", "HEAD^{tree}"]);
        let now = self.snapshot().tree;
        let paths: Vec<_> = paths.iter().map(|it| (*it).to_owned()).collect();
        self.source.diff(&self.objects, (&before, &now), &paths).unwrap()
    }
}

fn told(file: &FileDiff) -> Vec<String> {
    let lines = file.hunks.iter().flat_map(|it| &it.lines);
    let line = |it: &trunkline::source::DiffLine| {
        let sign = match it.kind {
            LineKind::Same => ' ',
            LineKind::Added => '+',
            LineKind::Removed => '-',
        };
        let number = |it: Option<u32>| it.map_or_else(|| "·".to_owned(), |it| it.to_string());
        format!("{} {} {sign}{}", number(it.old), number(it.new), it.text)
    };
    lines.map(line).collect()
}

#[test]
fn lines_are_told_with_their_numbers_and_some_around_them() {
    let text = |it: &str| format!("one\ntwo\nthree\nfour\n{it}\nsix\nseven\neight\nnine\nten");
    let repo = Repo::new().file("prompts/sell.md", text("five")).file("other", "1");
    let setting = Setting::of(repo.commit("first"));
    setting.repo.write("prompts/sell.md", text("FIVE <b>"));
    setting.repo.write("other", "2");
    let files = setting.diff(&["prompts/sell.md"]);
    assert_eq!(files.len(), 1, "only what was asked for");
    assert_eq!((files[0].path.as_str(), files[0].is_cut), ("prompts/sell.md", false));
    let wanted = [
        "2 2  two",
        "3 3  three",
        "4 4  four",
        "5 · -five",
        "· 5 +FIVE <b>",
        "6 6  six",
        "7 7  seven",
        "8 8  eight",
    ];
    assert_eq!(told(&files[0]), wanted);
    assert!(setting.diff(&[]).is_empty());
}

#[test]
fn a_renamed_prompt_is_told_by_what_changed_in_it() {
    let text = "You sell umbrellas to people in the rain.\nBe kind.\nName the price.\n";
    let setting = Setting::of(Repo::new().file("a.md", text).commit("first"));
    setting.repo.git(&["mv", "a.md", "b.md"]);
    setting.repo.write("b.md", text.replace("kind", "short"));
    let files = setting.diff(&["b.md"]);
    let changed: Vec<_> = told(&files[0]).into_iter().filter(|it| it.contains('·')).collect();
    assert_eq!(changed, ["2 · -Be kind.", "· 2 +Be short."]);
}

#[test]
fn what_is_long_or_no_text_is_cut() {
    let setting = Setting::of(Repo::new().file("a", "1").commit("first"));
    setting.repo.write("many.md", "word\n".repeat(1000));
    setting.repo.write("long.md", "w".repeat(5000));
    setting.repo.write("odd.md", "a\0b");
    let files = setting.diff(&["many.md", "long.md", "odd.md"]);
    let [long, many, odd] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!((told(many).len(), many.is_cut), (400, true));
    assert_eq!(long.hunks[0].lines[0].text.len(), 1000);
    assert_eq!((odd.hunks.len(), odd.is_cut), (0, true));
    // All together have a bound as well.
    let names: Vec<_> = (0..60).map(|it| format!("p{it:02}.md")).collect();
    for name in &names {
        setting.repo.write(name, format!("{}\n", "x".repeat(900)).repeat(3));
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let files = setting.diff(&names);
    let bytes: usize = files
        .iter()
        .flat_map(|it| &it.hunks)
        .flat_map(|it| &it.lines)
        .map(|it| it.text.len())
        .sum();
    assert!(files.len() == 50 && (30_000..40_000).contains(&bytes), "{} {bytes}", files.len());
    assert!(files.last().unwrap().is_cut);
}
