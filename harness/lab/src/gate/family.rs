//! Control of errors over a family of cases.

/// Holm's adjusted p-values, in the order given: comparing each with α keeps the probability of any false alarm in the
/// whole family at α, whatever the dependence between cases.
/// Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        least = least.max((p.len() - rank) as f64 * p[index]).min(1.0);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_by_hand() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - b).abs() < 1e-12, "{found:?}");
        }
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[0.2]), [0.2]);
    }

    proptest! {
        /// Never smaller than p, never larger than Bonferroni's, and in the same order.
        #[test]
        fn it_lies_between_p_and_bonferroni(p in prop::collection::vec(0.0..1.0_f64, 1..20)) {
            let adjusted = holm(&p);
            for (a, b) in p.iter().zip(&adjusted) {
                prop_assert!(b >= a && *b <= (a * p.len() as f64).min(1.0) + 1e-12);
            }
            for (i, a) in p.iter().enumerate() {
                for (j, b) in p.iter().enumerate() {
                    prop_assert!(a >= b || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
