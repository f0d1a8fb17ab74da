//! How often benchmarks of known kinds get the mark that they deserve, for the right reason.
//!
//! `cargo run -p proofmark-lab --example certify_rates -- [--count N] [--seed N] [FILE]` generates N benchmarks of each
//! kind and prints a confusion table: the kind by the first reason that was given. With a FILE of measured benchmarks,
//! as `cargo xtask certify --input` reads it, it prints what is said of those as well.

mod kinds;
mod random;

use kinds::{KINDS, Kind};
use proofmark_lab::certify::{
    Assessment, Benchmark, Level, Outputs, Part, Process, Scaled, Status, input, judge,
};
use random::Random;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::error::Error;

/// What stands in the table for one without a reason.
const NONE: &str = "no reason";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut count, mut seed, mut file) = (200, 1, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, Box<dyn Error>> {
            Ok(args.next().ok_or_else(|| format!("{arg} needs a number"))?.parse()?)
        };
        match arg.as_str() {
            "--count" => count = number()?,
            "--seed" => seed = number()?,
            _ => file = Some(arg),
        }
    }
    generated(count, seed);
    if let Some(file) = file {
        measured(&std::fs::read_to_string(file)?)?;
    }
    Ok(())
}

/// The assessments of `count` benchmarks of a kind.
fn assess(kind: &Kind, count: u64, seed: u64) -> Vec<Assessment> {
    let one = |index: u64| {
        // The seeds of kinds and benchmarks lie apart.
        let mut random =
            Random::new(seed.wrapping_mul(1_000_003) ^ (index << 8) ^ kind.name.len() as u64);
        judge(&(kind.make)(&mut random))
    };
    (0..count).into_par_iter().map(one).collect()
}

fn first_reason(found: &Assessment) -> &'static str {
    found.reasons.first().copied().unwrap_or(NONE)
}

fn generated(count: u64, seed: u64) {
    let all: Vec<Vec<Assessment>> = KINDS.iter().map(|kind| assess(kind, count, seed)).collect();
    println!("{count} benchmarks of each kind, seed {seed}\n");
    println!("| kind | deserves | given first | among the reasons | median score | certified |");
    println!("|---|---|---|---|---|---|");
    for (kind, found) in KINDS.iter().zip(&all) {
        let wanted = kind.reason.unwrap_or(NONE);
        let first = found.iter().filter(|f| first_reason(f) == wanted).count();
        let among =
            found.iter().filter(|f| f.reasons.contains(&wanted) || first_reason(f) == wanted);
        let mut scores: Vec<f64> = found.iter().map(|f| f.score).collect();
        scores.sort_unstable_by(f64::total_cmp);
        println!(
            "| {} | {wanted} | {} | {} | {:.0} | {} |",
            kind.name,
            percent(first, found.len()),
            percent(among.count(), found.len()),
            scores[scores.len() / 2],
            percent(found.iter().filter(|f| f.level == Level::Certified).count(), found.len()),
        );
    }
    println!("\nFirst reasons, in percent:\n");
    confusion(&all);
}

/// The kind by the first reason that was given.
fn confusion(all: &[Vec<Assessment>]) {
    let mut columns = vec![NONE];
    for part in Part::ALL {
        let given = all.iter().flatten().any(|found| first_reason(found) == part.reason());
        columns.extend(given.then(|| part.reason()));
    }
    println!("| kind | {} |", columns.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
    for (kind, found) in KINDS.iter().zip(all) {
        let cell = |column: &&str| match found.iter().filter(|f| first_reason(f) == *column).count()
        {
            0 => String::new(),
            count => format!("{:.1}", 100.0 * count as f64 / found.len() as f64),
        };
        println!(
            "| {} | {} |",
            kind.name,
            columns.iter().map(cell).collect::<Vec<_>>().join(" | ")
        );
    }
}

fn percent(count: usize, of: usize) -> String {
    format!("{:.1} %", 100.0 * count as f64 / of as f64)
}

/// What is said of measured benchmarks: how many answers of each kind every check has.
fn measured(text: &str) -> Result<(), Box<dyn Error>> {
    let benchmarks = input::read(text)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let found: Vec<Assessment> = benchmarks.par_iter().map(judge).collect();
    println!("\n{} measured benchmarks\n", found.len());
    println!("| check | pass | warn | fail | unknown |\n|---|---|---|---|---|");
    for part in Part::ALL {
        let count = |status: Status| {
            found
                .iter()
                .filter_map(|f| f.check(part))
                .filter(|check| check.status == status)
                .count()
        };
        let [pass, warn, fail, unknown] =
            [Status::Pass, Status::Warn, Status::Fail, Status::Unknown].map(count);
        println!("| {} | {pass} | {warn} | {fail} | {unknown} |", part.name());
    }
    let mut firsts: BTreeMap<&str, usize> = BTreeMap::new();
    for assessment in &found {
        *firsts.entry(first_reason(assessment)).or_default() += 1;
    }
    println!("\n| first reason | benchmarks |\n|---|---|");
    for (reason, count) in firsts {
        println!("| {reason} | {count} |");
    }
    Ok(())
}
