//! The only place in this crate that starts and ends processes. What it starts carries a variable that names the
//! folder of its browser, so that all of a browser's processes can be found, even by a program that did not start it.

use crate::clock;
use crate::error::Error;
use crate::home::Home;
use rustix::process::{Pid, Signal};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The variable that every process of a browser carries: the folder.
const MARK: &str = "PROOFMARK_BROWSER";
/// How much of what a process wrote is told, in bytes.
const TAIL: usize = 1500;
/// Between two looks at a process that is waited for.
pub(crate) const PAUSE: Duration = Duration::from_millis(4);
/// How often what is left is killed before it is given up.
const ROUNDS: u32 = 200;
/// For so many rounds a display server may end by itself: killed, it leaves the lock of its display behind.
const ROUNDS_OF_GRACE: u32 = 50;

/// A process of a browser. Dropping it does not end it: [`end_all`] does.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    log: PathBuf,
    inner: std::process::Child,
}

/// Starts a program as a part of the browser in `home`, in a process group of its own; what it writes goes to a file.
pub(crate) fn start(
    program: &Path,
    args: &[String],
    variables: &BTreeMap<String, String>,
    home: &Home,
) -> Result<Child, Error> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = home.folder.join(format!("{name}.log"));
    let file = fs::File::create(&log).map_err(Error::io("making the file", &log))?;
    let errors = file.try_clone().map_err(Error::io("opening the file", &log))?;
    let mut command = Command::new(program);
    command.args(args).envs(variables).env(MARK, &home.folder).env("TMPDIR", &home.short);
    // What drivers of GPUs keep from one run to the next would make the first run of a later one look faster.
    let shaders = home.folder.join("shaders");
    command.env("MESA_SHADER_CACHE_DIR", &shaders).env("__GL_SHADER_DISK_CACHE_PATH", &shaders);
    command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
    let inner =
        command.spawn().map_err(|source| Error::Start { program: program.into(), source })?;
    Ok(Child { name, log, inner })
}

impl Child {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.inner.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.inner.try_wait() {
            Ok(status) => status.map(|status| status.to_string()),
            Err(e) => Some(e.to_string()),
        }
    }

    /// All that it wrote so far.
    pub(crate) fn words(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of what it wrote, for an error.
    pub(crate) fn last_words(&self) -> String {
        last_of(&self.words())
    }

    /// Takes its status, so that no dead process stays in the system's table. Only for one that was killed.
    pub(crate) fn reap(&mut self) {
        let _ = self.inner.wait();
    }
}

fn last_of(words: &str) -> String {
    let words = words.trim();
    let mut from = words.len().saturating_sub(TAIL);
    while !words.is_char_boundary(from) {
        from += 1;
    }
    if words.is_empty() { "nothing".to_owned() } else { words[from..].to_owned() }
}

/// What a short command prints; the error is its own words.
pub(crate) fn output_of(
    program: &Path,
    args: &[&str],
    variables: &BTreeMap<String, String>,
    limit: Duration,
) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).envs(variables).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let failed = |e: std::io::Error| format!("{}: {e}", program.display());
    let mut child = command.spawn().map_err(failed)?;
    let start = clock::start();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if start.elapsed() > limit {
            kill_group(child.id());
            let _ = child.wait();
            return Err(format!("{} did not end within {limit:?}", program.display()));
        }
        std::thread::sleep(PAUSE);
    };
    let (mut printed, mut errors) = (String::new(), String::new());
    let _ = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut printed));
    if status.success() {
        return Ok(printed.trim().to_owned());
    }
    let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut errors));
    Err(format!("{} ended with {status}: {}", program.display(), last_of(&errors)))
}

/// Runs a program that fetches or builds something, in `folder`. Its words go to our error output, so that the
/// standard output stays clean.
pub(crate) fn run(
    program: &str,
    args: &[&str],
    variables: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(args).envs(variables).current_dir(folder);
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    let status = status.map_err(|e| format!("`{program}` could not be started: {e}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{program} {}` ended with {status}; its own words are above", args.join(" ")))
}

/// Whether a process of this id runs.
pub(crate) fn runs(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn kill_group(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It fails when nothing of the group is left, which is what is wanted.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// A line of the system's table of processes.
#[derive(Debug)]
struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
    name: String,
    marked: bool,
}

/// Ends all processes of the browser in `folder` and those in the groups of its children that are known, and waits
/// until they are gone.
pub(crate) fn end_all(folder: &Path, children: &[Child]) {
    let groups = children.iter().filter_map(|child| i32::try_from(child.pid()).ok());
    let groups: BTreeSet<_> = groups.collect();
    let mut seen = BTreeSet::new();
    for round in 0..ROUNDS {
        let table = table(folder);
        let left = family(&table, &groups);
        seen.extend(left.iter().map(|(pid, _)| *pid));
        // One that is dying shows no mark any more, but still has its files open.
        if !table.iter().any(|entry| seen.contains(&entry.pid)) {
            return;
        }
        for (pid, name) in left {
            let may_finish = round < ROUNDS_OF_GRACE && name == "Xvfb";
            let signal = if may_finish { Signal::TERM } else { Signal::KILL };
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// The processes of the browser in `folder`.
pub(crate) fn all(folder: &Path) -> Vec<u32> {
    family(&table(folder), &BTreeSet::new())
        .iter()
        .filter_map(|(pid, _)| u32::try_from(*pid).ok())
        .collect()
}

/// The memory that these processes hold, in bytes: what several share is divided among them. Nothing where the system
/// does not tell of each, as Linux alone does, and of sandboxed processes only to root.
pub(crate) fn memory_of(processes: &[u32]) -> Option<u64> {
    let kept = processes.iter().filter_map(|pid| {
        match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            // It has ended since it was listed.
            Err(_) if !Path::new(&format!("/proc/{pid}")).exists() => None,
            text => Some(text.ok()),
        }
    });
    let bytes = kept.map(|text| proportional_bytes(&text?));
    bytes.sum::<Option<u64>>().filter(|bytes| *bytes > 0)
}

fn proportional_bytes(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The processes that `parent` started itself.
pub(crate) fn children(folder: &Path, parent: u32) -> Vec<u32> {
    let is_child = |entry: &&Entry| u32::try_from(entry.parent) == Ok(parent);
    let children = table(folder);
    children.iter().filter(is_child).filter_map(|entry| u32::try_from(entry.pid).ok()).collect()
}

/// Those with the mark, those in a group with them or in one that is known, and what any of these started: Chromium
/// writes its title over its environment, so that some of its processes show no mark.
fn family<'a>(table: &'a [Entry], known: &BTreeSet<i32>) -> Vec<(i32, &'a str)> {
    let mut groups: BTreeSet<_> = table.iter().filter(|e| e.marked).map(|e| e.group).collect();
    groups.extend(known);
    let mut pids = BTreeSet::new();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let foreign: BTreeSet<_> = table.iter().filter(|e| e.pid == own).map(|e| e.group).collect();
    loop {
        let belongs = |e: &&Entry| {
            let is_grouped = groups.contains(&e.group) && !foreign.contains(&e.group);
            e.marked || is_grouped || pids.contains(&e.parent)
        };
        let more: BTreeSet<_> = table.iter().filter(belongs).map(|e| e.pid).collect();
        if more.len() == pids.len() {
            break;
        }
        pids = more;
    }
    let kept = table.iter().filter(|e| pids.contains(&e.pid) && e.pid != own && e.pid > 1);
    kept.map(|e| (e.pid, e.name.as_str())).collect()
}

/// The living processes of this system.
fn table(folder: &Path) -> Vec<Entry> {
    let mark = format!("{MARK}={}", folder.display());
    if cfg!(target_os = "linux") { table_of_proc(&mark) } else { table_of_ps(&mark) }
}

fn table_of_proc(mark: &str) -> Vec<Entry> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry_of_proc(&entry.path(), mark)).collect()
}

fn entry_of_proc(process: &Path, mark: &str) -> Option<Entry> {
    let pid = process.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name stands in parentheses and may hold some itself.
    let (head, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    let marked = environment.split(|byte| *byte == 0).any(|setting| setting == mark.as_bytes());
    let name = head.split_once('(')?.1.to_owned();
    Some(Entry { pid, parent, group, name, marked })
}

/// For systems without `/proc`; macOS hides the environment of some programs, which the groups make up for.
fn table_of_ps(mark: &str) -> Vec<Entry> {
    let args = ["-axwwE", "-o", "pid=,ppid=,pgid=,stat=,command="];
    let limit = Duration::from_secs(5);
    let printed = output_of(Path::new("/bin/ps"), &args, &BTreeMap::new(), limit);
    printed.unwrap_or_default().lines().filter_map(|line| entry_of_ps(line, mark)).collect()
}

fn entry_of_ps(line: &str, mark: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let mut number = || fields.next()?.parse().ok();
    let (pid, parent, group) = (number()?, number()?, number()?);
    if fields.next()?.starts_with('Z') {
        return None;
    }
    let name = fields.next()?.rsplit('/').next()?.to_owned();
    let after = line.split_once(&format!(" {mark}")).map(|(_, after)| after);
    let marked = after.is_some_and(|after| after.is_empty() || after.starts_with(' '));
    Some(Entry { pid, parent, group, name, marked })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, parent: i32, group: i32, marked: bool) -> Entry {
        Entry { pid, parent, group, name: format!("p{pid}"), marked }
    }

    #[test]
    fn a_family_is_what_is_marked_grouped_with_it_or_started_by_it() {
        let table = [
            entry(10_000_001, 1, 10_000_001, false),
            entry(10_000_002, 10_000_001, 10_000_002, true),
            entry(10_000_003, 10_000_002, 10_000_002, false),
            entry(10_000_004, 10_000_003, 10_000_004, false),
            entry(10_000_005, 1, 10_000_002, false),
            entry(10_000_006, 1, 10_000_006, false),
        ];
        let pids = |known| -> Vec<_> {
            family(&table, &BTreeSet::from(known)).into_iter().map(|(pid, _)| pid).collect()
        };
        assert_eq!(pids([0]), [10_000_002, 10_000_003, 10_000_004, 10_000_005]);
        assert_eq!(
            pids([10_000_006]),
            [10_000_002, 10_000_003, 10_000_004, 10_000_005, 10_000_006]
        );
    }

    #[test]
    fn a_line_of_ps_is_read_and_a_longer_folder_is_another() {
        let mark = "PROOFMARK_BROWSER=/a/b";
        let line = "  7  1  7 S    /usr/bin/x --flag HOME=/r PROOFMARK_BROWSER=/a/b LANG=C";
        let found = entry_of_ps(line, mark).unwrap();
        assert!(found.marked && found.pid == 7 && found.parent == 1 && found.name == "x");
        assert!(!entry_of_ps(&line.replace("/a/b", "/a/bc"), mark).unwrap().marked);
        assert!(entry_of_ps(&line.replace(" S ", " Z "), mark).is_none());
    }

    #[test]
    fn memory_of_a_process_is_its_share_and_of_one_that_is_gone_none() {
        let rollup =
            "5581-7ffd ---p 0 00:00 0 [rollup]\nRss:  900 kB\nPss:   12 kB\nPss_Anon: 7 kB\n";
        assert_eq!(proportional_bytes(rollup), Some(12 << 10));
        assert_eq!(proportional_bytes("Rss: 5 kB"), None);
        if cfg!(target_os = "linux") {
            let own = memory_of(&[std::process::id()]).unwrap();
            assert!((1 << 20..1 << 32).contains(&own), "{own}");
            let with_one_gone = memory_of(&[4_000_000_000, std::process::id()]).unwrap();
            assert!((1 << 20..1 << 32).contains(&with_one_gone), "{with_one_gone}");
        }
        assert_eq!(memory_of(&[4_000_000_000]), None);
    }

    #[test]
    fn a_short_command_answers_fails_or_is_ended() {
        let none = BTreeMap::new();
        let ask = |script: &str, limit| {
            output_of(Path::new("/bin/sh"), &["-c", script], &none, Duration::from_millis(limit))
        };
        assert_eq!(ask("echo 7", 5000).unwrap(), "7");
        assert!(ask("echo why >&2; exit 3", 5000).unwrap_err().ends_with("3: why"));
        assert!(ask("sleep 60", 50).unwrap_err().contains("did not end within"));
    }
}
