//! Makes the state of a workspace with results of many machines, so that reports can be judged at full size. Nothing in it
//! was measured: its suite is `fixture`, and every report says so beside each number.
//!
//! `cargo run -p proofmark-lab --example fixture_store -- DIR [CASES]` writes `DIR/records/fixture.jsonl` and
//! `DIR/roofs/roofs.jsonl`; `PROOFMARK_DIR=DIR cargo xtask report timing` reads them. The same count gives the same files on
//! every machine.

mod made;

use std::error::Error;
use std::path::Path;

/// Cases if nothing is said.
const CASES: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (folder, cases) = match args.as_slice() {
        [folder] => (folder, CASES),
        [folder, cases] => (folder, cases.parse()?),
        _ => {
            return Err(
                "give a folder that is not there yet, and how many cases on all machines".into()
            );
        }
    };
    if Path::new(folder).exists() {
        return Err(format!("{folder} is there already: give a folder that is not").into());
    }
    let (records, machines) = made::write(Path::new(folder), cases)?;
    println!("{records} records of {machines} machines that do not exist, in {folder}");
    Ok(())
}
