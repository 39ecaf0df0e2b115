//! Stages that say what their recorded calls are for.

use super::{ASK, Benched as _, SECRET};
use crate::docker;
use crate::models::Provider;

#[test]
fn a_stage_calls_live_where_the_others_replay_as_a_word_or_by_what_a_need_says() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let stages = "[stages]\ncassettes = \"cassettes\"\nmodel_calls = \"replay\"\n";
    let bench = provider.bench(&format!(
        "  replays:
    network: gateway
    run: |
      {ASK}
  calls:
    network: gateway
    env: {{ TRUNKLINE_MODEL_CALLS: live }}
    run: |
      {ASK}
  says:
    run: echo mode=live >>\"$TRUNKLINE_OUTPUTS\"
  hears:
    needs: [says]
    network: gateway
    env: {{ TRUNKLINE_MODEL_CALLS: '${{{{ needs.says.outputs.mode }}}}' }}
    run: |
      {ASK}
"
    ));
    let bench = bench.file("trunkline.gateway.toml", &(provider.gateway_file() + stages));
    bench.run(&SECRET).expect_code(1);
    let story = bench.story();
    assert!(story.starts_with("replays: failed, user: "), "{story}");
    assert!(story.ends_with("calls: passed\nsays: passed\nhears: passed"), "{story}");
    assert_eq!(provider.calls(), 2);
}
