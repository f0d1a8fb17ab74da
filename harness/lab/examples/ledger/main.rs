//! Measures the store on invented results: `cargo run --release -p proofmark-lab --example ledger -- COMMAND …`.
//!
//! `records FOLDER RESULTS [plain]` makes record files, plain ones without telemetry; `ingest FOLDER DATABASE` takes them into a new database and says how fast
//! that was; `open DATABASE` says how long it takes to open it; `questions DATABASE` asks the ten questions, `answers DATABASE` prints their answers.
//! `docs/peers/ledger/README.md` has the whole comparison.

mod fixture;
mod questions;

use proofmark_lab::store::Store;
use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

const USE: &str = "use: records FOLDER RESULTS [plain] | ingest FOLDER DATABASE | open DATABASE | questions DATABASE | \
                   answers DATABASE";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["records", folder, results] => fixture::write(Path::new(folder), results.parse()?, false)?,
        ["records", folder, results, "plain"] => {
            fixture::write(Path::new(folder), results.parse()?, true)?;
        }
        ["ingest", folder, database] => ingest(Path::new(folder), Path::new(database))?,
        ["open", database] => {
            let start = Instant::now();
            let store = Store::open_read_only(Path::new(database))?;
            let opened = start.elapsed();
            store.query("SELECT 1")?;
            println!("opened in {:.1} ms", opened.as_secs_f64() * 1e3);
        }
        ["questions", database] => questions::ask(Path::new(database))?,
        ["answers", database] => questions::answers(Path::new(database))?,
        _ => return Err(USE.into()),
    }
    Ok(())
}

fn ingest(folder: &Path, database: &Path) -> Result<(), Box<dyn Error>> {
    if database.exists() {
        return Err(format!("{} exists: name a new database", database.display()).into());
    }
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    let start = Instant::now();
    let store = Store::open(database)?;
    let ingested = store.ingest(folder)?;
    let taken_in = start.elapsed().as_secs_f64();
    store.close()?;
    let whole = start.elapsed().as_secs_f64();
    let stored = fs::metadata(database)?.len();
    println!(
        "{} results of {bytes} bytes, {} faults: {taken_in:.2} s, {whole:.2} s with closing, {:.0} results/s, \
         {:.1} MB/s; the database has {stored} bytes, {:.1} % of them",
        ingested.results,
        ingested.faults.len(),
        ingested.results as f64 / whole,
        bytes as f64 / whole / 1e6,
        100.0 * stored as f64 / bytes as f64,
    );
    Ok(())
}
