//! What the runner itself costs: listing 10,000 cases, and running 10,000 that do nothing, beside as many trials
//! of bare libtest-mimic. Whole processes, start to end, interleaved; medians.
//!
//! `cargo bench -p proofmark --bench overhead`. A suite also makes its cases, which bare trials have none of.

use libtest_mimic::{Arguments, Trial};
use proofmark::record::{DeviceFacts, OutputCheck};
use proofmark::{Case, CaseId, Driver, Endpoint, Finding, Fingerprint, Isolation, Mark, Part};
use proofmark::{Request, Session, Subject, Suite};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CASES: usize = 10_000;
const ROUNDS: usize = 31;
/// Tells a child of this program what to be: `suite` or `bare`.
const ROLE: &str = "OVERHEAD_ROLE";

/// A model that does nothing on a device that is nothing.
struct Nothing(DeviceFacts);

impl Subject for Nothing {
    fn fingerprint(&self) -> Result<Fingerprint, String> {
        Ok(Fingerprint::new([Part::text("code", "1")]))
    }

    fn open(&self) -> Result<Box<dyn Session>, String> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl Session for Nothing {
    fn device(&self) -> &DeviceFacts {
        &self.0
    }

    fn verify(&mut self) -> Result<Vec<OutputCheck>, String> {
        // Made by hand: comparing is the work of a case, not of the runner.
        let (name, summary) = (String::new(), String::new());
        Ok(vec![OutputCheck { name, shape: Vec::new(), error: Some(0.0), tolerance: 0.0, summary }])
    }

    fn run(&mut self) -> Result<Duration, String> {
        Ok(Duration::ZERO)
    }
}

fn cases(_: &Request<'_>) -> Result<Vec<Case>, String> {
    let facts = DeviceFacts::new(Mark::Real, "", "");
    let case = |n: usize| {
        let id = CaseId::new(&format!("model-{}", n % 100), Endpoint::CPU, "f32", &format!("b{n}"));
        let subject = Arc::new(Nothing(facts.clone()));
        let isolation = Isolation::InProcess;
        Ok(Case { id: id?, isolation, absence: None, snapshot: None, subject })
    };
    (0..CASES).map(case).collect()
}

fn suite() -> Suite {
    let endpoint = Endpoint::CPU;
    let probe = || Finding { mark: Some(Mark::Real), ..Finding::absent(Endpoint::CPU, "") };
    let isolation = Isolation::InProcess;
    Suite::new("overhead", env!("CARGO_MANIFEST_DIR"), cases).driver(Driver {
        endpoint,
        isolation,
        probe,
        signals: String::new,
        service: None,
    })
}

fn bare() -> ExitCode {
    let name = |n: usize| format!("model-{}/cpu/f32/b{n}", n % 100);
    let trials = (0..CASES).map(|n| Trial::test(name(n), || Ok(()))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Seconds that a child of this role takes.
fn time(role: &str, args: &[&str]) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let start = Instant::now();
    let status = Command::new(program).args(args).env(ROLE, role).stdout(Stdio::null()).status();
    let elapsed = start.elapsed().as_secs_f64();
    assert!(status.is_ok_and(|status| status.success()), "{role} {args:?} failed");
    elapsed
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Prints the median milliseconds of the suite and of the bare trials, and their ratio.
fn compare(what: &str, args: &[&str]) {
    let rounds = (0..ROUNDS).map(|_| (time("suite", args), time("bare", args)));
    let (suite, bare): (Vec<_>, Vec<_>) = rounds.unzip();
    let (suite, bare) = (1e3 * median(suite), 1e3 * median(bare));
    println!(
        "{what} {CASES} cases: {suite:.1} ms, bare libtest-mimic {bare:.1} ms, ratio {:.2}",
        suite / bare
    );
}

fn main() -> ExitCode {
    match std::env::var(ROLE).as_deref() {
        Ok("suite") => return proofmark::conformance(suite()),
        Ok(_) => return bare(),
        Err(_) => {}
    }
    compare("listing", &["--list", "--format", "terse"]);
    compare("running", &[]);
    compare("running quietly", &["--quiet"]);
    ExitCode::SUCCESS
}
