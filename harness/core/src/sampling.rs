//! Timing under criterion. Only the samples of its measured phase are kept, and they are kept by us:
//! criterion's own files are never read.

use crate::case::{CaseId, Session};
use crate::job::Effort;
use crate::record::Samples;
use criterion::{Criterion, SamplingMode};
use std::cell::RefCell;
use std::time::Duration;

/// Wanted length of the warm-up, as a part of that of the measured phase.
const WARM_UP: f64 = 0.15;

/// Lets criterion read the arguments of this process; it ends the process if it does not know one.
pub(crate) fn take_arguments() {
    let _ = Criterion::default().configure_from_args();
}

/// Takes the samples of a session that are asked for.
pub(crate) fn sample(
    id: &CaseId,
    session: &mut dyn Session,
    effort: &Effort,
) -> Result<Samples, String> {
    let count = effort.samples;
    let calls: RefCell<Vec<(u64, Duration)>> = RefCell::default();
    let failure: RefCell<Option<String>> = RefCell::default();
    let session = RefCell::new(session);
    let criterion = Criterion::default()
        .sample_size(count)
        .warm_up_time(effort.measure_for.mul_f64(WARM_UP))
        .measurement_time(effort.measure_for)
        .without_plots();
    // In silence the arguments are not criterion's, and nobody reads its bootstrap.
    let mut criterion =
        if effort.quiet { criterion.nresamples(1001) } else { criterion.configure_from_args() };
    // A group of the model alone: criterion shows `model/endpoint/precision/shape`, as everywhere else.
    let mut group = criterion.benchmark_group(&id.model);
    group.sampling_mode(SamplingMode::Flat);
    let name = format!("{}/{}/{}", id.endpoint, id.precision, id.shape);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            if failure.borrow().is_some() {
                return Duration::from_nanos(iterations);
            }
            match session.borrow_mut().run_times(iterations) {
                Ok(elapsed) => {
                    calls.borrow_mut().push((iterations, elapsed));
                    elapsed
                }
                Err(message) => {
                    *failure.borrow_mut() = Some(message);
                    Duration::from_nanos(iterations)
                }
            }
        });
    });
    group.finish();
    if let Some(message) = failure.into_inner() {
        return Err(message);
    }
    let calls = calls.into_inner();
    // Warm-up calls come first; `--test` and a filter of criterion's own leave fewer calls than samples.
    Ok(measured_phase(&calls, count))
}

/// The last `count` calls; none if there were not so many.
fn measured_phase(calls: &[(u64, Duration)], count: usize) -> Samples {
    let Some(first) = calls.len().checked_sub(count) else { return Samples::default() };
    let calls = calls[first..].iter();
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds and runs below 2^53 are exact")]
    let latency =
        |(iterations, elapsed): &(u64, Duration)| elapsed.as_nanos() as f64 / *iterations as f64;
    Samples {
        latency_ns: calls.clone().map(latency).collect(),
        iterations: calls.map(|(iterations, _)| *iterations).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_not_a_sample() {
        let ms = Duration::from_millis;
        let calls = [(1, ms(9)), (2, ms(9)), (5, ms(10)), (5, ms(20))];
        let samples = measured_phase(&calls, 2);
        assert_eq!(samples.latency_ns, [2e6, 4e6]);
        assert_eq!(samples.iterations, [5, 5]);
        assert_eq!(measured_phase(&calls, 5), Samples::default());
    }
}
