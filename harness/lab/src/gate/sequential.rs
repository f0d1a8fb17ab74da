//! When a live gate may stop: looks at the data after rounds of processes, the error being spent over the looks.
//!
//! A function of time says how much of the level may be spent up to each look (Lan & DeMets, "Discrete Sequential
//! Boundaries for Clinical Trials", Biometrika 70 (1983), with their function of Pocock's kind). A look may alarm at
//! what it has to spend, so that the sum over all looks is at most the level, whatever the dependence between looks
//! (Bonferroni).

use super::judge::{Judgement, Options, Verdict};
use std::f64::consts::E;

/// A design with several looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    options: Options,
    /// Processes a side at each look, in ascending order.
    looks: &'static [usize],
}

impl Design {
    /// Looks after so many processes a side, which ascend.
    pub fn new(options: Options, looks: &'static [usize]) -> Self {
        Self { options, looks }
    }

    /// The options with which the processes of a look, counted from zero, are judged: the levels are what this look
    /// has to spend.
    pub fn options_at(&self, look: usize) -> Options {
        let share = self.spent(look) - look.checked_sub(1).map_or(0.0, |before| self.spent(before));
        let level = self.options.level * share;
        Options { level, equivalence: self.options.equivalence * share, ..self.options }
    }

    /// The share of the error that is spent up to a look, it included.
    fn spent(&self, look: usize) -> f64 {
        let last = self.looks[self.looks.len() - 1] as f64;
        let time = self.looks.get(look).map_or(1.0, |&count| count as f64 / last);
        (1.0 + (E - 1.0) * time).ln()
    }

    /// Whether no more processes are needed after a look, given what was judged with its options.
    pub fn is_over(&self, look: usize, judged: &Judgement) -> bool {
        judged.verdict != Verdict::Undecided || look + 1 >= self.looks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::{Case, Sides};
    use super::super::judge::judge;
    use super::super::level::Process;
    use super::*;
    use proptest::prelude::Rng;
    use proptest::test_runner::{RngAlgorithm, TestRng};
    use statrs::distribution::{ContinuousCDF, Normal};

    const LOOKS: [usize; 4] = [4, 6, 8, 10];

    fn design() -> Design {
        Design::new(Options::new(0.01, 0.05).unwrap(), &LOOKS)
    }

    /// Numbers that are uniform from 0 to 1.
    struct Uniform(TestRng);

    impl Uniform {
        fn new() -> Self {
            Self(TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        }

        fn next(&mut self) -> f64 {
            (self.0.next_u32() as f64 + 0.5) / 4_294_967_296.0
        }

        fn normal(&mut self) -> f64 {
            Normal::standard().inverse_cdf(self.next())
        }
    }

    #[test]
    fn all_is_spent_and_no_more() {
        let levels = (0..LOOKS.len()).map(|look| design().options_at(look).level);
        assert!((levels.sum::<f64>() - 0.01).abs() < 1e-12);
    }

    /// Means of ever more normal values, looked at four times: the known answer is that the level is kept. Looked at
    /// without spending, it is not.
    #[test]
    fn looking_often_does_not_raise_the_error() {
        let design = design();
        let mut random = Uniform::new();
        let (mut spending, mut naive) = (0, 0);
        let runs = 40_000;
        for _ in 0..runs {
            let (mut sum, mut count) = (0.0, 0);
            let mut p = [0.0; LOOKS.len()];
            for (look, &until) in LOOKS.iter().enumerate() {
                while count < until {
                    sum += random.normal();
                    count += 1;
                }
                let z: f64 = sum / (count as f64).sqrt();
                p[look] = 2.0 * Normal::standard().cdf(-z.abs());
            }
            let level = |look| design.options_at(look).level;
            spending += usize::from((0..LOOKS.len()).any(|look| p[look] <= level(look)));
            naive += usize::from(p.iter().any(|&p| p <= 0.01));
        }
        let rate = |count: usize| count as f64 / runs as f64;
        assert!(rate(spending) <= 0.01 && rate(spending) > 0.004, "{}", rate(spending));
        assert!(rate(naive) > 0.014, "{}", rate(naive));
    }

    /// Runs a whole design on processes with this noise and change.
    fn run(random: &mut Uniform, noise: f64, factor: f64) -> (Verdict, usize) {
        let mut process = |factor: f64| {
            let level = factor * (noise * random.normal()).exp();
            let samples: Vec<f64> =
                (0..20).map(|i| level * (1.0 + 1e-3 * f64::from(i % 7))).collect();
            Process::new(&samples).unwrap()
        };
        let mut sides = Sides { base: Vec::new(), head: Vec::new() };
        for (look, &until) in LOOKS.iter().enumerate() {
            while sides.base.len() < until {
                sides.base.push(process(1.0));
                sides.head.push(process(factor));
            }
            let case = Case { id: "case".into(), sides: Ok(sides.clone()) };
            let judged = judge(&[case], &design().options_at(look)).remove(0);
            if design().is_over(look, &judged) {
                return (judged.verdict, until);
            }
        }
        unreachable!("the last look always stops")
    }

    #[test]
    fn clear_cases_stop_early_and_equal_code_is_rarely_blamed() {
        let mut random = Uniform::new();
        let mut alarms = 0;
        for _ in 0..30 {
            let (verdict, _) = run(&mut random, 0.02, 1.0);
            alarms += usize::from(matches!(verdict, Verdict::Regressed | Verdict::Improved));
        }
        // Of 30 at the level of 1 %, four or more have a probability below 0.0003.
        assert!(alarms <= 3, "{alarms}");
        assert_eq!(run(&mut random, 0.001, 1.2), (Verdict::Regressed, 4));
        assert_eq!(run(&mut random, 0.0005, 1.0).0, Verdict::Equivalent);
        assert_eq!(run(&mut random, 0.6, 1.0), (Verdict::Undecided, 10));
    }
}
