//! Tells Cargo that the migrations are part of the binary, builds the relay that it carries, and writes the vocabularies of
//! tokenizers down in a form that is read where it lies.

use std::collections::HashMap;
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
    write_vocabularies(Path::new(&folder));
}

fn write_vocabularies(folder: &Path) {
    let vocabularies = [
        ("cl100k", tiktoken_rs::cl100k_base().expect("the crate has it")),
        ("o200k", tiktoken_rs::o200k_base().expect("the crate has it")),
    ];
    for (name, vocabulary) in vocabularies {
        let tokens = (0_u32..).map_while(|rank| vocabulary.decode_bytes(&[rank]).ok());
        let file = folder.join(format!("{name}.tokens"));
        std::fs::write(file, table(&tokens.collect::<Vec<_>>())).expect("it can be written");
    }
}

/// A program of its own, linked statically: it runs beside the files of any image.
#[expect(clippy::disallowed_methods, reason = "Cargo says it to build scripts alone")]
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

/// The slots of a hash table (place of a token and 1, or 0), the place behind the end of each token, and their bytes one
/// after the other; before all of it the numbers of slots and of tokens. Numbers are of 32 bits, the lowest byte first.
fn table(tokens: &[Vec<u8>]) -> Vec<u8> {
    let slots = (tokens.len() * 5 / 4).next_power_of_two();
    let mut taken = HashMap::new();
    for (place, token) in tokens.iter().enumerate() {
        let mut slot = hash(token) & (slots - 1);
        while taken.contains_key(&slot) {
            slot = (slot + 1) & (slots - 1);
        }
        taken.insert(slot, place + 1);
    }
    let mut out = Vec::new();
    let mut write = |number: usize| {
        let number = u32::try_from(number).expect("there are few tokens");
        out.extend_from_slice(&number.to_le_bytes());
    };
    write(slots);
    write(tokens.len());
    (0..slots).for_each(|it| write(taken.get(&it).copied().unwrap_or(0)));
    let mut end = 0;
    for token in tokens {
        end += token.len();
        write(end);
    }
    out.extend(tokens.iter().flatten());
    out
}

/// The same as in `provider::estimate::tokenizer::vocabulary`.
fn hash(token: &[u8]) -> usize {
    let hash = token.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).expect("32 bits")
}
