//! Any text: checking, rendering and planning must not panic, and must stay within time and memory.
//! `cargo +nightly fuzz run pipeline_check fuzz/corpus/pipeline_check tests/fixtures/pipelines/good
//! tests/fixtures/pipelines/bad -- -max_total_time=600 -timeout=10 -rss_limit_mb=2048`

#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline::pipeline::{Context, Selection, SourceFile, check};

fuzz_target!(|text: &str| {
    // A text that includes itself is the worst that a loader can give.
    let file = SourceFile { name: "fuzz.yml".to_owned(), text: text.to_owned() };
    let checked = check(file, &|_| Ok(text.to_owned()));
    for diagnostic in &checked.diagnostics {
        assert!(!diagnostic.render(&checked.sources).is_empty());
    }
    let Some(pipeline) = checked.pipeline else { return };
    for event in ["push", "pull_request"] {
        let context = Context {
            event: event.to_owned(),
            inputs: pipeline.default_inputs(),
            ..Context::default()
        };
        if let Ok(plan) = pipeline.plan(&context, &Selection::All) {
            assert!(plan.stages.len() <= 1000);
        }
    }
});
