//! Tells Cargo that the migrations are part of the binary, and builds the relay that it carries.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=relay/main.rs");
    println!("cargo:rerun-if-changed=build.rs");
    let folder = std::env::var_os("OUT_DIR").expect("Cargo says where things go");
    let relay = Path::new(&folder).join("relay");
    if let Err(problem) = build_relay(&relay) {
        // The engine does without: what that means is in docs/security.md.
        println!("cargo:warning=there is no relay for `network: gateway`: {problem}");
        std::fs::write(&relay, "").expect("Cargo's folder can be written to");
    }
}

/// A program of its own, linked statically: it runs beside the files of any image.
fn build_relay(to: &Path) -> Result<(), String> {
    let target = std::env::var("TARGET").map_err(|it| it.to_string())?;
    if !target.contains("linux") {
        return Err(format!("{target} is not Linux"));
    }
    let rustc = std::env::var_os("RUSTC").ok_or("Cargo names no compiler")?;
    let options = [
        "--edition=2024",
        "--crate-name=relay",
        "-Copt-level=s",
        "-Cpanic=abort",
        "-Cstrip=symbols",
        "-Ctarget-feature=+crt-static",
    ];
    let mut command = Command::new(rustc);
    command.args(options).arg("--target").arg(target).arg("-o").arg(to).arg("relay/main.rs");
    let output = command.output().map_err(|it| it.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.replace('\n', " ")) }
}
