//! The `trunkline` binary: parses the command line and calls `cli`.

fn main() {}
