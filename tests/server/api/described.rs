//! Whether the server does what its OpenAPI document says, as Schemathesis sees it. Here for a short time; `just
//! api-trial` goes on for as long as one likes.

use std::path::Path;
use std::process::Command;

use crate::support::skip;

/// Enough for each operation to be asked several times.
const SECONDS: &str = "25";

#[test]
fn answers_are_as_the_document_describes_them() {
    if !Path::new("target/api/bin/schemathesis").exists() {
        return skip("Schemathesis (`deploy/setup api`)");
    }
    let program = env!("CARGO_BIN_EXE_trunkline");
    let output = Command::new("deploy/api-trial").args([SECONDS, program]).output().unwrap();
    let (text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(3) && errors.contains("Docker") {
        return skip("Docker");
    }
    assert!(output.status.success(), "{text}\n{errors}");
}
