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
