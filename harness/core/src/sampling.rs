//! Timing under criterion. Only the samples of its measured phase are kept, and they are kept by us:
//! criterion's own files are never read.

use crate::case::{CaseId, Session};
use crate::clock;
use crate::job::Effort;
use crate::record::{Measured, Samples, Telemetry};
use crate::telemetry::Collector;
use criterion::{Criterion, SamplingMode};
use std::cell::RefCell;
use std::time::Duration;

/// Wanted length of the warm-up, as a part of that of the measured phase.
const WARM_UP: f64 = 0.15;

/// Lets criterion read the arguments of this process; it ends the process if it does not know one.
pub(crate) fn take_arguments() {
    let _ = Criterion::default().configure_from_args();
}

/// One call of a session.
#[derive(Clone, Copy, Debug)]
struct Call {
    iterations: u64,
    /// What the session says that they took.
    elapsed: Duration,
    /// What passed meanwhile.
    wall: Duration,
    /// What this process used of the processors meanwhile.
    cpu: Duration,
}

/// What was measured.
pub(crate) struct Sampled {
    pub(crate) samples: Samples,
    pub(crate) measured: Measured,
    /// Nothing where there are no samples.
    pub(crate) telemetry: Option<Telemetry>,
}

/// Takes the samples of a session that are asked for, and says what passed meanwhile. `is_own` says whether this process
/// does the work.
pub(crate) fn sample(
    id: &CaseId,
    session: &mut dyn Session,
    effort: &Effort,
    is_own: bool,
) -> Result<Sampled, String> {
    let count = effort.samples;
    let calls: RefCell<Vec<Call>> = RefCell::default();
    let failure: RefCell<Option<String>> = RefCell::default();
    let session = RefCell::new(session);
    let collector = RefCell::new(Collector::new(is_own));
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
            collector.borrow_mut().read(calls.borrow().len());
            let used = clock::processor_time();
            let (ran, wall) = clock::timed(|| session.borrow_mut().run_times(iterations));
            let cpu = clock::processor_time().saturating_sub(used);
            match ran {
                Ok(elapsed) => {
                    calls.borrow_mut().push(Call { iterations, elapsed, wall, cpu });
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
    let (samples, measured) = measured_phase(&calls, count);
    let telemetry = (!samples.latency_ns.is_empty())
        .then(|| collector.into_inner().finish(calls.len(), calls.len() - count));
    Ok(Sampled { samples, measured, telemetry })
}

/// The last `count` calls; none if there were not so many.
fn measured_phase(calls: &[Call], count: usize) -> (Samples, Measured) {
    let calls = calls.len().checked_sub(count).map_or(&[][..], |first| &calls[first..]);
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds and runs below 2^53 are exact")]
    let latency = |call: &Call| call.elapsed.as_nanos() as f64 / call.iterations as f64;
    let samples = Samples::new(
        calls.iter().map(latency).collect(),
        calls.iter().map(|call| call.iterations).collect(),
    );
    let sum = |of: fn(&Call) -> Duration| nanoseconds(calls.iter().map(of).sum());
    let measured = Measured {
        wall_ns: sum(|call| call.wall),
        cpu_ns: sum(|call| call.cpu),
        clock_step_ns: nanoseconds(clock::step()),
        load: None,
    };
    (samples, measured)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_is_not_a_sample() {
        let ms = Duration::from_millis;
        let call = |(iterations, elapsed)| Call {
            iterations,
            elapsed,
            wall: 2 * elapsed,
            cpu: elapsed / 2,
        };
        let calls = [(1, ms(9)), (2, ms(9)), (5, ms(10)), (5, ms(20))].map(call);
        let (samples, measured) = measured_phase(&calls, 2);
        assert_eq!(samples.latency_ns, [2e6, 4e6]);
        assert_eq!(samples.iterations, [5, 5]);
        assert_eq!((measured.wall_ns, measured.cpu_ns), (60_000_000, 15_000_000));
        assert!(measured.clock_step_ns > 0);
        assert_eq!(measured_phase(&calls, 5).0, Samples::default());
    }
}
