//! The integrals of every split of every benchmark for every change: what fits and rates are made of, so that other
//! constants need no other integrals.

use proofmark_lab::gate::evidence::{Integrals, Model, Weighed, weigh};
use proofmark_lab::gate::exact::permutation_p;
use proofmark_lab::gate::level::{ESTIMATORS, Process, typical_spread};
use proofmark_lab::gate::posterior::{components, log_scales, softmax};
use proofmark_lab::gate::prior::Hypotheses;

/// Changes of head, as factors; each is followed by its reverse.
pub(crate) const SHIFTS: [f64; 9] =
    [1.0, 1.01, 1.0 / 1.01, 1.03, 1.0 / 1.03, 1.05, 1.0 / 1.05, 1.1, 1.0 / 1.1];
/// Under a flat prior, scales less likely than this are left out.
const LEAST_WEIGHT: f64 = 1e-6;

/// One benchmark: processes of the same code.
pub(crate) struct Benchmark {
    /// What it is called.
    pub(crate) id: String,
    /// Its processes.
    pub(crate) processes: Vec<Process>,
}

/// Reads a file of benchmarks.
pub(crate) fn read(path: &str) -> Result<Vec<Benchmark>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let list = value["benchmarks"].as_array().ok_or("there is no list `benchmarks`")?;
    list.iter().map(benchmark).collect()
}

fn benchmark(value: &serde_json::Value) -> Result<Benchmark, String> {
    let id = value["id"].as_str().ok_or("a benchmark has no id")?.to_owned();
    let samples: Vec<Vec<f64>> =
        serde_json::from_value(value["processes_s"].clone()).map_err(|e| format!("{id}: {e}"))?;
    let processes: Option<Vec<Process>> = samples.iter().map(|s| Process::new(s)).collect();
    let processes = processes.ok_or_else(|| format!("{id}: a sample is no duration"))?;
    if processes.len() < 4 || processes.len() % 2 == 1 || processes.len() > 12 {
        return Err(format!("{id} needs an even number of processes from 4 to 12"));
    }
    Ok(Benchmark { id, processes })
}

/// One scale of the noise: its index, the logarithm of its likelihood, and the integrals for each of [`SHIFTS`].
struct Scale {
    index: usize,
    log_marginal: f64,
    integrals: [Integrals; SHIFTS.len()],
}

/// One way to split the processes of a benchmark.
struct Split {
    estimators: [Vec<Scale>; ESTIMATORS],
    /// For each of [`SHIFTS`], the exact test of the medians and the difference of their means.
    peer: [(f64, f64); SHIFTS.len()],
}

/// All benchmarks.
pub(crate) struct Table {
    benchmarks: Vec<(Option<f64>, Vec<Split>)>,
}

impl Table {
    /// Computes all integrals.
    pub(crate) fn new(benchmarks: &[Benchmark], freedom: f64) -> Self {
        let hypotheses = Hypotheses::new(super::MIN_EFFECT);
        let row = |(index, benchmark): (usize, &Benchmark)| {
            eprintln!("{} of {}: {}", index + 1, benchmarks.len(), benchmark.id);
            let splits = halves(benchmark.processes.len());
            let split = |mask| split(&benchmark.processes, mask, &hypotheses, freedom);
            (typical_spread(&benchmark.processes), splits.map(split).collect())
        };
        Self { benchmarks: benchmarks.iter().enumerate().map(row).collect() }
    }

    /// How many benchmarks there are.
    pub(crate) fn len(&self) -> usize {
        self.benchmarks.len()
    }

    /// What each split of a benchmark weighs under a change, both ways round.
    pub(crate) fn weighed(&self, benchmark: usize, shift: usize, model: &Model) -> Vec<Weighed> {
        let (spread, splits) = &self.benchmarks[benchmark];
        let scales: Vec<f64> = log_scales().collect();
        let one = |split: &Split, shift: usize| {
            let estimators = split.estimators.iter().enumerate().map(|(estimator, kept)| {
                let prior = |scale: &Scale| {
                    let prior = model.noise[estimator].log_density(scales[scale.index], *spread);
                    prior + scale.log_marginal
                };
                let weights = softmax(&kept.iter().map(prior).collect::<Vec<_>>());
                let each = kept.iter().zip(weights);
                each.map(move |(scale, weight)| (weight, &scale.integrals[shift]))
                    .collect::<Vec<_>>()
            });
            weigh(estimators)
        };
        let forth = splits.iter().map(|split| one(split, shift));
        let back = splits.iter().map(|split| mirrored(one(split, reverse(shift))));
        forth.chain(back).collect()
    }

    /// The exact test of each split under a change: its p and the difference of mean logarithms.
    pub(crate) fn peers(&self, benchmark: usize, shift: usize) -> impl Iterator<Item = (f64, f64)> {
        let splits = &self.benchmarks[benchmark].1;
        let forth = splits.iter().map(move |split| split.peer[shift]);
        forth.chain(splits.iter().map(move |split| {
            let (p, difference) = split.peer[reverse(shift)];
            (p, -difference)
        }))
    }
}

/// The index of the reverse of a change.
fn reverse(shift: usize) -> usize {
    if shift == 0 { 0 } else { ((shift - 1) ^ 1) + 1 }
}

/// Base and head exchanged.
fn mirrored(weighed: Weighed) -> Weighed {
    let [above, below, positive] = weighed.masses;
    let (slower, faster) = (weighed.faster, weighed.slower);
    Weighed { slower, faster, masses: [below, above, 1.0 - positive] }
}

/// Masks of the processes of the head: one of each pair of opposite halves.
fn halves(count: usize) -> impl Iterator<Item = u32> {
    (0..1_u32 << (count - 1)).filter(move |mask| mask.count_ones() as usize * 2 == count)
}

fn split(processes: &[Process], mask: u32, hypotheses: &Hypotheses, freedom: f64) -> Split {
    let side = |estimator: usize, wanted: bool| -> Vec<f64> {
        let chosen = processes.iter().enumerate().filter(|(i, _)| (mask >> i & 1 == 1) == wanted);
        chosen.map(|(_, process)| process.levels[estimator]).collect()
    };
    let estimators = std::array::from_fn(|estimator| {
        let (base, head) = (side(estimator, false), side(estimator, true));
        let kept = components(&base, &head, freedom, |_| 0.0, LEAST_WEIGHT).into_iter();
        let scale = |c: proofmark_lab::gate::posterior::Component| Scale {
            index: c.index,
            log_marginal: c.log_marginal,
            integrals: SHIFTS
                .map(|factor| Integrals::new(&c.difference.shifted(factor.ln()), hypotheses)),
        };
        kept.map(scale).collect()
    });
    let (base, head) = (side(0, false), side(0, true));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let peer = SHIFTS.map(|factor| {
        let moved: Vec<f64> = head.iter().map(|level| level + factor.ln()).collect();
        (permutation_p(&base, &moved).unwrap_or(1.0), mean(&moved) - mean(&base))
    });
    Split { estimators, peer }
}
