//! What a gate would say of equal code on this machine: processes of the same program, split into two sides in many
//! ways.

use super::case::{Case, Sides};
use super::judge::{Options, Verdict, judge};
use super::level::Process;
use super::power::DETECTED;

/// Slowdowns that are tried, ascending.
const EFFECTS: [f64; 12] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5];

/// The rates of verdicts over the splits of several cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// How many splits were judged.
    pub splits: usize,
    /// The share of them that were judged as changed, in either direction.
    pub false_alarms: f64,
    /// The smallest slowdown that was found in four of five splits; nothing if none was that was tried.
    pub detectable_effect: Option<f64>,
}

/// Rates for cases with these processes each; `split` gives, for a number of processes, which of them are the base
/// (half of them), and is called `splits` times per case.
pub fn rates(
    cases: &[Vec<Process>],
    splits: usize,
    options: &Options,
    mut split: impl FnMut(usize) -> Vec<bool>,
) -> Rates {
    let mut pairs: Vec<Sides> = Vec::new();
    for processes in cases {
        for _ in 0..splits {
            let of_base = split(processes.len());
            let side = |base: bool| {
                let wanted =
                    processes.iter().zip(&of_base).filter(|(_, is_base)| **is_base == base);
                wanted.map(|(process, _)| *process).collect()
            };
            pairs.push(Sides { base: side(true), head: side(false) });
        }
    }
    let share = |effect: f64, wanted: &[Verdict]| {
        let judged =
            judge(&pairs.iter().map(|sides| slowed(sides, effect)).collect::<Vec<_>>(), options);
        let hits = judged.iter().filter(|judgement| wanted.contains(&judgement.verdict)).count();
        #[expect(clippy::cast_precision_loss, reason = "numbers of splits")]
        let share = hits as f64 / pairs.len().max(1) as f64;
        share
    };
    let found = |effect: f64| share(effect, &[Verdict::Regressed]) >= DETECTED;
    Rates {
        splits: pairs.len(),
        false_alarms: share(0.0, &[Verdict::Regressed, Verdict::Improved]),
        detectable_effect: if pairs.is_empty() { None } else { smallest(found) },
    }
}

/// The smallest of [`EFFECTS`] that is found, by bisection: a larger one is found more often.
fn smallest(found: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut low, mut high) = (0, EFFECTS.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if found(EFFECTS[middle]) { high = middle } else { low = middle + 1 }
    }
    EFFECTS.get(low).copied()
}

fn slowed(sides: &Sides, effect: f64) -> Case {
    let mut sides = sides.clone();
    for process in &mut sides.head {
        for level in &mut process.levels {
            *level += effect.ln_1p();
        }
    }
    Case { id: String::new(), sides: Ok(sides) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes around one level, `noise` apart.
    fn processes(noise: f64) -> Vec<Process> {
        let level = |index: u32| 1e-3 * (1.0 + noise * f64::from(index * 7 % 10) / 10.0);
        (0..10).filter_map(|index| Process::new(&[level(index); 9])).collect()
    }

    fn halves() -> impl FnMut(usize) -> Vec<bool> {
        let mut shift = 0;
        move |count| {
            shift += 1;
            // Steps that have no divisor in common with ten reach each place once.
            let step = [1, 3, 7, 9][shift % 4];
            (0..count).map(|index| (index * step + shift) % 10 < 5).collect()
        }
    }

    #[test]
    fn a_calm_machine_finds_small_changes_and_a_noisy_one_large_ones() {
        let options = Options::new(0.01, 0.05).unwrap();
        let found = |noise: f64| rates(&[processes(noise)], 6, &options, halves());
        let (calm, noisy) = (found(0.001), found(0.2));
        assert_eq!((calm.splits, calm.false_alarms), (6, 0.0));
        assert!(calm.detectable_effect.unwrap() <= 0.03, "{calm:?}");
        assert!(noisy.detectable_effect.is_none_or(|effect| effect >= 0.1), "{noisy:?}");
        assert_eq!(rates(&[], 6, &options, halves()).detectable_effect, None);
    }
}
