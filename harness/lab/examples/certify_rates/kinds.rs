//! Generated benchmarks of known kinds: good ones, and ones that are bad for a known reason.
//!
//! Noise has the form that real processes have (`docs/STATISTICS.md`): heavy tails and skew within a process, levels of
//! processes with heavy tails around the benchmark's, autocorrelation, and now and then a sample that is far off.

use super::random::Random;
use super::{Benchmark, Outputs, Process, Scaled};

/// Samples of a process, processes of a session, and sessions, each a boot and a day.
const SAMPLES: usize = 50;
const PROCESSES: usize = 5;
const SESSIONS: usize = 2;

/// A kind of benchmark.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The reason that it must be given; nothing for a good one.
    pub(crate) reason: Option<&'static str>,
    pub(crate) make: fn(&mut Random) -> Benchmark,
}

/// All kinds, good ones first.
pub(crate) const KINDS: [Kind; 19] = [
    good("quiet", |r| steady(r, Noise::new(Style::Normal, 0.001, 0.005))),
    good("heavy-tailed", |r| steady(r, Noise::new(Style::Heavy, 0.002, 0.02))),
    good("skewed", |r| steady(r, Noise::new(Style::Skewed, 0.002, 0.02))),
    good("autocorrelated", |r| steady(r, Noise::new(Style::Correlated, 0.002, 0.02))),
    good("noisy", |r| steady(r, Noise::new(Style::Heavy, 0.03, 0.06))),
    good("spiky", |r| steady(r, Noise::new(Style::Spiky, 0.002, 0.01))),
    good("short warm-up", short_warm_up),
    bad("optimised away", "optimised-away", optimised_away),
    bad("warming up", "warming-up", warming_up),
    bad("bimodal", "bimodal", bimodal),
    bad("periodic", "periodic", periodic),
    bad("heat", "drifting", heat),
    bad("leaking", "leaking", leaking),
    bad("short for the clock", "too-short-for-the-clock", short_for_the_clock),
    bad("sleeping", "sleeping", sleeping),
    bad("unsteady", "unsteady", unsteady),
    bad("processes differ", "processes-differ", processes_differ),
    bad("boots differ", "boots-differ", boots_differ),
    bad("wrong outputs", "outputs-wrong", wrong_outputs),
];

const fn good(name: &'static str, make: fn(&mut Random) -> Benchmark) -> Kind {
    Kind { name, reason: None, make }
}

const fn bad(name: &'static str, reason: &'static str, make: fn(&mut Random) -> Benchmark) -> Kind {
    Kind { name, reason: Some(reason), make }
}

#[derive(Clone, Copy)]
enum Style {
    Normal,
    Heavy,
    Skewed,
    Correlated,
    Spiky,
}

/// The noise of a benchmark: its style, and the range of the spread within processes.
#[derive(Clone, Copy)]
struct Noise {
    style: Style,
    least: f64,
    most: f64,
}

impl Noise {
    const fn new(style: Style, least: f64, most: f64) -> Self {
        Self { style, least, most }
    }

    /// Noise under which a pattern of this size can be seen.
    fn under(random: &mut Random, size: f64) -> Self {
        let styles = [Style::Normal, Style::Heavy, Style::Skewed, Style::Correlated, Style::Spiky];
        let style = styles[random.below(styles.len())];
        Self::new(style, size / 50.0, size / 8.0)
    }

    /// Logarithms of the samples of one process around its level.
    fn draw(self, random: &mut Random, within: f64) -> Vec<f64> {
        let phi = random.between(0.2, 0.6);
        let mut last = random.normal();
        let mut one = |_| match self.style {
            Style::Normal => random.normal(),
            Style::Heavy => random.heavy(),
            Style::Skewed => random.skewed(),
            Style::Correlated => {
                last = phi * last + (1.0 - phi * phi).sqrt() * random.normal();
                last
            }
            Style::Spiky if random.chance(0.04) => random.between(0.1, 0.7) / within,
            Style::Spiky => random.heavy(),
        };
        (0..SAMPLES).map(|i| within * one(i)).collect()
    }
}

/// A good benchmark with this noise, and all evidence that there can be.
fn steady(random: &mut Random, noise: Noise) -> Benchmark {
    following(random, noise, |_, _| 0.0)
}

/// Its samples follow a course: the logarithm of a factor, by process and sample.
fn following(
    random: &mut Random,
    noise: Noise,
    mut course: impl FnMut(usize, usize) -> f64,
) -> Benchmark {
    let level_s = random.log_between(1e-6, 1e-1);
    let within = random.log_between(noise.least, noise.most);
    // Processes differ by less than their samples do, and the more so the noisier these are.
    let between = (0.03 * within.powf(0.6)).min(within);
    let runs = (1e-2 / level_s).max(1.0).round();
    let mut process = |index: usize| {
        let own = level_s.ln() + between * random.heavy();
        let noise = noise.draw(random, within).into_iter().enumerate();
        let samples_s: Vec<f64> = noise.map(|(i, x)| (own + x + course(index, i)).exp()).collect();
        Process {
            interval_s: Some(samples_s[0] * runs),
            processors_used: Some(random.between(0.9, 1.0)),
            boot: Some(format!("boot {}", index / PROCESSES)),
            day: Some(format!("day {}", index / PROCESSES)),
            load: Some(random.between(0.0, 0.4)),
            samples_s,
        }
    };
    let processes = (0..SESSIONS * PROCESSES).map(&mut process).collect();
    let work = 1e6;
    let other = |factor: f64, random: &mut Random| {
        let level_s = level_s * factor.powf(random.between(0.7, 1.1));
        let one = |_| noise.draw(random, within).iter().map(|x| level_s * x.exp()).collect();
        Scaled { work: factor * work, processes_s: (0..3).map(one).collect() }
    };
    let loaded = |random: &mut Random| {
        let slower = random.between(1.0, 1.6);
        Process::of(noise.draw(random, within).iter().map(|x| level_s * slower * x.exp()).collect())
    };
    Benchmark {
        id: "generated".into(),
        processes,
        loaded: (0..2).map(|_| loaded(random)).collect(),
        work: Some(work),
        scaling: vec![other(0.25, random), other(4.0, random)],
        peak_work_per_s: Some(1e14),
        clock_step_s: Some(25e-9),
        outputs: Outputs::Verified,
        waits_for_device: false,
    }
}

fn quiet(random: &mut Random) -> Benchmark {
    let noise = Noise::under(random, 0.1);
    steady(random, noise)
}

fn short_warm_up(random: &mut Random) -> Benchmark {
    let (size, length) = (random.log_between(0.05, 0.5), random.between(0.5, 1.2));
    let noise = Noise::under(random, 0.1);
    following(random, noise, |_, i| size * (-(i as f64) / length).exp())
}

/// Of some the time does not grow with work, others do more than any hardware could.
fn optimised_away(random: &mut Random) -> Benchmark {
    let mut benchmark = quiet(random);
    let level_s = benchmark.processes[0].samples_s[0];
    if random.chance(0.5) {
        let factor = random.log_between(10.0, 1e4);
        benchmark.peak_work_per_s = Some(1e6 / level_s / factor);
        benchmark.scaling.clear();
    } else {
        for scaled in &mut benchmark.scaling {
            let factor = level_s / scaled.processes_s[0][0];
            scaled.processes_s.iter_mut().flatten().for_each(|s| *s *= factor);
        }
    }
    benchmark
}

/// An exponential approach, or one to three steps.
fn warming_up(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.06, 0.6);
    let noise = Noise::under(random, size);
    if random.chance(0.5) {
        let length = SAMPLES as f64 * random.between(0.12, 0.7);
        return following(random, noise, |_, i| size * (-(i as f64) / length).exp());
    }
    let steps: Vec<f64> = (0..1 + random.below(3)).map(|_| random.between(0.2, 0.8)).collect();
    let step = size / steps.len() as f64;
    following(random, noise, move |p, i| {
        // Compilers are not done at the same sample in each process.
        let shift = (p * 7 % 5) as f64 / 2.0 - 1.0;
        let place = (i as f64 + shift) / SAMPLES as f64;
        steps.iter().filter(|at| **at > place).count() as f64 * step
    })
}

/// By sample, in stretches of several samples, or by process.
fn bimodal(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.05, 0.4);
    let noise = Noise::under(random, size);
    let share = random.between(0.2, 0.8);
    let mut own = Random::new(random.below(usize::MAX) as u64);
    if random.chance(0.25) {
        // Two processes of each session of five are slow.
        return following(
            random,
            noise,
            move |p, _| if p % PROCESSES % 2 == 1 { size } else { 0.0 },
        );
    }
    let stay = if random.chance(0.5) { 0.0 } else { random.between(0.5, 0.8) };
    let mut upper = false;
    following(random, noise, move |_, _| {
        if !own.chance(stay) {
            upper = own.chance(share);
        }
        if upper { size } else { 0.0 }
    })
}

/// A sinusoid, a square, or a pulse; a process begins anywhere in its period.
fn periodic(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.05, 0.4);
    let noise = Noise::under(random, size);
    let length = random.between(4.0, SAMPLES as f64 / 4.0);
    let shape = random.below(3);
    let starts: Vec<f64> = (0..SESSIONS * PROCESSES).map(|_| random.between(0.0, 1.0)).collect();
    following(random, noise, move |p, i| {
        let phase = (starts[p] + i as f64 / length).fract();
        match shape {
            0 => size / 2.0 * (std::f64::consts::TAU * phase).sin(),
            1 => f64::from(u8::from(phase < 0.5)) * size,
            _ => f64::from(u8::from(phase < 1.0 / length.round())) * size,
        }
    })
}

/// A body that is heated while a process runs, cools between processes, and slows the clock in proportion.
fn heat(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.08, 0.5);
    let noise = Noise::under(random, size);
    let length = SAMPLES as f64 * random.between(0.15, 0.8);
    let keeps = random.between(0.3, 0.9);
    let mut warmth = 0.0;
    following(random, noise, move |p, i| {
        if i == 0 {
            warmth *= if p % PROCESSES == 0 { 0.0 } else { keeps };
        }
        warmth += (1.0 - warmth) / length;
        f64::ln_1p(size * warmth)
    })
}

/// A list that every run makes longer and goes through, or through whose pairs it goes.
fn leaking(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.1, 2.0);
    let noise = Noise::under(random, size.min(0.5));
    let power = if random.chance(0.5) { 1 } else { 2 };
    following(random, noise, move |_, i| (size * (i as f64 / SAMPLES as f64).powi(power)).ln_1p())
}

/// What the clock tells are multiples of its step. Of some that step is told.
fn short_for_the_clock(random: &mut Random) -> Benchmark {
    let mut benchmark = quiet(random);
    let level_s = benchmark.processes[0].samples_s[0];
    let step_s = level_s * random.log_between(0.08, 0.7);
    for process in &mut benchmark.processes {
        for sample in &mut process.samples_s {
            // Where in a step it begins is chance.
            *sample = ((*sample / step_s + random.between(0.0, 1.0)).floor().max(1.0)) * step_s;
        }
        process.interval_s = None;
    }
    benchmark.clock_step_s = None;
    if random.chance(0.5) {
        benchmark.clock_step_s = Some(step_s);
        for process in &mut benchmark.processes {
            process.interval_s = Some(level_s);
        }
    }
    benchmark
}

fn sleeping(random: &mut Random) -> Benchmark {
    let mut benchmark = quiet(random);
    let used = random.log_between(0.005, 0.4);
    for process in &mut benchmark.processes {
        process.processors_used = Some(used * random.between(0.8, 1.1));
    }
    benchmark
}

/// One to three changes of the level of each process, at its own times, up and down in turns.
fn unsteady(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.06, 0.4);
    let noise = Noise::under(random, size);
    let mut all: Vec<Vec<(usize, f64)>> = Vec::new();
    for _ in 0..SESSIONS * PROCESSES {
        let first = if random.chance(0.5) { size } else { -size };
        let mut places: Vec<usize> =
            (0..1 + random.below(3)).map(|_| 8 + random.below(SAMPLES - 16)).collect();
        places.sort_unstable();
        let turn = |(n, at): (usize, usize)| (at, if n % 2 == 0 { first } else { -first });
        all.push(places.into_iter().enumerate().map(turn).collect());
    }
    following(random, noise, move |p, i| {
        all[p].iter().filter(|(at, _)| i >= *at).map(|(_, size)| size).sum()
    })
}

fn processes_differ(random: &mut Random) -> Benchmark {
    let noise = Noise::under(random, 0.1);
    let size = random.log_between(0.15, 0.5);
    let levels: Vec<f64> = (0..SESSIONS * PROCESSES).map(|_| size * random.normal()).collect();
    following(random, noise, move |p, _| levels[p])
}

fn boots_differ(random: &mut Random) -> Benchmark {
    let size = random.log_between(0.08, 0.5);
    let noise = Noise::under(random, size);
    following(random, noise, move |p, _| if p < PROCESSES { 0.0 } else { size })
}

fn wrong_outputs(random: &mut Random) -> Benchmark {
    Benchmark { outputs: Outputs::Wrong("outputs differ".into()), ..quiet(random) }
}
