//! `simulate` as people call it: a fit over a table of operators, predictions beside them, a whole model, and what bad
//! input is told.

use crate::support::{Adopter, root, xtask};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A device with these peaks, in Gflop/s and GB/s.
fn device(name: &str, peak: f64, bandwidth: f64) -> Value {
    json!({"device": name, "memory_gb": 16, "memory_bandwidth_gb_s": bandwidth, "compute_units": 40,
           "cores_per_unit": 64, "clock_mhz": 1500, "f32_matrix_gflop_s": peak, "f32_vector_gflop_s": peak, "l2_mb": 4})
}

/// A folder with devices.json, and ops.csv with times that are three quarters of the peaks on all but the last device.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let devices = [
        ("Small", 4e3, 200.0),
        ("Middle", 8e3, 400.0),
        ("Large", 16e3, 800.0),
        ("Absent", 12e3, 600.0),
    ];
    let list: Vec<Value> = devices.map(|(name, peak, width)| device(name, peak, width)).into();
    fs::write(folder.path().join("devices.json"), serde_json::to_vec(&list).unwrap()).unwrap();
    let mut table = "op,device,b,m,n,k,h,latency_ms\n".to_owned();
    for (name, peak, bandwidth) in &devices[..3] {
        for size in (1..=24).map(|step| 512 * step) {
            let size_f = f64::from(size);
            // Noise of up to 3 %, the same each time.
            let noise = 1.0 + 0.015 * (f64::from(size / 512 * 7 % 5) - 2.0);
            let product = noise * 2.0 * size_f.powi(3) / 1e6 / peak / 0.75;
            let rows = noise * 65_536.0 * size_f * 8.0 / 1e6 / bandwidth / 0.75;
            table += &format!("linear,{name},1,{size},{size},{size},,{product}\n");
            table += &format!("relu,{name},65536,,,,{size},{rows}\n");
            table += &format!("softmax,{name},65536,,,,{size},{}\n", 1.5 * rows);
        }
    }
    fs::write(folder.path().join("ops.csv"), table).unwrap();
    folder
}

/// Runs `simulate` in a folder; gives the exit code and what was said.
fn simulate(folder: &Path, args: &str) -> (Option<i32>, String, String) {
    let words: Vec<&str> = std::iter::once("simulate").chain(args.split(' ')).collect();
    let output = xtask(&words).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const FIT: &str = "fit --ops ops.csv --devices devices.json --out fit";

#[test]
fn a_device_that_nobody_measured_is_predicted_beside_its_row() {
    let folder = folder();
    let (code, out, said) = simulate(folder.path(), &format!("{FIT} --format json"));
    assert_eq!(code, Some(0), "{said}");
    let validation: Value = serde_json::from_str(&out).unwrap();
    assert!(validation["mape"].as_f64().unwrap() < 0.1, "{out}");
    assert_eq!(validation["errors"].as_array().unwrap().len(), 9);
    fs::write(
        folder.path().join("new.csv"),
        "device,op,b,m,n,k,h\nAbsent,linear,1,4096,4096,4096,\nAbsent,softmax,65536,,,,2048\n",
    )
    .unwrap();
    let predict = "predict --ops new.csv --devices devices.json --fit fit --out out.csv";
    let (code, _, said) = simulate(folder.path(), predict);
    assert_eq!(code, Some(0), "{said}");
    let table = fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0][7..],
        ["predicted_ms", "low_ms", "high_ms", "confidence", "nearest_device", "extrapolates"]
    );
    let truths =
        [2.0 * 4096.0_f64.powi(3) / 12e9 / 0.75, 1.5 * 65_536.0 * 2048.0 * 8.0 / 600e6 / 0.75];
    for (line, truth) in lines[1..].iter().zip(truths) {
        let number = |column: usize| line[column].parse::<f64>().unwrap();
        assert!((number(7) / truth - 1.0).abs() < 0.15, "{line:?} {truth}");
        assert!(number(8) < truth && truth < number(9), "{line:?} {truth}");
        assert_eq!(line[12], "false", "{line:?}");
    }
    // For people: the errors of each device that was left out, and the worst rows.
    let (_, out, said) = simulate(folder.path(), FIT);
    assert!(out.contains("device left out") && out.contains("worst operators"), "{out}");
    assert!(said.contains("each device is left out once"), "{said}");
}

#[test]
fn a_fit_of_other_inputs_is_kept() {
    let folder = folder();
    assert_eq!(simulate(folder.path(), FIT).0, Some(0));
    let files = || fs::read_dir(folder.path().join("fit")).unwrap().count();
    assert_eq!(files(), 2);
    assert_eq!(simulate(folder.path(), FIT).0, Some(0));
    assert_eq!(files(), 2, "the same inputs make the same fit");
    let ops = folder.path().join("ops.csv");
    let text = fs::read_to_string(&ops).unwrap() + "relu,Small,65536,,,,100,0.4\n";
    fs::write(ops, text).unwrap();
    assert_eq!(simulate(folder.path(), FIT).0, Some(0));
    assert_eq!(files(), 4);
}

#[test]
fn bad_input_is_told_and_leaves_nothing() {
    let folder = folder();
    let check = |args: &str, says: &str| {
        let (code, _, said) = simulate(folder.path(), args);
        assert_eq!(code, Some(2), "{args}: {said}");
        assert!(said.contains(says), "{args}: {said}");
    };
    let predict = "predict --ops ops.csv --devices devices.json --fit fit --out out.csv";
    check(predict, "make a fit first: cargo xtask simulate fit");
    assert_eq!(simulate(folder.path(), FIT).0, Some(0));
    let bad = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    bad("bad.csv", "op,device,b,h\nrelu,Small,8,8\nrelu,Nowhere,8,8\n");
    check(
        &predict.replace("ops.csv", "bad.csv"),
        "line 3: device Nowhere is not listed; listed are Small",
    );
    assert!(
        !folder.path().join("out.csv").exists() && !folder.path().join("out.csv.part").exists()
    );
    check(&predict.replace("out.csv", "ops.csv"), "--out would overwrite the operators");
    check(&FIT.replace("ops.csv", "bad.csv"), "it has no latency_ms");
    check(&FIT.replace("ops.csv", "none.csv"), "failed to read none.csv");
    bad(
        "slow.json",
        &json!([
            device("Small", 1.0, 200.0),
            device("Middle", 8e3, 400.0),
            device("Large", 16e3, 800.0)
        ])
        .to_string(),
    );
    check(
        &FIT.replace("devices.json", "slow.json"),
        "f32_matrix_gflop_s is 1: correct the figure or the row",
    );
    bad("zero.json", &json!([device("Small", 0.0, 200.0)]).to_string());
    check(&FIT.replace("devices.json", "zero.json"), "device Small: f32_matrix_gflop_s is 0");
    bad("fit/fit.json", "{\"version\": 99}");
    check(predict, "is of version 99, this program's is 1: fit again");
}

#[test]
fn a_suite_without_kernels_is_told() {
    let folder = folder();
    assert_eq!(simulate(folder.path(), FIT).0, Some(0));
    let adopter = Adopter::new();
    let fit = folder.path().join("fit");
    let args = ["simulate", "case", "--model", "double", "--fit", fit.to_str().unwrap()];
    let output = adopter.xtask(&args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("operators"), "{said}");
    // The devices that come with Proofmark are known to everybody.
    let args = [&args[..], &["--device", "T5"]].concat();
    let output = adopter.xtask(&args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("device T5 is not listed; listed are AMD Instinct MI100"), "{said}");
    assert!(root().join("docs/SIMULATION.md").exists());
}
