//! Tests of the whole of a fit, on operators whose true times are made by a known rule.

use super::*;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

const NAMES: [&str; 4] =
    ["NVIDIA A100-PCIE-40GB", "Tesla P100-PCIE-16GB", "Tesla V100-PCIE-32GB", "Tesla T4"];

fn devices(names: &[&str]) -> Vec<Device> {
    let all = Device::published().unwrap();
    names.iter().map(|name| Device::find(&all, name).unwrap().clone()).collect()
}

/// Operators of all classes, small and large.
fn operators() -> Vec<Operator> {
    let mut operators = Vec::new();
    let mut add = |op: &str, [b, m, n, k, h]: [f64; 5]| {
        operators.push(Operator { op: op.to_owned(), b, m, n, k, h });
    };
    for m in [256.0, 1024.0, 4096.0, 16_384.0] {
        for n in [512.0, 1536.0, 4096.0] {
            for k in [64.0, 768.0, 4096.0] {
                add("linear", [1.0, m, n, k, 0.0]);
            }
        }
    }
    for b in [16.0, 96.0, 512.0] {
        for m in [64.0, 196.0, 1024.0] {
            for k in [64.0, 512.0] {
                add("bmm", [b, m, m, k, 0.0]);
            }
        }
    }
    for b in [8192.0, 65_536.0, 524_288.0] {
        for h in [768.0, 1600.0, 4096.0] {
            for op in ["add", "relu", "softmax", "ln"] {
                add(op, [b, 0.0, 0.0, 0.0, h]);
            }
        }
    }
    operators
}

/// Times by a rule that the model does not know: waves of 128 × 128, a share of the peaks, a start, and noise of 3 %.
fn measured(devices: &[Device]) -> Vec<Measured> {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut rows = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        for operator in operators() {
            let memory = physics::ideal_memory_ms(&operator, device) / 0.8;
            let busy = match operator.class().unwrap() {
                Class::Product => {
                    let (b, m, n, k) = operator.product();
                    let tiles = (m / 128.0).ceil() * (n / 128.0).ceil() * b;
                    let waves = (tiles / device.compute_units).ceil();
                    let wave_flop = 2.0 * 128.0 * 128.0 * k * device.compute_units;
                    let energy =
                        16.0 * (device.process_nm.unwrap() / 12.0 * device.clock_mhz / 1e3).sqrt();
                    let drawn = 0.85 * energy * 1e-3 * device.f32_matrix_gflop_s;
                    let share =
                        0.85 * (device.board_power_w.unwrap() / drawn).min(1.0).powf(2.0 / 3.0);
                    (waves * wave_flop / 1e6 / device.f32_matrix_gflop_s / share).max(memory)
                }
                Class::Pointwise => memory,
                Class::Row => 1.3 * memory,
            };
            let noise = 1.0 + 0.03 * (f64::from(rng.next_u32()) / 2_147_483_648.0 - 1.0);
            rows.push(Measured { operator, device: index, latency_ms: (busy + 0.01) * noise });
        }
    }
    rows
}

#[test]
fn a_rule_that_devices_share_is_found_and_its_error_is_told() {
    let devices = devices(&NAMES);
    let (fit, validation) = Fit::new(&devices, &measured(&devices), "made".into()).unwrap();
    assert_eq!(validation.errors.len(), 4 * 3);
    assert!(validation.mape < 0.2, "{validation:?}");
    assert!(validation.mape_within < validation.mape, "{validation:?}");
    assert!(validation.coverage > Some(0.75), "{validation:?}");
    // The P4 was never measured; its true times come from the rule.
    let p4 = self::devices(&["Tesla P4"]);
    let truth = measured(&p4);
    let asked: Vec<_> = truth.iter().map(|row| (&row.operator, &p4[0])).collect();
    let predicted = fit.predict(&asked).unwrap();
    let errors = predicted.iter().zip(&truth);
    let errors = errors.map(|(p, row)| (p.predicted_ms / row.latency_ms - 1.0).abs());
    let mape = errors.sum::<f64>() / truth.len() as f64;
    assert!(mape < 0.25, "{mape}");
    let inside = |(p, row): &(&Prediction, &Measured)| {
        p.low_ms <= row.latency_ms && row.latency_ms <= p.high_ms
    };
    let inside = predicted.iter().zip(&truth).filter(inside).count();
    assert!(inside as f64 > 0.75 * truth.len() as f64, "{inside} of {}", truth.len());
    for prediction in &predicted {
        assert!(prediction.low_ms < prediction.predicted_ms);
        assert!(prediction.predicted_ms < prediction.high_ms);
        assert!(prediction.extrapolates, "no measured device has so little of everything");
        assert_eq!(prediction.nearest_device, "Tesla T4");
    }
}

/// The whole point of leaving a device out: nothing that was measured on it shapes what is predicted for it, nor the
/// interval that it is held against.
#[test]
fn a_device_that_is_left_out_does_not_teach_what_predicts_it() {
    let devices = devices(&NAMES);
    let rows = measured(&devices);
    let slowed = |factor: f64| {
        let slow = |row: &Measured| match devices[row.device].device == NAMES[3] {
            true => Measured { latency_ms: factor * row.latency_ms, ..row.clone() },
            false => row.clone(),
        };
        let rows: Vec<Measured> = rows.iter().map(slow).collect();
        let (_, validation) = Fit::new(&devices, &rows, "made".into()).unwrap();
        let own = validation.errors.into_iter().filter(|errors| errors.device == NAMES[3]);
        own.collect::<Vec<_>>()
    };
    for (plain, slow) in slowed(1.0).into_iter().zip(slowed(20.0)) {
        let ratio = (1.0 + plain.bias) / (1.0 + slow.bias);
        assert!((ratio / 20.0 - 1.0).abs() < 1e-9, "{plain:?} {slow:?}");
        assert_eq!(slow.coverage, Some(0.0), "{slow:?}");
    }
}

#[test]
fn a_measured_device_is_surer_than_a_stranger() {
    let devices = devices(&NAMES);
    let (fit, _) = Fit::new(&devices, &measured(&devices), "made".into()).unwrap();
    let strange = self::devices(&["AMD Instinct MI100"]);
    for operator in operators() {
        let of = |device: &Device| fit.predict(&[(&operator, device)]).unwrap().remove(0);
        let (known, stranger) = (of(&devices[0]), of(&strange[0]));
        let width = |p: &Prediction| (p.high_ms / p.low_ms).ln();
        assert!(width(&known) < width(&stranger), "{operator}");
        assert!(!known.extrapolates, "{operator}");
        assert!(known.confidence <= stranger.confidence);
        assert!(known.validated_error.is_some());
    }
    // Larger than all that was measured, on a device that was.
    let huge = Operator { op: "add".into(), b: 1e8, m: 0.0, n: 0.0, k: 0.0, h: 4096.0 };
    let far = fit.predict(&[(&huge, &devices[0])]).unwrap().remove(0);
    assert!(far.extrapolates && far.validated_error.is_none(), "{far:?}");
    assert_eq!(far.confidence, Confidence::Unvalidated);
    let large = Operator { b: 524_288.0, ..huge.clone() };
    let near = fit.predict(&[(&large, &devices[0])]).unwrap().remove(0);
    let width = |p: &Prediction| (p.high_ms / p.low_ms).ln();
    assert!(width(&far) > 2.5 * width(&near), "{far:?} {near:?}");
    assert_ne!(near.confidence, Confidence::Unvalidated);
}

#[test]
fn a_fit_is_the_same_each_time_and_survives_its_file() {
    let devices = devices(&NAMES);
    let rows = measured(&devices);
    let text = || {
        let (fit, validation) = Fit::new(&devices, &rows, "made".into()).unwrap();
        (serde_json::to_string(&fit).unwrap(), serde_json::to_string(&validation).unwrap())
    };
    let (first, second) = (text(), text());
    assert!(first == second, "two fits of the same rows differ");
    let read: Fit = serde_json::from_str(&first.0).unwrap();
    let (fit, _) = Fit::new(&devices, &rows, "made".into()).unwrap();
    let asked = [(&rows[0].operator, &devices[1])];
    assert_eq!(read.predict(&asked).unwrap(), fit.predict(&asked).unwrap());
}

#[test]
fn what_contradicts_itself_is_refused() {
    let devices = devices(&NAMES);
    let refused = |devices: &[Device], rows: &[Measured], says: &str| {
        let error = Fit::new(devices, rows, String::new()).err().expect("it should be refused");
        assert!(error.to_string().contains(says), "{error}");
    };
    let mut rows = measured(&devices);
    let slow = |d: &Device| Device { f32_matrix_gflop_s: 100.0, ..d.clone() };
    refused(&[slow(&devices[0])], &rows[..1], "f32_matrix_gflop_s is 100: correct the figure");
    let narrow = Device { memory_bandwidth_gb_s: 10.0, ..devices[0].clone() };
    let large = rows.iter().find(|row| row.operator.op == "add" && row.operator.b > 5e5).unwrap();
    refused(&[narrow], std::slice::from_ref(large), "GB/s, and its memory_bandwidth_gb_s is 10");
    // Clocks are boosted, but not by a fifth.
    let product = rows.iter().find(|row| row.operator.op == "linear").unwrap();
    let reached = product.operator.flop() / 1e6 / product.latency_ms;
    let of_peak = |share: f64| Device { f32_matrix_gflop_s: reached / share, ..devices[0].clone() };
    let message = |device: Device| {
        let rows = std::slice::from_ref(product);
        Fit::new(&[device], rows, String::new()).err().expect("one row is too few").to_string()
    };
    assert!(message(of_peak(1.2)).contains("correct the figure"));
    assert!(message(of_peak(1.1)).contains("two are needed"));
    // Of two devices each is predicted from the other, and no interval can be tried.
    let two: Vec<Measured> = rows.iter().filter(|row| row.device < 2).cloned().collect();
    let (_, validation) = Fit::new(&devices, &two, String::new()).unwrap();
    assert_eq!((validation.errors.len(), validation.coverage), (2 * 3, None));
    rows.retain(|row| row.device == 0);
    refused(&devices, &rows, "1 devices were measured well enough: two are needed");
}

#[test]
fn a_table_keeps_its_columns_and_gets_six() {
    let devices = devices(&NAMES);
    let (fit, _) = Fit::new(&devices, &measured(&devices), "made".into()).unwrap();
    let input =
        "note,op,device,b,m,n,k,h\n\"a, b\",bmm,Tesla T4,16,64,64,64,\n,ln,Tesla T4,8192,,,,768\n";
    let mut out = Vec::new();
    assert_eq!(table::predict(&fit, &devices, input.as_bytes(), &mut out).unwrap(), 2);
    let mut reader = csv::Reader::from_reader(out.as_slice());
    let headers = reader.headers().unwrap().clone();
    assert_eq!(
        headers.iter().collect::<Vec<_>>()[..8],
        ["note", "op", "device", "b", "m", "n", "k", "h"]
    );
    assert_eq!(headers.iter().collect::<Vec<_>>()[8..], table::ADDED);
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(&rows[0][0], "a, b");
    for row in &rows {
        let number = |column: usize| row[column].parse::<f64>().unwrap();
        assert!(number(9) < number(8) && number(8) < number(10));
        assert_eq!((&row[12], &row[13]), ("Tesla T4", "false"));
    }
    let again = table::predict(&fit, &devices, out.as_slice(), Vec::new()).unwrap_err();
    assert!(again.to_string().contains("column `predicted_ms` already"), "{again}");
}

#[test]
fn a_bad_row_is_told_with_its_line() {
    let devices = devices(&NAMES);
    let check = |rows: &str, says: &str| {
        let text = format!("op,device,b,m,n,k,h,latency_ms\nrelu,Tesla T4,8,,,,8,0.1\n{rows}\n");
        let error = table::read_measured(text.as_bytes(), &devices).unwrap_err().to_string();
        assert!(error.contains("line 3: ") && error.contains(says), "{error}");
    };
    check("relu,Tesla T4,8,,,,8,", "it has no latency_ms");
    check("relu,Tesla T4,8,,,,8,0", "latency_ms is 0");
    check("relu,Tesla T4,8,,,,8,NaN", "latency_ms is NaN");
    check("relu,Tesla T5,8,,,,8,1", "device Tesla T5 is not listed; listed are NVIDIA A100");
    check("conv,Tesla T4,8,,,,8,1", "no operator `conv`");
    check("bmm,Tesla T4,8,,8,8,,1", "bmm needs m");
    check("relu,Tesla T4,x,,,,8,1", "invalid float");
    let short = table::read_measured("op,device\nrelu,Tesla T4\n".as_bytes(), &devices);
    assert!(short.unwrap_err().to_string().contains("relu needs b"));
    let empty = table::read_measured("op,device,b,h,latency_ms\n".as_bytes(), &devices);
    assert_eq!(empty.unwrap_err().to_string(), "there is no row");
}

#[test]
fn a_model_is_the_sum_of_its_kernels() {
    let devices = devices(&NAMES);
    let (fit, _) = Fit::new(&devices, &measured(&devices), "made".into()).unwrap();
    let outline: whole::Outline = serde_json::from_str(
        r#"{"model": "m", "shape": "b1", "parameters": 9, "weight_bytes": 8000000000, "value_bytes": 9000000000,
            "kernels": [{"node": "linear", "op": "linear", "b": 1, "m": 512, "n": 512, "k": 512, "h": 0},
                        {"node": "relu", "op": "relu", "b": 512, "m": 0, "n": 0, "k": 0, "h": 512}]}"#,
    )
    .unwrap();
    let on = |device: &Device| whole::predict(&fit, device, &outline).unwrap();
    let t4 = on(&devices[3]);
    let sum: f64 = t4.parts.iter().map(|part| part.predicted_ms).sum();
    assert!((t4.predicted_ms - sum).abs() < 1e-12 && t4.low_ms < sum && sum < t4.high_ms);
    assert_eq!(t4.mark, proofmark::Mark::Simulated);
    assert!((t4.shares.values().sum::<f64>() - 1.0).abs() < 1e-12);
    // 17 GB are more than the 15 of a T4 and less than the 40 of an A100.
    assert_eq!((t4.fits, on(&devices[0]).fits), (false, true));
    // What is said of the whole is what is said of its kernels, by their shares of the time.
    let strange = self::devices(&["AMD Instinct MI100"]).remove(0);
    for device in [&devices[3], &strange] {
        let asked: Vec<_> = outline.kernels.iter().map(|k| (&k.operator, device)).collect();
        let kernels = fit.predict(&asked).unwrap();
        let whole = on(device);
        let share = |p: &Prediction| p.predicted_ms / whole.predicted_ms;
        let extrapolated: f64 = kernels.iter().filter(|p| p.extrapolates).map(share).sum();
        assert!((whole.extrapolated_share - extrapolated).abs() < 1e-12, "{whole:?}");
        let errors: Option<Vec<f64>> =
            kernels.iter().map(|p| Some(share(p) * p.validated_error?)).collect();
        let error = errors.map(|errors| errors.iter().sum::<f64>());
        assert_eq!(
            whole.validated_error.map(|e| (1e9 * e).round()),
            error.map(|e| (1e9 * e).round())
        );
    }
    assert!(on(&strange).extrapolated_share > 0.99);
}
