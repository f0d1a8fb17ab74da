//! The real sample of legacy results, where it is there: counts that were verified by reading its files.

use super::*;
use proofmark::Mark;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

#[test]
fn the_sample_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/legacy-json");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    if paths.is_empty() {
        return;
    }
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut marks: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = read(&fs::read(path).unwrap(), name).unwrap();
        *outcomes.entry(found.outcome.name()).or_default() += 1;
        let of = marks
            .entry(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .or_default();
        for group in &found.groups {
            of[usize::from(group.mark == Mark::Claimed)] += group.rows.len();
        }
    }
    assert_eq!(outcomes, [("migrated", 60), ("no results", 67)].into());
    // Simulated and claimed numbers of files that say it in different ways.
    for (file, expected) in [
        ("web_platform_results/bert_webnn_20250306_232102/result.json", [4, 0]),
        ("benchmark_results/webgpu_results/clip_webgpu_20250306_184224/result.json", [4, 0]),
        ("test_data/performance_results/bert_cpu_test.json", [0, 18]),
        ("hardware_test_results/clip_cpu_test.json", [0, 2]),
        ("skills/collected_results/hf_distilbert_test_results.json", [5, 2]),
        ("skills/collected_results/hf_llava_next_test_results.json", [18, 0]),
        ("skills/collected_results/bert_test_bert-base-uncased_20250301_165412.json", [0, 20]),
        ("skills/collected_results/hf_t5_test_results.json", [1, 6]),
        ("critical_model_results/critical_model_tests_20250301_151515.json", [0, 12]),
        ("benchmark_results/20250302_201142/benchmark_results.json", [0, 0]),
        ("archived_test_results/claude_backoff_queue_test_20250301_174822.json", [0, 0]),
    ] {
        assert_eq!(marks[file], expected, "{file}");
    }
}
