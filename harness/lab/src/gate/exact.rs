//! What exchangeability alone can say: the exact permutation test, and the smallest p that a design can reach.
//!
//! If base and head are the same code, every split of the processes into base and head was as likely as the one that
//! was seen. No model of the noise is needed, but with few processes there are few splits.

use statrs::function::factorial::binomial;

/// So many splits are enumerated at most; 12 processes a side have more.
const MOST_SPLITS: f64 = 3e6;

/// The smallest two-sided p that the exact permutation test reaches with so many processes a side: two splits of all,
/// the one that was seen and its opposite.
/// Source: Phipson & Smyth, "Permutation P-values Should Never Be Zero", Statistical Applications in Genetics and
/// Molecular Biology 9 (2010).
pub fn smallest_p(base: usize, head: usize) -> f64 {
    if base == 0 || head == 0 {
        return 1.0;
    }
    (2.0 / binomial((base + head) as u64, head as u64)).min(1.0)
}

/// How many processes a side the smallest balanced design has that can reach `alpha`.
pub fn processes_needed(alpha: f64) -> usize {
    (2..=600).find(|&n| smallest_p(n, n) <= alpha).unwrap_or(600)
}

/// The two-sided p of the exact permutation test of the difference of mean levels: the share of all splits whose
/// difference is at least as large, in either direction. Nothing for an empty group, and where the splits are too
/// many to enumerate.
/// Source: Fisher, "The Design of Experiments" (1935), section 21.
pub fn permutation_p(base: &[f64], head: &[f64]) -> Option<f64> {
    let splits = binomial((base.len() + head.len()) as u64, head.len() as u64);
    if base.is_empty() || head.is_empty() || splits > MOST_SPLITS {
        return None;
    }
    let all: Vec<f64> = base.iter().chain(head).copied().collect();
    let total: f64 = all.iter().sum();
    let count = head.len() as f64;
    // The distance of the sum of the head from what it is on average.
    let expected = total * count / all.len() as f64;
    let scale = all.iter().map(|x| (x - total / all.len() as f64).abs()).sum::<f64>();
    let seen = (head.iter().sum::<f64>() - expected).abs() - 1e-12 * scale;
    let mut extreme = 0_u64;
    each_sum(&all, head.len(), 0.0, &mut |sum| {
        extreme += u64::from((sum - expected).abs() >= seen)
    });
    Some(extreme as f64 / splits)
}

/// Calls with the sum of every choice of `count` values.
fn each_sum(values: &[f64], count: usize, sum: f64, call: &mut impl FnMut(f64)) {
    if count == 0 {
        return call(sum);
    }
    for (index, value) in values.iter().enumerate().take(values.len() + 1 - count) {
        each_sum(&values[index + 1..], count - 1, sum + value, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_p_of_known_designs() {
        assert!((smallest_p(3, 3) - 0.1).abs() < 1e-12);
        assert!((smallest_p(5, 5) - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(smallest_p(1, 1), 1.0);
        assert_eq!(smallest_p(0, 5), 1.0);
        assert_eq!(processes_needed(0.05), 4);
        assert_eq!(processes_needed(0.1), 3);
        assert_eq!(processes_needed(0.001), 7);
    }

    #[test]
    fn complete_separation_reaches_it() {
        let p = permutation_p(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((p.unwrap() - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(permutation_p(&[1.0, 1.0], &[1.0, 1.0]), Some(1.0));
        assert_eq!(permutation_p(&[], &[1.0]), None);
    }

    proptest! {
        /// Over all splits of the same values, p is at most α in at most a share of α of them: the test is exact.
        #[test]
        fn the_level_is_kept(values in prop::collection::vec(-1.0..1.0_f64, 6), alpha in 0.0..1.0_f64) {
            let mut rejected = 0;
            let masks: Vec<u32> = (0..64_u32).filter(|mask| mask.count_ones() == 3).collect();
            for mask in &masks {
                let side = |wanted| -> Vec<f64> {
                    (0..6).filter(|i| (mask >> i & 1 == 1) == wanted).map(|i| values[i]).collect()
                };
                let p = permutation_p(&side(false), &side(true)).unwrap();
                rejected += usize::from(p <= alpha);
            }
            prop_assert!(rejected as f64 <= alpha * masks.len() as f64 + 1e-9);
        }
    }
}
