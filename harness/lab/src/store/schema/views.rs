//! The views that are promised: what each says of rows whose answer is known.

use super::specimen::{filled, refill, texts};
use duckdb::Connection;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A result like one that is there, of another case.
fn like(connection: &Connection, id: &str, changes: &str) {
    let sql =
        format!("INSERT INTO results SELECT * REPLACE ({changes}) FROM results WHERE id = '{id}'");
    connection.execute_batch(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// A timed result of a model on an endpoint of a machine.
fn timed(connection: &Connection, [model, endpoint, machine, mark]: [&str; 4], latency_ns: f64) {
    let changes = format!(
        "'{model} {endpoint} {machine} {mark}' AS id, '{model}/{endpoint}/f32/b1' AS case_id, '{model}' AS model, \
         '{endpoint}' AS endpoint, 'b1' AS shape, '{machine}' AS machine, '{mark}' AS mark, [{latency_ns}] AS samples, [1] AS iterations, \
         {latency_ns} AS latency_ns_median, 0 AS relative_noise"
    );
    like(connection, "a-1", &changes);
}

#[track_caller]
fn check(connection: &Connection, sql: &str, expected: &[&str]) {
    refill(connection);
    assert_eq!(texts(connection, sql), expected, "{sql}");
}

/// The rows of `platform_relations` between two machines, as numbers.
fn relation(connection: &Connection, mark: &str) -> Vec<[f64; 6]> {
    refill(connection);
    let sql = format!(
        "SELECT cases, ratio, coalesce(ratio_low, -1), coalesce(ratio_high, -1), ratio_least, ratio_most FROM platform_relations \
         WHERE base_machine = 'one' AND other_machine = 'two' AND mark = '{mark}' AND validated = (mark = 'real')"
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let row = |row: &duckdb::Row<'_>| {
        let mut numbers = [0.0; 6];
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.get(at)?;
        }
        Ok(numbers)
    };
    statement.query_map([], row).unwrap().collect::<duckdb::Result<_>>().unwrap()
}

/// Ratio and interval as statistics has them, over so many cases that the table of quantiles and the expansion both are
/// used; what the other side did not run, or with another mark, counts for nothing.
#[test]
fn platforms_are_related_over_the_cases_that_both_ran() {
    for cases in [1_u32, 2, 3, 7, 31, 32, 33, 60] {
        let connection = filled();
        let mut logs = Vec::new();
        for case in 0..cases {
            let ratio = 0.5 + f64::from(case % 7) / 4.0;
            let model = format!("m{case}");
            timed(&connection, [&model, "cpu", "one", "real"], 1000.0);
            timed(&connection, [&model, "cpu", "two", "real"], 1000.0 * ratio);
            logs.push(ratio.ln());
        }
        timed(&connection, ["alone", "cpu", "one", "real"], 1.0);
        timed(&connection, ["soft", "cpu", "one", "software"], 10.0);
        timed(&connection, ["soft", "cpu", "two", "software"], 30.0);
        timed(&connection, ["mixed", "cpu", "one", "real"], 10.0);
        timed(&connection, ["mixed", "cpu", "two", "software"], 30.0);
        timed(&connection, ["helped", "cpu", "one", "real"], 10.0);
        timed(&connection, ["helped", "cpu", "two", "real"], 30.0);
        connection
            .execute_batch(
                "INSERT INTO fallbacks VALUES ('helped cpu two real', 0, 'o', 'w', 'cpu')",
            )
            .unwrap();
        let n = f64::from(cases);
        let mean = logs.iter().sum::<f64>() / n;
        let [found] = relation(&connection, "real")[..] else { panic!("{cases} cases") };
        let (least, most) =
            logs.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
        let (low, high) = if cases == 1 {
            (-1.0, -1.0)
        } else {
            let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let t = StudentsT::new(0.0, 1.0, n - 1.0).unwrap().inverse_cdf(0.975);
            let reach = t * (variance / n).sqrt();
            ((mean - reach).exp(), (mean + reach).exp())
        };
        let expected = [n, mean.exp(), low, high, least.exp(), most.exp()];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found / expected - 1.0).abs() < 2e-5,
                "{cases} cases: {found} is not {expected}"
            );
        }
        let soft = relation(&connection, "software");
        assert_eq!(
            soft.iter().map(|row| (row[0], row[1].round())).collect::<Vec<_>>(),
            [(1.0, 3.0)]
        );
    }
}

#[test]
fn a_relation_stands_both_ways_and_never_with_itself() {
    let connection = filled();
    timed(&connection, ["m", "cpu", "one", "real"], 10.0);
    timed(&connection, ["m", "cpu", "two", "real"], 40.0);
    check(
        &connection,
        "SELECT concat_ws(' ', base_machine, other_machine, round(ratio, 9)) FROM platform_relations \
         WHERE base_machine IN ('one', 'two') ORDER BY 1",
        &["one two 4.0", "two one 0.25"],
    );
}

#[test]
fn a_stretch_of_like_ends_is_a_row() {
    let connection = filled();
    let runs = [
        ("1", "passed", "'real'"),
        ("2", "passed", "'real'"),
        ("3", "crashed", "NULL"),
        ("4", "passed", "'real'"),
        ("5", "passed", "'software'"),
        ("6", "passed", "'software'"),
    ];
    for (hour, outcome, mark) in runs {
        let message = if outcome == "passed" { "NULL" } else { "'broke'" };
        let changes = format!(
            "'{hour}' AS id, 'm/cpu/f32/b1' AS case_id, 'm' AS model, 'b1' AS shape, '2026-12-01 0{hour}:00:00'::TIMESTAMP AS recorded_at, \
             '{outcome}' AS outcome, {mark} AS mark, [] AS samples, [] AS iterations, NULL AS latency_ns_median, NULL AS relative_noise, \
             NULL AS load_ns, NULL AS compile_ns, NULL AS first_run_ns, NULL AS peak_memory_bytes, NULL AS items_per_run, \
             NULL AS operations_per_run, NULL AS bytes_per_run, {message} AS message, 0 AS busy_ns"
        );
        like(&connection, "a-1", &changes);
    }
    connection.execute_batch("INSERT INTO fallbacks VALUES ('6', 0, 'o', 'w', 'cpu')").unwrap();
    check(
        &connection,
        "SELECT concat_ws(' ', outcome, coalesce(mark, '-'), fell_back, hour(since), hour(last_seen), coalesce(hour(until)::VARCHAR, 'now'), runs, message) \
         FROM compatibility WHERE model = 'm' ORDER BY since",
        &[
            "passed real false 1 2 3 2",
            "crashed - false 3 3 4 1 broke",
            "passed real false 4 4 5 1",
            "passed software false 5 5 6 1",
            "passed software true 6 6 now 1",
        ],
    );
}

#[test]
fn the_log_of_probes_tells_what_changed() {
    let connection = filled();
    check(
        &connection,
        "SELECT concat_ws(' ', id, changed, limits['max_buffer_size'], len(features), details['looked at']) FROM probe_log ORDER BY id",
        &[
            "p-1 false 18446744073709551615 2 /usr/bin/chromium",
            "p-2 false 0",
            "p-3 true 7 0",
            "p-4 false 7 0",
        ],
    );
    connection.execute_batch("INSERT INTO probe_features VALUES ('p-4', 'subgroups')").unwrap();
    check(&connection, "SELECT id FROM probe_log WHERE changed ORDER BY id", &["p-3", "p-4"]);
}

#[test]
fn efficiency_is_held_against_the_best_of_the_same_kind() {
    let connection = filled();
    // The rows that are there have 1,450,000 operations and 199,000 bytes.
    timed(&connection, ["m", "cpu", "one", "real"], 1000.0);
    timed(&connection, ["n", "cpu", "one", "real"], 4000.0);
    timed(&connection, ["m", "cpu", "one", "software"], 10.0);
    timed(&connection, ["n", "gpu", "one", "real"], 10.0);
    check(
        &connection,
        "SELECT concat_ws(' ', case_id, mark, operations_per_s, bytes_per_s, operations_of_best, bytes_of_best) FROM efficiency \
         WHERE machine = 'one' AND endpoint = 'cpu' ORDER BY 1",
        &[
            "m/cpu/f32/b1 software 145000000000000.0 19900000000000.0 1.0 1.0",
            "n/cpu/f32/b1 real 362500000000.0 49750000000.0 1.0 1.0",
        ],
    );
    timed(&connection, ["o", "cpu", "one", "real"], 1000.0);
    check(
        &connection,
        "SELECT concat_ws(' ', case_id, operations_of_best) FROM efficiency WHERE machine = 'one' AND endpoint = 'cpu' AND mark = 'real' ORDER BY 1",
        &["n/cpu/f32/b1 0.25", "o/cpu/f32/b1 1.0"],
    );
}

#[test]
fn places_are_counted_by_what_they_prove() {
    let connection = filled();
    check(
        &connection,
        "SELECT concat_ws(' ', machine, coalesce(mark, '-'), hour(first_seen), hour(last_seen), results) FROM environments \
         WHERE machine = 'here' ORDER BY 1",
        &["here - 17 17 1", "here real 17 18 5", "here software 17 17 1"],
    );
    check(
        &connection,
        "SELECT concat_ws(' ', endpoint, mark, driver, results, probes) FROM platforms WHERE endpoint = 'webgpu-native' ORDER BY 1",
        &["webgpu-native software mesa 1 1", "webgpu-native software mesa 26 0 2"],
    );
}

#[test]
fn parts_of_a_run_carry_its_mark() {
    let connection = filled();
    check(
        &connection,
        "SELECT concat_ws(' ', op, mark, time_ns, share) FROM op_profile ORDER BY position",
        &["linear+add real 90000 0.75", "attention real 30000 0.25"],
    );
    check(
        &connection,
        "SELECT concat_ws(' ', stage, mark, of_endpoint, time_ns) FROM stage_times WHERE result_id IN ('a-1', 'a-2') ORDER BY 1",
        &[
            "compile real false 2000",
            "first run real false 150000",
            "load real false 1000",
            "start of the browser software true 812000000",
        ],
    );
    check(
        &connection,
        "SELECT concat_ws(' ', name, unit, mark, at_ns, reading) FROM readings ORDER BY 1",
        &[
            "power.package_w W real 0 41.5",
            "power.package_w W real 100000000 43.25",
            "system.temperature_celsius °C real 0 -1.5",
            "system.temperature_celsius °C real 100000000 40.25",
        ],
    );
}

#[test]
fn what_devices_told_is_apart_from_benchmarks() {
    let connection = filled();
    check(
        &connection,
        "SELECT concat_ws(' ', device, kind, part, value, unit, coalesce(read_at, '-'), mark) FROM device_readings ORDER BY position",
        &[
            "Example Phone 9 battery battery 28.1 °C 2026-11-28T13:59:00Z claimed",
            "Example Phone 9 application com.example.app 99861504.0 B - claimed",
        ],
    );
    check(
        &connection,
        "SELECT concat_ws(' ', device, kind, name, value, mark) FROM device_facts",
        &["Example Phone 9 battery battery.status 2 (charging) claimed"],
    );
}

#[test]
fn a_model_is_known_by_its_weights() {
    let connection = filled();
    check(
        &connection,
        "SELECT concat_ws(' ', model, family, coalesce(weights, '-'), coalesce(mark, '-'), endpoints::VARCHAR, results, passed) FROM models ORDER BY 1",
        &[
            "bert-tiny bert - - [cuda] 1 0",
            "bert-tiny bert - real [cpu] 1 0",
            "bert-tiny bert ab12 real [cpu, cuda-a, cuda-b] 4 4",
            "bert-tiny bert ab12 software [webgpu-native] 1 1",
            "vit-tiny vit - real [cpu] 1 1",
        ],
    );
}
