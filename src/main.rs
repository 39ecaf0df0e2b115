//! The `trunkline` binary: parses the command line and calls `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    trunkline::cli::main()
}
