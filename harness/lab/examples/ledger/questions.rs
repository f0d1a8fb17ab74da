//! The ten questions that a user asks of the store, as SQL; `docs/peers/ledger/` asks the same of JSON.

use super::fixture;
use proofmark_lab::store::Store;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

/// How often each question is asked; the median is told.
const TIMES: usize = 15;
/// The days whose commits are compared.
const COMPARED: [usize; 2] = [4, 5];

/// A question and the SQL that answers it.
#[derive(Debug)]
pub(crate) struct Question {
    /// Its name, which is also that of the peers' answer.
    pub(crate) name: &'static str,
    /// For `cargo xtask query`.
    pub(crate) sql: String,
}

/// The ten questions.
pub(crate) fn questions() -> [Question; 10] {
    let case = fixture::case(1001);
    let machine = fixture::machine(1);
    let [before, after] = COMPARED.map(fixture::commit);
    let question = |name, sql| Question { name, sql };
    [
        question("latest of a case", format!(
            "SELECT machine, mark, outcome, latency_ns_median, recorded_at FROM latest_results \
             WHERE case_id = '{case}' ORDER BY machine")),
        question("slowest cases of an endpoint", format!(
            "SELECT case_id, mark, latency_ns_median FROM latest_results \
             WHERE endpoint = 'cpu' AND machine = '{machine}' AND latency_ns_median IS NOT NULL \
             ORDER BY latency_ns_median DESC, case_id LIMIT 10")),
        question("trend of a case", format!(
            "SELECT recorded_at, mark, commit_id, latency_ns_median FROM results \
             WHERE case_id = '{case}' AND machine = '{machine}' AND outcome = 'passed' ORDER BY recorded_at")),
        question("failed since a date",
            "SELECT case_id, machine, mark, outcome, message FROM results \
             WHERE outcome NOT IN ('passed', 'skipped') AND recorded_at >= '2026-01-05' \
             AND recorded_at < '2026-01-06' ORDER BY recorded_at, id".into()),
        question("noise by machine",
            "SELECT machine, mark, median(relative_noise) AS noise, count(*) AS results FROM latest_results \
             WHERE outcome = 'passed' GROUP BY machine, mark ORDER BY machine, mark".into()),
        question("coverage of models by endpoint",
            "SELECT model, endpoint, mark, count(*) FILTER (outcome = 'passed') AS passed, count(*) AS cases \
             FROM latest_results GROUP BY ALL ORDER BY ALL".into()),
        question("best machine for a model", format!(
            "SELECT machine, mark, exp(avg(ln(latency_ns_median))) AS latency_ns FROM latest_results \
             WHERE model = '{}' AND outcome = 'passed' GROUP BY machine, mark ORDER BY latency_ns LIMIT 1", case.model)),
        question("p95 of the samples of a case", format!(
            "SELECT machine, mark, quantile_cont(sample, 0.95) AS p95_ns, count(*) AS samples FROM \
             (SELECT machine, mark, unnest(samples) AS sample FROM results WHERE case_id = '{case}') \
             GROUP BY machine, mark ORDER BY machine, mark")),
        question("memory by model",
            "SELECT model, mark, max(peak_memory_bytes) AS peak_memory_bytes FROM latest_results \
             GROUP BY model, mark ORDER BY model, mark".into()),
        question("two commits compared", format!(
            "SELECT model, mark, exp(avg(ln(b.latency / a.latency))) AS ratio, count(*) AS pairs FROM \
             (SELECT case_id, machine, latency_ns_median AS latency FROM results \
              WHERE commit_id = '{before}' AND outcome = 'passed') AS a JOIN \
             (SELECT case_id, machine, model, mark, latency_ns_median AS latency FROM results \
              WHERE commit_id = '{after}' AND outcome = 'passed') AS b USING (case_id, machine) \
             GROUP BY model, mark ORDER BY model, mark")),
    ]
}

/// Prints the answers as JSON, and the two commits that are compared, for `docs/peers/ledger/ask.py`.
///
/// # Errors
/// The database cannot be opened or asked.
pub(crate) fn answers(database: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open_read_only(database)?;
    let mut answers = serde_json::Map::new();
    for Question { name, sql } in questions() {
        answers.insert(name.into(), store.query(&sql)?.rows.into());
    }
    let commits = COMPARED.map(fixture::commit);
    println!("{}", serde_json::json!({ "commits": commits, "answers": answers }));
    Ok(())
}

/// Asks all questions and prints the median time of each and its rows.
///
/// # Errors
/// The database cannot be opened or asked.
pub(crate) fn ask(database: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open_read_only(database)?;
    for Question { name, sql } in questions() {
        let mut times = Vec::new();
        let mut rows = 0;
        for _ in 0..TIMES {
            let start = Instant::now();
            rows = store.query(&sql)?.rows.len();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{name:32} {:8.2} ms, {rows} rows", times[TIMES / 2]);
    }
    Ok(())
}
