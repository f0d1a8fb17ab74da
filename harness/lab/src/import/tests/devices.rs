//! What devices tell, from files of our own making that follow what is documented: `tests/fixtures/devices/`.

use super::*;

const DEVICES: [(&str, Tool); 7] = [
    ("android.txt", Tool::Dumpsys),
    ("getprop.txt", Tool::Getprop),
    ("powermetrics.txt", Tool::Powermetrics),
    ("powermetrics.plist", Tool::Powermetrics),
    ("nvidia-smi.csv", Tool::NvidiaSmi),
    ("nvidia-smi.xml", Tool::NvidiaSmi),
    ("perfetto.csv", Tool::Perfetto),
];

fn told(name: &str) -> Imported {
    let (name, tool) = DEVICES.into_iter().find(|(known, _)| *known == name).unwrap();
    let imported = read_as(None, of_device(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!((imported.tool, imported.mark), (tool, proofmark::Mark::Claimed), "{name}");
    imported
}

fn of_device(name: &str) -> Vec<u8> {
    bytes(&format!("../devices/{name}"))
}

/// Each reading as `part metric value unit`.
fn readings(imported: &Imported) -> Vec<String> {
    let one = |one: &Measured| {
        assert_eq!(one.statistic, "reading");
        let unit = one.unit.as_deref().unwrap_or("-");
        format!("{} {} {:.6} {unit}", one.benchmark, one.metric, one.value)
    };
    imported.results.iter().map(one).collect()
}

#[track_caller]
fn check_readings(imported: &Imported, expected: &[&str]) {
    assert_eq!(readings(imported), expected);
}

#[test]
fn android_tells_of_battery_heat_load_and_memory() {
    let read = told("android.txt");
    check_readings(
        &read,
        &[
            "battery battery.max_charging_current 0.500000 A",
            "battery battery.max_charging_voltage 5.000000 V",
            "battery battery.charge 2.467000 Ah",
            "battery battery.level 0.760000 1",
            "battery battery.voltage 4.123000 V",
            "battery battery.temperature 28.100000 °C",
            "device thermal.throttling 1.000000 -",
            "skin thermal.temperature 31.500000 °C",
            "CPU0 thermal.temperature 52.250000 °C",
            "skin thermal.temperature 39.500000 °C",
            "vbat thermal.value 3987.000000 -",
            "cpu-cooling thermal.cooling 2.000000 -",
            "1 min load.average 1.750000 1",
            "5 min load.average 1.500000 1",
            "15 min load.average 0.250000 1",
            "com.example.app application.cpu 1.230000 1",
            "kworker/u16:2 application.cpu 0.015000 1",
            "sh application.cpu 0.000000 1",
            "all processors load.utilisation 0.260000 1",
            "com.example.app application.pss.java_heap 6266880.000000 B",
            "com.example.app application.rss.java_heap 18432000.000000 B",
            "com.example.app application.pss.native_heap 12595200.000000 B",
            "com.example.app application.rss.native_heap 15360000.000000 B",
            "com.example.app application.pss.graphics 0.000000 B",
            "com.example.app application.pss.system 353280.000000 B",
            "com.example.app application.pss 99861504.000000 B",
            "com.example.app application.rss 153600000.000000 B",
            "com.example.app application.swap 20480.000000 B",
        ],
    );
    let of: Vec<_> = read.results.iter().filter_map(|one| one.details.get("of")).collect();
    assert_eq!(of[..3], ["cached", "current", "current"]);
    assert_eq!(read.details["battery.status"], "2 (charging)");
    assert_eq!(read.details["battery.health"], "2 (good)");
    assert_eq!(read.details["battery.usb_powered"], "true");
    assert_eq!(read.details["thermal.throttling"], "1 (light)");
    let remarks = read.remarks.join("\n");
    for told in
        ["-99.9 stands for a sensor", "NaN is not finite", "lines say what is not read here"]
    {
        assert!(remarks.contains(told), "{remarks}");
    }
}

#[test]
fn a_battery_that_was_set_by_hand_is_told() {
    let text = "Current Battery Service state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n  level: 5\n  scale: 100\n";
    let read = read_as(None, text.into()).unwrap();
    assert!(read.remarks[0].contains("set by hand"), "{:?}", read.remarks);
    let other =
        read_as(None, text.replace("scale: 100", "scale: 50").into()).unwrap_err().to_string();
    assert!(other.contains("it holds no result of dumpsys"), "{other}");
}

#[test]
fn properties_are_facts_and_nobody_is_named() {
    let read = told("getprop.txt");
    assert!(read.results.is_empty());
    let facts: Vec<_> =
        read.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "capability.ro.board.platform=zuma",
        "capability.ro.build.version.release=16",
        "capability.ro.build.version.sdk=36",
        "capability.ro.product.manufacturer=Example",
        "capability.ro.product.model=Phone 9",
        "capability.ro.soc.model=G5",
        "device=Example Phone 9",
        "setting.dalvik.vm.heapsize=512m",
    ];
    assert_eq!(facts, expected);
    assert_eq!(
        read.remarks,
        ["3 properties say nothing of what the device can do and were left out"]
    );
}

#[test]
fn a_mac_tells_in_text() {
    let read = told("powermetrics.txt");
    check_readings(
        &read,
        &[
            "E-Cluster clock.frequency 1248000000.000000 Hz",
            "E-Cluster load.active 0.774300 1",
            "E-Cluster load.idle 0.225700 1",
            "CPU 0 clock.frequency 1359000000.000000 Hz",
            "CPU power.draw 0.823000 W",
            "GPU power.draw 0.026000 W",
            "ANE power.draw 0.323000 W",
            "Combined power.draw 1.172000 W",
            "battery battery.level 0.870000 1",
            "CPU power.draw 0.205000 W",
            "package power.draw 2.500000 W",
            "CPU thermal.temperature 53.250000 °C",
            "fan thermal.fan 1999.000000 rpm",
        ],
    );
    assert_eq!(read.measured_at, Some("2026-09-11T20:41:46Z".parse().unwrap()));
    assert_eq!(read.results[9].details["at"], "2026-09-11T20:41:47Z");
    assert_eq!(
        (&*read.details["device"], &*read.details["thermal.pressure"]),
        ("Mac14,2", "Moderate (1 times), Nominal (1 times)")
    );
}

#[test]
fn a_mac_tells_in_property_lists() {
    let read = told("powermetrics.plist");
    let first = [
        "CPU power.draw 2.978450 W",
        "GPU power.draw 0.269614 W",
        "Combined power.draw 3.248070 W",
        "E-Cluster clock.frequency 1248000000.000000 Hz",
        "E-Cluster load.idle 0.250000 1",
        "CPU 0 clock.frequency 1359000000.000000 Hz",
        "CPU 0 load.idle 0.500000 1",
        "GPU load.idle 0.877343 1",
        "battery battery.level 0.870000 1",
    ];
    assert_eq!(readings(&read)[..9], first);
    assert_eq!((read.results.len(), &*readings(&read)[9]), (18, "CPU power.draw 1.000000 W"));
    assert_eq!(read.remarks, ["the frequency of the GPU has no certain unit and was left out"]);
    assert_eq!(read.details["thermal.pressure"], "Heavy (1 times), Nominal (1 times)");
    assert_eq!(read.results[9].details["at"], "2026-01-22T21:07:08Z");
}

#[test]
fn nvidia_tells_in_tables() {
    let read = told("nvidia-smi.csv");
    let gpu = "GPU 0 NVIDIA A10G";
    let first = [
        format!("{gpu} thermal.temperature.gpu 34.000000 °C"),
        format!("{gpu} power.draw 15.250000 W"),
        format!("{gpu} setting.power.limit 300.000000 W"),
        format!("{gpu} load.utilization.gpu 0.000000 1"),
        format!("{gpu} memory.used 4194304.000000 B"),
        format!("{gpu} clock.current.sm 210000000.000000 Hz"),
    ];
    assert_eq!(readings(&read)[..6], first);
    assert_eq!(read.results.len(), 18);
    assert_eq!(read.results[0].details["at"], "2026/11/28 17:00:00.123");
    assert_eq!(read.tool_version.as_deref(), Some("580.65.06"));
    let slowed = &read.details["thermal.clocks_throttle_reasons.hw_slowdown (GPU 0 NVIDIA A10G)"];
    assert_eq!(slowed, "Active (2 times), Not Active (1 times)");
    assert_eq!(read.remarks, ["fan.speed of GPU 0 NVIDIA A10G has no value in 3 rows"]);
    // The same without units in the cells says the same.
    let text = String::from_utf8(of_device("nvidia-smi.csv")).unwrap();
    let (head, rows) = text.split_once('\n').unwrap();
    let mut rows = rows.to_owned();
    for unit in [" W,", " %,", " MiB,", " MHz,"] {
        rows = rows.replace(unit, ",");
    }
    let bare = read_as(None, format!("{head}\n{rows}").into()).unwrap();
    assert_eq!(readings(&bare), readings(&read));
}

#[test]
fn nvidia_tells_in_xml() {
    let read = told("nvidia-smi.xml");
    let gpu = "GPU 0 NVIDIA A10G";
    let expected = [
        format!("{gpu} thermal.fan_speed 0.000000 1"),
        format!("{gpu} memory.fb_memory_usage.total 24146608128.000000 B"),
        format!("{gpu} memory.fb_memory_usage.reserved 536870912.000000 B"),
        format!("{gpu} memory.fb_memory_usage.used 2147483648.000000 B"),
        format!("{gpu} memory.fb_memory_usage.free 21462253568.000000 B"),
        format!("{gpu} load.utilization.gpu_util 0.870000 1"),
        format!("{gpu} load.utilization.memory_util 0.120000 1"),
        format!("{gpu} thermal.temperature.gpu_temp 67.000000 °C"),
        format!("{gpu} setting.temperature.gpu_temp_max_threshold 98.000000 °C"),
        format!("{gpu} power.gpu_power_readings.instant_power_draw 287.500000 W"),
        format!("{gpu} setting.gpu_power_readings.current_power_limit 300.000000 W"),
        format!("{gpu} clock.clocks.graphics_clock 1695000000.000000 Hz"),
        format!("{gpu} clock.clocks.sm_clock 1695000000.000000 Hz"),
        format!("{gpu} capability.max_clocks.sm_clock 1710000000.000000 Hz"),
        "/usr/bin/python3 application.gpu_memory 2139095040.000000 B".to_owned(),
    ];
    assert_eq!(readings(&read), expected);
    let reason =
        "thermal.clocks_event_reasons.clocks_event_reason_sw_power_cap (GPU 0 NVIDIA A10G)";
    assert_eq!(
        (&*read.details[reason], read.tool_version.as_deref()),
        ("Active", Some("580.65.06"))
    );
    let all = serde_json::to_string(&read).unwrap();
    assert!(!all.contains("1234567890123"), "a serial number is kept");
    // Two documents, as a loop writes them.
    let twice = [of_device("nvidia-smi.xml"), of_device("nvidia-smi.xml")].concat();
    assert_eq!(read_as(None, twice).unwrap().results.len(), 30);
}

#[test]
fn perfetto_tells_of_counters() {
    let read = told("perfetto.csv");
    check_readings(
        &read,
        &[
            "batt.current_ua battery.counter -0.250000 A",
            "batt.capacity_pct battery.counter 0.760000 1",
            "power.rails.cpu.big_uws power.counter 1.234567 J",
            "cpufreq clock.counter 1804800.000000 -",
            "x86_pkg_temp counter.counter 31.500000 -",
        ],
    );
    assert_eq!(
        (&*read.results[3].details["cpu"], &*read.results[3].details["ts_ns"]),
        ("4", "795620516581")
    );
    assert_eq!(read.remarks, ["line 7: there is no value, and it was left out"]);
}

#[test]
fn the_device_is_what_the_source_says_or_somebody_gives() {
    let options = Options { device: Some("a phone".into()), ..Options::default() };
    let given = |name| read(name, Source::File(of_device(name)), &options, now()).unwrap();
    assert_eq!(given("android.txt").details["device"], "a phone");
    let empty = read("empty", Source::File(b"Load: a / b / c\n".to_vec()), &options, now());
    assert!(empty.unwrap_err().to_string().contains("no result of dumpsys"));
    let known = given("powermetrics.txt");
    assert_eq!(known.details["device"], "Mac14,2");
    assert!(known.remarks.iter().any(|one| one.contains("--device a phone was not taken")));
}

/// A file that lost its end is refused, or gives what stands before the loss: never another number.
#[test]
fn every_truncation_of_a_device_is_refused_or_says_less() {
    for (name, tool) in DEVICES {
        let all = of_device(name);
        let whole = read_as(None, all.clone()).unwrap().results;
        for length in 0..all.len() {
            if let Ok(less) = read_as(Some(tool), all[..length].to_vec()) {
                assert_eq!(less.results[..], whole[..less.results.len()], "{name}, {length} bytes");
                // XML has an end, which a loss takes, and a zero byte after it; a text ends with a line.
                let last = all[..length].iter().rfind(|byte| ![b' ', b'\t', 0].contains(byte));
                assert!(matches!(last, Some(b'>' | b'\n')), "{name}, {length} bytes");
            }
        }
    }
}

#[test]
fn damage_of_a_device_is_told_where_it_is() {
    for (name, from, to, says) in [
        ("nvidia-smi.csv", "P8, 34,", "P8,", "line 2"),
        ("nvidia-smi.xml", "</utilization>", "", "as XML it is damaged"),
        ("powermetrics.plist", "<key>battery</key>", "<key>battery<key>", "as XML it is damaged"),
        ("perfetto.csv", "1804800.000000", "fast", "line 5"),
        ("perfetto.csv", "\"name\",\"value\"", "\"name\",\"cost\"", "it has no column value"),
    ] {
        let tool = DEVICES.into_iter().find(|(known, _)| *known == name).unwrap().1;
        let text = String::from_utf8(of_device(name)).unwrap().replacen(from, to, 1);
        let error = read_as(Some(tool), text.into()).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    // A document that refers to itself is not followed for ever.
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"&c;&c;\"><!ENTITY c \"&b;&b;\">]><nvidia_smi_log>&b;</nvidia_smi_log>";
    assert!(read_as(Some(Tool::NvidiaSmi), bomb.into()).is_err());
    let deep = format!("<nvidia_smi_log>{}", "<gpu>".repeat(100_000));
    assert!(read_as(Some(Tool::NvidiaSmi), deep.into()).is_err());
}
