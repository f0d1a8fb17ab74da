//! Lines read without copying, held against the same lines read by serde.

use super::*;
use crate::fingerprint::{Fingerprint, Part};
use crate::journal::{SUM, line, written};
use crate::mark::Mark;
use crate::record::{
    DeviceFacts, Environment, Fallback, Line, Measured, Metrics, OpTime, Outcome, OutputCheck,
    Purpose, Record, Samples, Series, Summary, Telemetry,
};
use fastrand::Rng;
use std::collections::BTreeMap;

fn word(rng: &mut Rng) -> String {
    const PIECES: [&str; 12] =
        ["a", "Z", "0", " ", "\"", "\\", "\n", "\u{1}", "é", "漢", "\u{1f600}", ",\"mark\":"];
    (0..rng.usize(..6)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()
}

/// A word that says something.
fn name(rng: &mut Rng) -> String {
    format!("n{}", word(rng))
}

fn number(rng: &mut Rng) -> u64 {
    match rng.u8(..4) {
        0 => 0,
        1 => u64::MAX,
        _ => rng.u64(..) >> rng.u8(..64),
    }
}

fn float(rng: &mut Rng) -> f64 {
    match rng.u8(..5) {
        0 => 0.0,
        1 => f64::from(rng.u32(..)),
        2 => 1e280,
        3 => f64::MIN_POSITIVE * rng.f64(),
        _ => 1e9 * rng.f64() / f64::from(1 + rng.u32(..99)),
    }
}

fn some<T>(rng: &mut Rng, make: fn(&mut Rng) -> T) -> Option<T> {
    if rng.bool() { Some(make(rng)) } else { None }
}

fn several<T>(rng: &mut Rng, make: fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(..4)).map(|_| make(rng)).collect()
}

fn named<T>(rng: &mut Rng, make: fn(&mut Rng) -> T) -> BTreeMap<String, T> {
    (0..rng.usize(..4)).map(|_| (name(rng), make(rng))).collect()
}

fn telemetry(rng: &mut Rng) -> Telemetry {
    let series = |rng: &mut Rng| {
        let values = several(rng, float);
        Series { at_ns: values.iter().map(|_| number(rng)).collect(), values }
    };
    let mut telemetry = Telemetry {
        over_ns: number(rng),
        series: named(rng, series),
        counters: named(rng, number),
        absent: named(rng, word),
    };
    let cold = Series { at_ns: vec![1], values: vec![-1.5] };
    telemetry.series.insert("system.temperature_celsius".into(), cold);
    telemetry
}

fn metrics(rng: &mut Rng) -> Metrics {
    let measured = |rng: &mut Rng| Measured {
        wall_ns: number(rng),
        cpu_ns: number(rng),
        clock_step_ns: number(rng),
        load: some(rng, float),
    };
    Metrics {
        load_ns: some(rng, number),
        compile_ns: some(rng, number),
        first_run_ns: some(rng, number),
        peak_memory_bytes: some(rng, number),
        items_per_run: some(rng, number),
        operations_per_run: some(rng, number),
        bytes_per_run: some(rng, number),
        stages: named(rng, number),
        measured: some(rng, measured),
        telemetry: some(rng, telemetry),
    }
}

fn summary(rng: &mut Rng) -> Summary {
    let mut sorted: Vec<f64> = (0..4).map(|_| float(rng)).collect();
    sorted.sort_by(f64::total_cmp);
    Summary {
        samples: number(rng).max(1),
        runs: number(rng),
        total_ns: float(rng),
        latency_ns_min: sorted[0],
        latency_ns_median: sorted[1],
        latency_ns_p95: sorted[2],
        latency_ns_max: sorted[3],
        relative_noise: some(rng, float),
    }
}

fn device(rng: &mut Rng) -> DeviceFacts {
    let mark = [Mark::Real, Mark::Software][rng.usize(..2)];
    DeviceFacts { mark, adapter: word(rng), driver: word(rng), details: named(rng, word) }
}

/// A sound record with all that one may have, or one that was skipped.
fn record(rng: &mut Rng) -> Record {
    let latency_ns = several(rng, float);
    let fallback = |rng: &mut Rng| Fallback { op: word(rng), why: word(rng), to: word(rng) };
    let output = |rng: &mut Rng| OutputCheck {
        name: word(rng),
        shape: several(rng, |rng| rng.usize(..99)),
        error: some(rng, float),
        tolerance: float(rng),
        summary: word(rng),
    };
    let part = |rng: &mut Rng| Part::text(word(rng), word(rng));
    let device = some(rng, device);
    let mut record = Record {
        format: FORMAT,
        id: name(rng),
        run: name(rng),
        recorded_at: Timestamp::from_nanosecond(rng.i64(..).into()).unwrap(),
        suite: name(rng),
        case: "m-é\"/cpu-2/f32/b1".parse().unwrap(),
        purpose: [Purpose::Test, Purpose::Measure][rng.usize(..2)],
        outcome: [Outcome::Passed, Outcome::Failed, Outcome::TimedOut, Outcome::Crashed]
            [rng.usize(..4)],
        mark: device.as_ref().map(|device| device.mark),
        device,
        message: some(rng, word),
        samples: Samples {
            iterations: latency_ns.iter().map(|_| number(rng)).collect(),
            summary: if latency_ns.is_empty() { some(rng, summary) } else { None },
            latency_ns,
        },
        metrics: metrics(rng),
        op_times: several(rng, |rng| OpTime { name: word(rng), time_ns: number(rng) }),
        fallbacks: several(rng, fallback),
        outputs: several(rng, output),
        environment: Environment {
            machine: word(rng),
            platform: word(rng),
            cpu: word(rng),
            threads: rng.usize(..99),
            memory_bytes: number(rng),
            rustc: word(rng),
            profile: word(rng),
            commit: word(rng),
            boot: word(rng),
        },
        fingerprint: Fingerprint::new(several(rng, part)),
    };
    if record.mark.is_none() {
        (record.outcome, record.samples, record.metrics) =
            (Outcome::Skipped, Samples::default(), Metrics::default());
        (record.op_times, record.fallbacks, record.outputs) = (Vec::new(), Vec::new(), Vec::new());
    }
    assert_eq!(record.fault(), None);
    record
}

/// A line with this text before its checksum, which is right.
fn summed(body: &str) -> String {
    format!("{body}{SUM}{:08x}\"}}\n", crc32fast::hash(body.as_bytes()))
}

fn owned<T: Clone>(pairs: &[(Text<'_>, T)]) -> BTreeMap<String, T> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
}

fn texts(pairs: &[(Text<'_>, Text<'_>)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Holds what was read against the record, field by field.
#[track_caller]
fn check(lean: &Lean<'_>, record: &Record) {
    assert_eq!((&*lean.id, &*lean.run, &*lean.suite), (&*record.id, &*record.run, &*record.suite));
    assert_eq!(lean.recorded_at_us, record.recorded_at.as_microsecond());
    assert_eq!(*lean.case, record.case.to_string());
    let case = &record.case;
    let parts = [&*case.model, case.endpoint.as_str(), &case.precision, &case.shape];
    assert_eq!(lean.case_parts(), Some(parts));
    let purpose = serde_json::to_value(record.purpose).unwrap();
    assert_eq!((lean.purpose, lean.outcome), (purpose.as_str().unwrap(), record.outcome.name()));
    assert_eq!(lean.mark, record.mark.map(Mark::name));
    let device = record.device.as_ref();
    assert_eq!(lean.adapter.as_deref(), device.map(|device| &*device.adapter));
    assert_eq!(lean.driver.as_deref(), device.map(|device| &*device.driver));
    assert_eq!(texts(&lean.details), device.map(|d| d.details.clone()).unwrap_or_default());
    assert_eq!(lean.message.as_deref(), record.message.as_deref());
    assert_eq!(
        (&lean.latency_ns, &lean.iterations, lean.summary),
        (&record.samples.latency_ns, &record.samples.iterations, record.samples.summary)
    );
    let metrics = &record.metrics;
    let counts = [lean.load_ns, lean.compile_ns, lean.first_run_ns, lean.peak_memory_bytes];
    assert_eq!(
        counts,
        [metrics.load_ns, metrics.compile_ns, metrics.first_run_ns, metrics.peak_memory_bytes]
    );
    let costs = [lean.items_per_run, lean.operations_per_run, lean.bytes_per_run];
    assert_eq!(costs, [metrics.items_per_run, metrics.operations_per_run, metrics.bytes_per_run]);
    assert_eq!(owned(&lean.stages), metrics.stages);
    let told = metrics.telemetry.clone().unwrap_or_default();
    let series = lean.series.iter().map(|series| {
        let values = Series { at_ns: series.at_ns.clone(), values: series.values.clone() };
        (series.name.to_string(), values)
    });
    assert_eq!(series.collect::<BTreeMap<_, _>>(), told.series);
    assert_eq!((owned(&lean.counters), texts(&lean.absent)), (told.counters, told.absent));
    assert!(metrics.telemetry.is_none() || lean.over_ns == told.over_ns);
    let ops = lean
        .op_times
        .iter()
        .map(|(name, time_ns)| OpTime { name: name.to_string(), time_ns: *time_ns });
    assert_eq!(ops.collect::<Vec<_>>(), record.op_times);
    let fallbacks = lean.fallbacks.iter().map(|[op, why, to]| Fallback {
        op: op.to_string(),
        why: why.to_string(),
        to: to.to_string(),
    });
    assert_eq!(fallbacks.collect::<Vec<_>>(), record.fallbacks);
    let outputs = lean.outputs.iter().map(|output| OutputCheck {
        name: output.name.to_string(),
        shape: output.shape.iter().map(|size| *size as usize).collect(),
        error: output.error,
        tolerance: output.tolerance,
        summary: output.summary.to_string(),
    });
    assert_eq!(outputs.collect::<Vec<_>>(), record.outputs);
    check_place(lean, record);
}

/// Holds the environment and the fingerprint against the record.
#[track_caller]
fn check_place(lean: &Lean<'_>, record: &Record) {
    let place = &lean.environment;
    let environment = Environment {
        machine: place.machine.to_string(),
        platform: place.platform.to_string(),
        cpu: place.cpu.to_string(),
        threads: place.threads as usize,
        memory_bytes: place.memory_bytes,
        rustc: place.rustc.to_string(),
        profile: place.profile.to_string(),
        commit: place.commit.to_string(),
        boot: record.environment.boot.clone(),
    };
    assert_eq!(environment, record.environment);
    assert_eq!(lean.fingerprint, record.fingerprint.digest);
    if let Some(parts) = &lean.parts {
        let parts = parts.iter().map(|(name, value)| Part::text(&**name, &**value));
        assert_eq!(parts.collect::<Vec<_>>(), record.fingerprint.parts);
    }
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let mut rng = Rng::with_seed(1);
    let mut memory = Memory::default();
    let records: Vec<Record> = (0..2000).map(|_| record(&mut rng)).collect();
    let lines: Vec<String> =
        records.iter().map(|record| written(&Line::Result(record.clone())).unwrap()).collect();
    let mut lean = Lean::default();
    for (record, line) in records.iter().zip(&lines) {
        assert!(lean.read(line.as_bytes(), &mut memory), "{line}");
        check(&lean, record);
    }
}

#[test]
fn a_fingerprint_is_told_once_and_an_environment_each_time() {
    let mut rng = Rng::with_seed(2);
    let mut memory = Memory::default();
    let mut first = record(&mut rng);
    first.fingerprint = Fingerprint::new([Part::text("code", "1")]);
    let mut other = first.clone();
    other.fingerprint.parts[0].value = "2".into();
    let moved = Record { environment: Environment::default(), ..first.clone() };
    let lines = [&first, &first, &other, &moved, &first]
        .map(|record| written(&Line::Result(record.clone())).unwrap());
    let mut lean = Lean::default();
    for ((line, told), machine) in lines
        .iter()
        .zip([true, false, true, true, false])
        .zip([&first, &first, &other, &moved, &first])
    {
        assert!(lean.read(line.as_bytes(), &mut memory));
        assert_eq!(lean.parts.is_some(), told, "{line}");
        assert_eq!(lean.environment.machine, machine.environment.machine);
    }
}

/// Whatever a line says, it is read in this way only if serde reads the same from it.
#[test]
fn nothing_is_read_that_serde_does_not_read() {
    const PIECES: [&str; 20] = [
        "\"",
        "\\",
        ",",
        ":",
        "{",
        "}",
        "[",
        "]",
        "null",
        "-",
        ".",
        "0",
        "1",
        "e5",
        " ",
        "\t",
        "é",
        "99999999999999999999",
        "1e999",
        "\"real\"",
    ];
    let mut rng = Rng::with_seed(3);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let text = written(&Line::Result(record(&mut rng))).unwrap();
        let mut body = text[..text.rfind(SUM).unwrap()].to_owned();
        let places: Vec<usize> = body.char_indices().map(|(at, _)| at).collect();
        let at = places[rng.usize(..places.len())];
        let end =
            places.iter().copied().find(|end| *end >= at + rng.usize(..3)).unwrap_or(body.len());
        body.replace_range(at..end, PIECES[rng.usize(..PIECES.len())]);
        let text = summed(&body);
        let mut lean = Lean::default();
        if lean.read(text.as_bytes(), &mut Memory::default()) {
            let Ok(Line::Result(record)) = line(text.as_bytes()) else { panic!("{text}") };
            check(&lean, &record);
            read += 1;
        } else {
            refused += 1;
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} {refused}");
}

#[test]
fn records_with_faults_are_left_to_the_one_who_judges() {
    let mut rng = Rng::with_seed(4);
    let sound = loop {
        let record = record(&mut rng);
        if record.mark.is_some()
            && !record.outputs.is_empty()
            && record.samples.latency_ns.len() > 1
        {
            break record;
        }
    };
    let faults: [fn(&mut Record); 16] = [
        |r| r.mark = None,
        |r| r.device = None,
        |r| {
            r.device.as_mut().unwrap().mark =
                if r.mark == Some(Mark::Real) { Mark::Claimed } else { Mark::Real }
        },
        |r| (r.mark, r.device) = (None, None),
        |r| {
            (r.mark, r.device.as_mut().unwrap().mark) = (Some(Mark::Simulated), Mark::Simulated);
        },
        |r| r.id.clear(),
        |r| r.suite.clear(),
        |r| r.outputs[0].tolerance = -1.0,
        |r| (r.samples.latency_ns[1], r.samples.iterations[1]) = (1e300, 1 << 60),
        |r| {
            let bad = Series { at_ns: vec![1], values: vec![1.0] };
            r.metrics.telemetry.get_or_insert_default().series.insert(String::new(), bad);
        },
        |r| r.samples.iterations.clear(),
        |r| r.samples.latency_ns[1] = -1.0,
        |r| r.outputs[0].error = Some(-1.0),
        |r| r.format = FORMAT + 1,
        |r| {
            let bad = Series { at_ns: vec![1], values: vec![-1.0] };
            r.metrics.telemetry.get_or_insert_default().series.insert("power.x_w".into(), bad);
        },
        |r| {
            let bad = Series { at_ns: vec![1, 2], values: vec![1.0] };
            r.metrics.telemetry.get_or_insert_default().series.insert("power.x_w".into(), bad);
        },
    ];
    for (number, fault) in faults.iter().enumerate() {
        let mut record = sound.clone();
        fault(&mut record);
        assert!(record.fault().is_some(), "{number}");
        let text = written(&Line::Result(record)).unwrap();
        assert!(!Lean::default().read(text.as_bytes(), &mut Memory::default()), "{number}");
    }
    let text = written(&Line::Result(sound)).unwrap();
    assert!(Lean::default().read(text.as_bytes(), &mut Memory::default()));
    let changed = text.replacen("\"suite\"", "\"Suite\"", 1);
    assert!(!Lean::default().read(changed.as_bytes(), &mut Memory::default()), "another checksum");
    let spaced = summed(&text[..text.rfind(SUM).unwrap()].replacen(':', ": ", 1));
    assert!(line(spaced.as_bytes()).is_ok());
    assert!(!Lean::default().read(spaced.as_bytes(), &mut Memory::default()));
}
