//! A profile as text for the terminal, and the cells that the page shares with it.

use super::super::table;
use super::analysis::{Bound, Profile, Work};
use super::units::{count, giga, percent, si, time};
use proofmark_kernels::{Limit, Roof};
use std::fmt::Write as _;

/// The columns of [`cells`].
pub(super) const COLUMNS: [&str; 9] = [
    "time",
    "median",
    "share",
    "operations",
    "bytes",
    "GFLOP/s",
    "GB/s",
    "bound by",
    "of the roof",
];

/// What the columns mean; below every table.
pub(super) const LEGEND: &str = "Time: mean of the runs between the quartiles, so that times sum to the whole; median: of all runs, by which what was attained is told. Bytes: each operand read once, the result written once. \
Bound by: which roof is above the op, memory or compute, at its operations per byte. \
Of the roof: the time it would take at the roof by the median; above 100 % where operands come from a cache.";

/// The cells of one row.
pub(super) fn cells(work: &Work) -> [String; 9] {
    let bound = work.bound.map_or("-", |bound| match bound {
        Bound::Memory => "memory",
        Bound::Compute => "compute",
    });
    [
        time(work.time_ns as f64),
        time(work.median_ns as f64),
        percent(work.share),
        count(work.operations),
        count(work.bytes),
        giga(work.operations_per_s),
        giga(work.bytes_per_s),
        bound.to_owned(),
        work.of_roof.map_or("-".into(), |of| format!("{:.0} %", 100.0 * of)),
    ]
}

/// The first cells of the rows that complete every table: what no op explains, and the whole.
pub(super) fn totals(profile: &Profile) -> [[String; 5]; 2] {
    let [remainder, whole, median] =
        [profile.remainder_ns as f64, profile.whole_ns as f64, profile.whole_median_ns as f64]
            .map(time);
    let none = String::new();
    [
        [
            "in no op".into(),
            none.clone(),
            remainder,
            "-".into(),
            percent(profile.remainder_share()),
        ],
        ["the whole".into(), none, whole, median, percent(1.0)],
    ]
}

/// A roof: `42.1 GB/s: triad …`.
pub(super) fn roof(roof: &Roof) -> String {
    let unit = match roof.limit {
        Limit::Bandwidth => "GB/s",
        Limit::Arithmetic => "GFLOP/s",
    };
    format!("{} {unit}: {}", giga(Some(roof.per_s)), roof.test)
}

/// How the whole was measured.
pub(super) fn basis(profile: &Profile) -> String {
    let [whole, timed, plain] =
        [profile.whole_ns, profile.whole_median_ns, profile.plain_median_ns]
            .map(|ns| time(ns as f64));
    format!(
        "{} timed runs: {whole} between the quartiles, median {timed}; median without timestamps {plain}",
        profile.runs
    )
}

/// Memory in words.
pub(super) fn memory(profile: &Profile) -> String {
    let memory = &profile.memory;
    let resident = |bytes: Option<u64>| bytes.map_or("unknown".into(), |b| si(b as f64) + "B");
    format!(
        "weights {}B; values at most {}B at a time; resident set {} before, {} when ready, {} after the runs",
        si(memory.weights_bytes as f64),
        si(memory.live_bytes_max as f64),
        resident(memory.resident_before_bytes),
        resident(memory.resident_prepared_bytes),
        resident(memory.resident_after_bytes),
    )
}

/// The whole text. Of the ops the `top` ones are shown, the others as one row.
pub(super) fn text(profile: &Profile, top: usize) -> String {
    let mut text = String::new();
    let device = table::device(&profile.device);
    let _ = writeln!(text, "{} on {device}", profile.case);
    let _ = writeln!(text, "{}", basis(profile));
    for roof in profile.roofs.iter().map(self::roof) {
        let _ = writeln!(text, "roof {roof}");
    }
    let _ = writeln!(text, "memory: {}\n", memory(profile));
    let mut kinds = table::table(&[&["kind", "ops"], &COLUMNS[..]].concat());
    for kind in &profile.kinds {
        let names = [kind.kind.clone(), kind.count.to_string()];
        kinds.add_row([&names[..], &cells(&kind.work)].concat());
    }
    for row in totals(profile) {
        kinds.add_row(row);
    }
    let _ = writeln!(text, "{kinds}\n");
    let _ = writeln!(text, "{}\n\n{LEGEND}", ops(profile, top));
    text
}

fn ops(profile: &Profile, top: usize) -> comfy_table::Table {
    let mut rows: Vec<_> = profile.ops.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.work.time_ns));
    let mut ops = table::table(&[&["op", "node"], &COLUMNS[..]].concat());
    for row in rows.iter().take(top) {
        let node = row.nodes.last().map_or("-".into(), ToString::to_string);
        ops.add_row([&[row.name.clone(), node][..], &cells(&row.work)].concat());
    }
    let others = rows.get(top..).unwrap_or_default();
    if !others.is_empty() {
        let others_ns: u64 = others.iter().map(|row| row.work.time_ns).sum();
        let name = format!("{} others", others.len());
        let share = others.iter().map(|row| row.work.share).sum();
        ops.add_row([name, String::new(), time(others_ns as f64), "-".into(), percent(share)]);
    }
    for row in totals(profile) {
        ops.add_row(row);
    }
    ops
}
