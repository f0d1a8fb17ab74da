//! `kill -9` at a hundred points of runs, ingests and migrations: the store opens, the next call goes on, and at most the
//! record that was being written is lost.

use crate::desk::{Desk, acknowledged, kill_after, recorded, start, timed, writer};
use crate::support::{Adopter, target_dir, xtask_program};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

const RUNS: usize = 12;
const WRITERS: usize = 38;
const INGESTS: usize = 27;
const MIGRATIONS: usize = 23;
const _: () = assert!(RUNS + WRITERS + INGESTS + MIGRATIONS == 100);

/// Kills processes of one kind, each at a random point of its life. How long that is is learned, for other work slows them.
pub(crate) struct Aim {
    random: fastrand::Rng,
    life: Duration,
    hits: usize,
    shots: usize,
}

impl Aim {
    pub(crate) fn new(seed: u64, life: Duration) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), life, hits: 0, shots: 0 }
    }

    pub(crate) fn shoot(&mut self, child: &mut Child) {
        let time = self.life.mul_f64(0.15 + 0.85 * self.random.f64());
        self.shots += 1;
        if kill_after(child, time) {
            self.hits += 1;
            self.life = self.life.mul_f64(1.1);
        } else {
            // It had ended before.
            self.life = time.mul_f64(0.9);
        }
    }

    /// Whether so many processes were killed at work.
    #[track_caller]
    pub(crate) fn needs(&self, hits: usize) -> bool {
        assert!(self.shots < 10 * hits, "only {} of {} kills hit something", self.hits, self.shots);
        self.hits < hits
    }
}

#[test]
fn killed_writers_lose_at_most_the_record_that_is_being_written() {
    let mut random = fastrand::Rng::with_seed(1);
    let desk = Desk::new();
    let mut known = BTreeSet::new();
    for round in 0..WRITERS {
        let said = desk.path(&format!("acknowledged-{round}"));
        let mut writer = writer(&desk.state(), 1_000_000, &said);
        let begin = Instant::now();
        while acknowledged(&said).is_empty() && begin.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(1));
        }
        assert!(kill_after(&mut writer, Duration::from_micros(random.u64(0..30_000))));
        let acknowledged: BTreeSet<_> = acknowledged(&said).into_iter().collect();
        assert!(!acknowledged.is_empty(), "the writer wrote nothing");
        let now = desk.recorded();
        let new: BTreeSet<_> = now.difference(&known).cloned().collect();
        assert!(acknowledged.is_subset(&new), "an acknowledged record is lost");
        // Whole, and its writer had no time to say so.
        assert!(new.len() - acknowledged.len() <= 1, "{} more than were acknowledged", new.len());
        known = now;
        if round % 4 == 3 {
            desk.ingest();
            assert_eq!(desk.stored(), known);
        }
    }
    desk.ingest();
    assert_eq!(desk.stored(), known);
    assert!(desk.check_equal().is_empty());
}

#[test]
fn killed_runs_go_on_with_what_they_lack() {
    let adopter = Adopter::new();
    let args = ["--profile", "dev", "incremental", "--force", "--samples", "10"];
    let run = || {
        let mut command = Command::new(xtask_program());
        command.args(args).current_dir(adopter.path("")).env("CARGO_TARGET_DIR", target_dir());
        start(&mut command)
    };
    // The first one builds the suite.
    assert!(run().wait().unwrap().success());
    let mut aim = Aim::new(2, timed(|| assert!(run().wait().unwrap().success())));
    let mut known = recorded(&adopter.path(".proofmark"));
    while aim.needs(RUNS) {
        aim.shoot(&mut run());
        let now = recorded(&adopter.path(".proofmark"));
        assert!(now.is_superset(&known), "a record is lost");
        known = now;
        let rows = adopter.json(&["query", "select count(*) as n from results"], 0);
        assert!(rows[0]["n"].as_u64().unwrap() <= known.len() as u64);
    }
    assert!(run().wait().unwrap().success());
    let known = recorded(&adopter.path(".proofmark"));
    let rows = adopter.json(&["query", "select id from results"], 0);
    let stored: BTreeSet<_> =
        rows.as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stored, known);
    assert_eq!(adopter.json(&["store", "check"], 0)["database"]["state"], "equal");
}

#[test]
fn killed_ingests_leave_the_old_rows_or_have_all_new_ones() {
    let desk = Desk::new();
    desk.fill(16, 250);
    let all = desk.recorded();
    let rebuild = || desk.start(&["rebuild"]);
    let mut aim = Aim::new(3, timed(|| assert!(rebuild().wait().unwrap().success())));
    while aim.needs(INGESTS / 2) {
        aim.shoot(&mut rebuild());
        // The old database is still there, or the new one is.
        assert_eq!(desk.stored(), all);
    }
    let db = desk.state().join("results.duckdb");
    let mut aim = Aim::new(4, aim.life);
    while aim.needs(INGESTS - INGESTS / 2) {
        // Its log may be there still, if it was killed before.
        let _ = fs::remove_file(&db);
        for _ in 0..2 {
            aim.shoot(&mut desk.start(&["report", "compat"]));
        }
        if aim.random.bool() {
            let _ = fs::remove_file(&db);
        }
        desk.ingest();
        assert_eq!(desk.stored(), all);
    }
    assert!(desk.check_equal().is_empty());
    desk.said(&["rebuild"], 0);
    let left: Vec<_> = fs::read_dir(desk.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("results.") && name != "results.duckdb")
        .collect();
    assert!(left.is_empty(), "what killed rebuilds left stays: {left:?}");
}

/// What is known of migrated numbers, without the times at which files were read.
const MIGRATED: &str =
    "select source_file, json_path, value, unit, mark, sha256 from latest_migrated order by all";

#[test]
fn killed_migrations_migrate_each_number_once() {
    let desk = Desk::new();
    fs::create_dir(desk.path("legacy")).unwrap();
    for file in 0..60 {
        let rows = (0..20).map(|row| {
            format!(
                "{{\"hardware\": \"cpu\", \"model\": \"m{row}\", \"latency_ms\": {file}.{row}}}"
            )
        });
        let text = format!("[{}]", rows.collect::<Vec<_>>().join(", "));
        fs::write(desk.path(&format!("legacy/{file}.json")), text).unwrap();
    }
    let migrate = ["migrate", "legacy"];
    let mut aim = Aim::new(5, timed(|| drop(desk.said(&migrate, 0))));
    let expected = desk.json(&["query", MIGRATED], 0);
    assert_eq!(expected.as_array().unwrap().len(), 60 * 20);
    while aim.needs(MIGRATIONS) {
        fs::remove_dir_all(desk.state()).unwrap();
        aim.shoot(&mut desk.start(&migrate));
        desk.said(&migrate, 0);
        assert_eq!(desk.json(&["query", MIGRATED], 0), expected);
    }
    // A line that was cut short may be there; it costs nothing, for its file was migrated again.
    assert!(desk.check_equal().len() <= 1);
}
