//! A tree of 10,000 files of all kinds, scanned whole. The aim is less than 10 s on 2 cores.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use criterion::{Criterion, criterion_group, criterion_main};
use proofmark_scan::{Confidence, Options, scan};
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const FILES: usize = 10_000;

/// Cases of the corpus over and over, some of them several in one file, so that files are as long as real ones.
fn grow(folder: &Path) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut pieces: Vec<(String, String)> = Vec::new();
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        for part in fs::read_to_string(path).unwrap().split("==== ").skip(1) {
            let (head, text) = part.split_once('\n').unwrap();
            let file = head.split('|').nth(1).unwrap().trim();
            let extension = file.rsplit('.').next().unwrap().to_owned();
            let text = text.split("---- ").next().unwrap().to_owned();
            pieces.push((extension, text));
        }
    }
    for number in 0..FILES {
        let (extension, text) = &pieces[number % pieces.len()];
        let below = folder.join(format!("{:02}", number % 97));
        fs::create_dir_all(&below).unwrap();
        let again = if extension == "json" || extension == "html" { 1 } else { 1 + number % 9 };
        fs::write(below.join(format!("f{number}.{extension}")), text.repeat(again)).unwrap();
    }
}

fn tree(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    grow(folder.path());
    let paths = [folder.path().to_owned()];
    let options =
        Options { min_confidence: Confidence::Medium, base: folder.path(), committed: &|_| None };
    let mut group = c.benchmark_group("scan");
    group.sample_size(10).measurement_time(Duration::from_secs(30));
    group.bench_function("10,000 files", |b| {
        b.iter(|| {
            let found = scan(black_box(&paths), &options).unwrap();
            assert_eq!(found.files, FILES);
            found
        })
    });
    group.finish();
}

criterion_group!(benches, tree);
criterion_main!(benches);
