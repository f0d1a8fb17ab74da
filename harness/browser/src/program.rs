//! A graph that is prepared in a page: its runs, its times, and whether the page's clock can be believed.

use crate::clock;
use crate::tab::Page;
use proofmark_kernels::{Error, OpTime, Program, Tensor, Timing};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What a run took by the page's clock, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Elapsed {
    /// From the inputs in the page's memory to the outputs there.
    pub(crate) elapsed_ms: f64,
    /// Of it: writing inputs, recording and submitting.
    #[serde(default)]
    pub(crate) dispatch_ms: f64,
    /// Of it: until the results could be read.
    #[serde(default)]
    pub(crate) wait_ms: f64,
    /// Of it: reading them.
    #[serde(default)]
    pub(crate) read_ms: f64,
}

/// What preparing took by the page's clock, in milliseconds.
pub(crate) type Stages = std::collections::BTreeMap<String, f64>;

/// A step of a program, for its times.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) nodes: Vec<proofmark_kernels::Value>,
    pub(crate) live_bytes: u64,
}

/// How the tensors of a program cross to the page and back.
pub(crate) trait Codec {
    /// The inputs as bytes; an error if they are not the graph's.
    fn encode(&self, inputs: &[Tensor]) -> Result<Vec<Vec<u8>>, Error>;

    /// The outputs of the graph from what came back, which may be anything: an error says what is wrong with it.
    fn decode(&self, parts: &[Vec<u8>]) -> Result<Vec<Tensor>, Error>;
}

/// A program in a page.
pub(crate) struct PageProgram {
    page: Arc<Page>,
    /// `webgpu` or `webnn`: the first half of its commands.
    api: &'static str,
    id: u32,
    codec: Box<dyn Codec>,
    outputs: Vec<Tensor>,
    steps: Vec<Step>,
    stages: Vec<(String, Duration)>,
    /// Sums over the latest runs, and how many there were.
    latest: (Elapsed, u64),
    /// The most memory that the browser was seen to hold, in bytes, once it was looked at.
    memory: Option<Option<u64>>,
}

impl PageProgram {
    /// What was prepared in the page under a number.
    pub(crate) fn new(
        page: Arc<Page>,
        (api, id): (&'static str, u32),
        codec: Box<dyn Codec>,
        steps: Vec<Step>,
        stages: &Stages,
    ) -> Self {
        let timed = stages.iter().filter_map(|(name, ms)| {
            Some((name.strip_suffix("_ms")?.to_owned(), milliseconds(*ms)))
        });
        let (stages, latest) = (timed.collect(), (Elapsed::default(), 0));
        let memory = None;
        Self { page, api, id, codec, outputs: Vec::new(), steps, stages, latest, memory }
    }

    fn command<T: serde::de::DeserializeOwned>(
        &self,
        verb: &str,
        mut header: serde_json::Value,
        inputs: &[Tensor],
    ) -> Result<(T, Vec<Vec<u8>>, Duration), Error> {
        header["program"] = json!(self.id);
        let parts = self.codec.encode(inputs)?;
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let command = format!("{}.{verb}", self.api);
        let (answer, took) = clock::timed(|| self.page.call(&command, header, &parts));
        let (answer, outputs) = answer?;
        Ok((answer, outputs, took))
    }

    fn look_at_memory(&mut self) {
        self.memory = Some(self.memory.flatten().max(self.page.memory()));
    }
}

impl Program for PageProgram {
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let (elapsed, parts, took) = self.command::<Elapsed>("run", json!({}), inputs)?;
        let time = believed(elapsed.elapsed_ms, took, None).map_err(|why| self.page.failed(why))?;
        self.outputs = self.codec.decode(&parts)?;
        self.latest = (elapsed, 1);
        // Not while preparing, which is timed from outside; a run is timed by the page.
        if self.memory.is_none() {
            self.look_at_memory();
        }
        Ok((&self.outputs, time))
    }

    fn run_times(&mut self, inputs: &[Tensor], count: u64) -> Result<Duration, Error> {
        let header = json!({"count": count});
        let (elapsed, _, took) = self.command::<Elapsed>("times", header, inputs)?;
        if self.api == "webgpu" {
            // Its errors come later than its results.
            self.page.call::<IgnoredAny>("webgpu.settle", json!({}), &[])?;
        }
        self.latest = (elapsed, count);
        let time = believed(elapsed.elapsed_ms, took, Some(self.page.slack()));
        time.map_err(|why| self.page.failed(why))
    }

    fn stages(&self) -> Vec<(String, Duration)> {
        let mut stages = self.stages.clone();
        let (sums, count) = self.latest;
        if count > 0 {
            #[expect(clippy::cast_precision_loss, reason = "runs below 2^53 are exact")]
            let mean = |sum: f64| milliseconds(sum / count as f64);
            stages.push(("run-dispatch".into(), mean(sums.dispatch_ms)));
            stages.push(("run-wait".into(), mean(sums.wait_ms)));
            stages.push(("run-read-back".into(), mean(sums.read_ms)));
        }
        stages
    }

    fn peak_memory_bytes(&self) -> Option<u64> {
        self.memory.flatten()
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error> {
        #[derive(Deserialize)]
        struct Times {
            times_ns: Vec<u64>,
        }
        let (_, whole) = self.run(inputs)?;
        // Behind all measured runs, so that looking costs none of them.
        self.look_at_memory();
        if self.steps.is_empty() {
            return Ok(Timing { whole, ops: Vec::new() });
        }
        let (times, _, _) = self.command::<Times>("ops", json!({}), inputs)?;
        let ops = self.steps.iter().zip(times.times_ns).map(|(step, time_ns)| OpTime {
            name: step.name.clone(),
            nodes: step.nodes.clone(),
            time_ns,
            live_bytes: step.live_bytes,
        });
        Ok(Timing { whole, ops: ops.collect() })
    }
}

impl Drop for PageProgram {
    fn drop(&mut self) {
        // A page that is gone has given its memory back already.
        let command = format!("{}.drop", self.api);
        let header = json!({"program": self.id});
        let _ = self.page.call::<IgnoredAny>(&command, header, &[]);
        self.page.withdraw(self.id);
    }
}

/// A length of time in milliseconds; what is no such length is zero, and the clocks' comparison refuses it.
fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}

/// The page's time, if our clock agrees: a page cannot have worked longer than it was waited for, and with a slack,
/// not much less either.
fn believed(ms: f64, took: Duration, slack: Option<Duration>) -> Result<Duration, String> {
    let page = milliseconds(ms);
    // Clocks of browsers are rounded, by up to a millisecond.
    let longest = took + Duration::from_millis(1);
    let shortest =
        slack.map_or(Duration::ZERO, |slack| took.saturating_sub(took / 10).saturating_sub(slack));
    if ms.is_finite() && ms >= 0.0 && page <= longest && page >= shortest {
        return Ok(page);
    }
    Err(format!(
        "the page says that it worked for {ms} ms, by our clock it took {took:?}: its times are not believed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_our_clock_contradicts_are_refused() {
        let ms = Duration::from_millis;
        let slack = Some(ms(60));
        assert_eq!(believed(95.0, ms(100), slack), Ok(ms(95)));
        assert_eq!(believed(100.5, ms(100), slack), Ok(Duration::from_micros(100_500)));
        assert_eq!(believed(0.0, ms(50), slack), Ok(Duration::ZERO));
        for (claimed, took) in [(1.0, 500), (300.0, 500), (120.0, 100), (-1.0, 5)] {
            let refused = believed(claimed, ms(took), slack);
            assert!(refused.is_err_and(|why| why.contains("not believed")), "{claimed} {took}");
        }
        assert!(believed(f64::NAN, ms(5), None).is_err());
        assert!(believed(f64::INFINITY, ms(5), None).is_err());
        assert!(believed(1.0, ms(500), None).is_ok(), "one run carries its outputs home too");
    }
}
