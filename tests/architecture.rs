//! Holds the rules of `ARCHITECTURE.md`: who may import whom, what stays pure, and how large things get.
//! The import table is read from that page, so the two cannot drift apart.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PURE: &[&str] = &["model", "pipeline", "engine", "capacity"];
/// Files of other modules that only decide: the same holds for them.
const PURE_FILES: &[&str] = &[
    "src/desk/server/budgets/typed.rs",
    "src/desk/server/money.rs",
    "src/desk/server/outlook.rs",
    "src/desk/server/outlook/forecast.rs",
    "src/desk/server/outlook/period.rs",
    "src/gateway/call/answer/meter.rs",
    "src/gateway/budget.rs",
    "src/gateway/budget/account.rs",
    "src/gateway/budget/grants.rs",
    "src/gateway/budget/grants/need.rs",
    "src/gateway/budget/reservation.rs",
    "src/gateway/budget/scope.rs",
    "src/gateway/budget/set.rs",
    "src/gateway/cache/answer.rs",
    "src/gateway/cache/embedding.rs",
    "src/gateway/cache/kept.rs",
    "src/gateway/cache/settings.rs",
    "src/gateway/cache/wish.rs",
    "src/gateway/cassette/canonical.rs",
    "src/gateway/cassette/import.rs",
    "src/gateway/cassette/lines.rs",
    "src/gateway/cassette/nearest.rs",
    "src/gateway/cassette/tape.rs",
    "src/gateway/cassette/yaml.rs",
    "src/gateway/guard.rs",
    "src/gateway/guard/injection.rs",
    "src/gateway/guard/pii.rs",
    "src/gateway/guard/pii/digits.rs",
    "src/gateway/guard/pii/national.rs",
    "src/gateway/guard/pii/network.rs",
    "src/gateway/guard/pii/phone.rs",
    "src/gateway/guard/pii/secret.rs",
    "src/gateway/guard/placeholders.rs",
    "src/gateway/guard/schema.rs",
    "src/gateway/guard/settings.rs",
    "src/gateway/guard/stream.rs",
    "src/gateway/guard/stream/deltas.rs",
    "src/gateway/guard/texts.rs",
    "src/gateway/guard/topics.rs",
    "src/gateway/guard/window.rs",
    "src/gateway/ledger/sum.rs",
    "src/gateway/ledger/written.rs",
    "src/gateway/prices.rs",
    "src/gateway/prices/import.rs",
    "src/gateway/prices/import/filter.rs",
    "src/gateway/prices/import/litellm.rs",
    "src/gateway/prices/import/models_dev.rs",
    "src/gateway/prices/lookup.rs",
    "src/gateway/prices/matcher.rs",
    "src/gateway/prices/merge.rs",
    "src/gateway/prices/place.rs",
    "src/gateway/prices/rate.rs",
    "src/gateway/prices/text.rs",
    "src/gateway/route.rs",
    "src/gateway/route/breakers.rs",
    "src/gateway/route/outage.rs",
    "src/gateway/server/receiver/counted.rs",
    "src/gateway/server/receiver/read.rs",
    "src/gateway/server/receiver/said.rs",
    "src/gateway/server/receiver/values.rs",
    "src/gateway/server/receiver/wire.rs",
    "src/gateway/server/stages/variables.rs",
    "src/gateway/settings.rs",
    "src/provider.rs",
    "src/provider/anthropic.rs",
    "src/provider/anthropic/stream.rs",
    "src/provider/anthropic/usage.rs",
    "src/provider/estimate.rs",
    "src/provider/openai.rs",
    "src/provider/openai/stream.rs",
    "src/provider/openai/usage.rs",
    "src/provider/refusal.rs",
    "src/provider/said/named.rs",
    "src/provider/splice.rs",
    "src/provider/sse.rs",
    "src/provider/stream.rs",
];
const IMPURE_WORDS: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "tokio::",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "::now()",
];
const SQL_WORDS: &[&str] = &[
    "sqlx::query",
    "SELECT ",
    "INSERT INTO",
    "DELETE FROM",
    "CREATE TABLE",
    "select * from",
    "insert into",
    "delete from",
];
const ENVIRONMENT_WORDS: &[&str] = &["env::var", "option_env!"];
const FILE_LINES: usize = 500;
const FOLDER_FILES: usize = 12;
const PAGE_LINES: usize = 120;

#[test]
fn modules_import_only_what_their_row_names() {
    let mut broken = Vec::new();
    for Row { module, may_import } in import_table() {
        for source in sources_of(&module) {
            for name in source.imports() {
                if name != module && !may_import.contains(&name) {
                    let path = source.path.display();
                    broken.push(format!("{path}: `{module}` may not import `{name}`"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_module_has_a_row_in_the_order_of_the_library() {
    let modules = modules();
    let rows = import_table().into_iter().map(|it| it.module).filter(|it| modules.contains(it));
    assert_eq!(
        modules,
        rows.collect::<Vec<_>>(),
        "left: `src/lib.rs`, right: the table of `ARCHITECTURE.md`"
    );
}

#[test]
fn a_row_names_only_rows_above_it() {
    let mut above = BTreeSet::new();
    for Row { module, may_import } in import_table() {
        let unknown: Vec<_> = may_import.difference(&above).collect();
        assert!(unknown.is_empty(), "the row of `{module}` names {unknown:?}, not above it");
        above.insert(module);
    }
}

#[test]
fn pure_modules_know_no_clock_no_disk_and_no_async() {
    let sources = PURE.iter().flat_map(|it| sources_of(it));
    assert_absent(sources, IMPURE_WORDS, "in a pure module");
    let files = PURE_FILES
        .iter()
        .map(|it| Source::read(Path::new(it)).unwrap_or_else(|| panic!("there is no `{it}`")));
    assert_absent(files, IMPURE_WORDS, "in a pure file");
}

#[test]
fn only_the_store_contains_sql() {
    assert_absent(sources_outside("store"), SQL_WORDS, "outside `store`");
}

#[test]
fn the_audit_log_is_only_added_to() {
    assert_absent(sources_of("store").into_iter(), &["UPDATE audit_events"], "in the store");
}

#[test]
fn only_the_config_reads_the_environment() {
    assert_absent(sources_outside("config"), ENVIRONMENT_WORDS, "outside `config`");
}

#[test]
fn files_stay_short_and_folders_small() {
    let mut broken = Vec::new();
    for source in files_below(Path::new("src")).iter().filter_map(|it| Source::read(it)) {
        if source.lines > FILE_LINES {
            let path = source.path.display();
            broken.push(format!("{path}: {} lines without tests", source.lines));
        }
    }
    for module in modules() {
        for folder in folders_below(&Path::new("src").join(module)) {
            let files = entries(&folder).into_iter().filter(|it| is_production_code(it)).count();
            // One subcommand, one file: their number is that of the product.
            if files > FOLDER_FILES && !folder.ends_with("cli/command") {
                broken.push(format!("{}: {files} files want a subject", folder.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_architecture_page_stays_at_two_pages() {
    let lines = fs::read_to_string("ARCHITECTURE.md").unwrap().lines().count();
    assert!(lines <= PAGE_LINES, "{lines} lines are more than {PAGE_LINES}");
}

#[test]
fn imports_are_found_in_every_way_of_writing_them() {
    let text = "use crate::model::Id;\nuse crate::{engine::{Run, Event}, store};\n\
        // use crate::cli;\nlet x = crate::blobs::open();\nuse super::super::worker::Job;\n\
        use super::near;\n#[cfg(test)]\nmod tests { use crate::runs; }\n";
    let source = Source::new(PathBuf::from("src/executor/docker.rs"), text);
    let names: Vec<_> = source.imports().into_iter().collect();
    assert_eq!(names, ["blobs", "engine", "model", "store", "worker"]);
}

struct Row {
    module: String,
    may_import: BTreeSet<String>,
}

fn import_table() -> Vec<Row> {
    let page = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let mut rows: Vec<Row> = Vec::new();
    for line in page.lines().skip_while(|it| !it.starts_with("| module ")).skip(2) {
        let Some(cells) = line.strip_prefix("| ") else { break };
        let cells: Vec<_> = cells.split('|').map(str::trim).collect();
        let module = cells[0].trim_matches('`').to_owned();
        let may_import = match cells[2] {
            "nothing" => BTreeSet::new(),
            "all" => rows.iter().map(|it| it.module.clone()).collect(),
            names => names.split(", ").map(|it| it.trim_matches('`').to_owned()).collect(),
        };
        rows.push(Row { module, may_import });
    }
    assert!(rows.len() > 5, "the table of `ARCHITECTURE.md` was not found");
    rows
}

fn modules() -> Vec<String> {
    let library = fs::read_to_string("src/lib.rs").unwrap();
    let names = library.lines().filter_map(|it| it.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// A file of production code, without comments and tests.
struct Source {
    path: PathBuf,
    code: String,
    lines: usize,
}

impl Source {
    fn read(path: &Path) -> Option<Self> {
        let text = is_production_code(path).then(|| fs::read_to_string(path).unwrap())?;
        Some(Self::new(path.to_owned(), &text))
    }

    fn new(path: PathBuf, text: &str) -> Self {
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = text.lines().filter(|it| !it.trim_start().starts_with("//"));
        Self { path, code: code.collect::<Vec<_>>().join("\n"), lines: text.lines().count() }
    }

    /// Names of the top modules that this file mentions.
    fn imports(&self) -> BTreeSet<String> {
        let depth = self.path.components().count() - 1;
        let from_root = "super::".repeat(depth);
        let after = self.code.split("crate::").skip(1).chain(self.code.split(&from_root).skip(1));
        after.flat_map(names_at_start).filter(|it| it != "super").collect()
    }
}

/// `model` of `model::Id`; `engine` and `store` of `{engine::{Run, Event}, store}`.
fn names_at_start(text: &str) -> Vec<String> {
    let Some(group) = text.strip_prefix('{') else { return vec![first_word(text)] };
    let (mut depth, mut item, mut names) = (0, String::new(), Vec::new());
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.push(first_word(&std::mem::take(&mut item))),
            '{' => depth += 1,
            '}' => depth -= 1,
            other => item.push(other),
        }
    }
    names.push(first_word(&item));
    names.into_iter().filter(|it| !it.is_empty()).collect()
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}

fn assert_absent(sources: impl Iterator<Item = Source>, words: &[&str], place: &str) {
    let mut broken = Vec::new();
    for source in sources {
        for word in words.iter().filter(|it| source.code.contains(**it)) {
            broken.push(format!("{}: `{word}` {place}", source.path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn sources_outside(module: &str) -> impl Iterator<Item = Source> {
    modules().into_iter().filter(move |it| it != module).flat_map(|it| sources_of(&it))
}

fn sources_of(module: &str) -> Vec<Source> {
    let mut files = files_below(&Path::new("src").join(module));
    files.push(PathBuf::from(format!("src/{module}.rs")));
    files.iter().filter_map(|it| Source::read(it)).collect()
}

fn is_production_code(path: &Path) -> bool {
    let in_tests = path.components().any(|it| it.as_os_str() == "tests");
    let is_rust = path.extension().is_some_and(|it| it == "rs");
    path.is_file() && is_rust && !in_tests && !path.ends_with("tests.rs")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let all = folders_below(folder).into_iter().flat_map(|it| entries(&it));
    all.filter(|it| it.is_file()).collect()
}

fn folders_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop().filter(|it| it.is_dir()) {
        todo.extend(entries(&folder).into_iter().filter(|it| it.is_dir()));
        found.push(folder);
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    paths
}
