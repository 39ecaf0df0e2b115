# Every recipe is a script in `deploy/`; nothing needs `just`.

# everything a change must pass, word for word what continuous integration runs
check *sections:
    deploy/check {{ sections }}

# installs and starts what is missing: packages, Docker, Postgres, a registry, base images
setup *parts:
    deploy/setup {{ parts }}

# builds Trunkline and runs the examples in Docker
demo *examples:
    deploy/demo {{ examples }}

# runs the tests whose names contain the filters
test *filters:
    . target/test.env && cargo nextest run {{ filters }}

# measures, and prints the tables of docs/performance.md
bench *names:
    cargo bench --locked {{ names }}

# accepts what the snapshot tests print now
snapshots *filters:
    INSTA_UPDATE=always cargo nextest run {{ filters }}

# `kill -9` of the engine at random instants over real runs; `KILL_SEED` repeats a history
kill-test kills="100":
    KILLS={{ kills }} cargo nextest run --no-capture --test docker -E 'test(a_run_survives)'

# two servers and two workers on one Postgres, `kill -9` of any of them; `FLEET_SEED` repeats a history
fleet-trial runs="200" kills="50":
    FLEET_RUNS={{ runs }} FLEET_KILLS={{ kills }} cargo nextest run --no-capture --test docker -E 'test(a_fleet_survives)'

# whole lives of runs with faults, in paused time; `SIM_SEED` repeats one
simulate histories="10000":
    SIM_HISTORIES={{ histories }} cargo nextest run --no-capture --test simulation

# strange pipeline files for so many seconds; needs `cargo install cargo-fuzz` and a nightly toolchain
fuzz seconds="600" toolchain="nightly":
    mkdir -p fuzz/corpus/pipeline_check
    cargo +{{ toolchain }} fuzz run pipeline_check fuzz/corpus/pipeline_check tests/fixtures/pipelines/good \
        tests/fixtures/pipelines/bad -- -max_total_time={{ seconds }} -timeout=10 -rss_limit_mb=2048 -print_final_stats=1

# a log at full speed, with readers that stall
log-trial mib="1024":
    LOG_MIB={{ mib }} cargo nextest run --release --no-capture --test docker -E 'test(a_log_at_full_speed)'

# a large repository: that it is whole and checked out once, then how soon a stage has it
repository-trial megabytes="1000":
    REPOSITORY_MB={{ megabytes }} cargo nextest run --release --no-capture --test docker -E 'test(a_large_repository)'
    REPOSITORY_MB={{ megabytes }} cargo bench --locked --bench repository

# Schemathesis against a running server for so many seconds; `SEED` repeats a run
api-trial seconds="600":
    deploy/setup api
    cargo build --locked
    deploy/api-trial {{ seconds }}

# people at the pages of a real server, in a real Chromium; a filter such as `telephone` names journeys
test-browser *filters:
    deploy/setup docker postgres images browser
    . target/test.env && cargo nextest run --locked --test browser {{ filters }}

# how smoothly a long log scrolls; `facts` is JSON: url, login, password, run and stage of a server that runs
measure-log facts:
    deploy/setup browser
    . target/test.env && MEASURE='{{ facts }}' node tests/browser/measure_log.mjs

# a picture of every page for the docs
screenshots *folder:
    deploy/screenshots {{ folder }}

# pages over a long past: how soon they come, how large they are, what five hundred open ones cost
bench-pages runs="1000000":
    BENCH_RUNS={{ runs }} cargo bench --locked --bench pages
