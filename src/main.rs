//! The `trunkline` binary: parses the command line and calls `cli`.

use std::process::ExitCode;

/// The C library's keeps what a burst of calls took, and is slower with many threads: see `docs/performance.md`.
/// Without huge pages, which cost every process 10 to 30 MiB more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trunkline::cli::main()
}
