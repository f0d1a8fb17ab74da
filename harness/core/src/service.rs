//! Services: what the cases of an endpoint share while they run one after the other, such as a browser.
//!
//! A service is a process of the suite's own program. The runner starts it when a case first needs it, hands its
//! address to the processes of the cases, and ends it when a case did not pass or the runner ends. It watches its
//! standard input, so that it ends with its runner also when that is killed.

use crate::case::{Case, Isolation};
use crate::clock;
use crate::endpoint::Endpoint;
use crate::env;
use crate::job::{self, Errand, Job};
use crate::process::{self, Finished, Output, Running};
use crate::suite::Suite;
use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How an endpoint's service is started, and how what it leaves is removed.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Starts it, in a process of its own, with a folder for its files.
    pub start: fn(&Path) -> Result<Started, String>,
    /// Ends and removes whatever is left of a service with this folder: its processes, the folder. Called when the
    /// service has ended in any way, perhaps more than once.
    pub sweep: fn(&Path),
    /// How long a start may take.
    pub patience: Duration,
}

impl Service {
    /// How long a start may take unless there is a reason for another time.
    pub const PATIENCE: Duration = Duration::from_secs(60);
}

/// The address under which cases find a service ([`env::service`]), and what keeps it alive: it ends when that is
/// dropped.
pub type Started = (String, Box<dyn Any>);

/// So many starts that fail one after the other are believed.
const ATTEMPTS: u32 = 3;
/// How long a service may take to end by itself, before it ends itself by force.
const GRACE: Duration = Duration::from_secs(3);
/// How long its runner waits for that.
const RUNNERS_GRACE: Duration = Duration::from_secs(5);

/// The services of a runner, by endpoint. Each is used by one case at a time.
#[derive(Debug)]
pub(crate) struct Services(BTreeMap<Endpoint, Mutex<Slot>>);

/// The place of an endpoint's service, whether it runs or not.
#[derive(Debug)]
pub(crate) struct Slot {
    endpoint: Endpoint,
    service: Service,
    /// All services of the suite: what dead runners left may be of any.
    all: Arc<[(Endpoint, Service)]>,
    state: PathBuf,
    served: Option<Served>,
    /// Starts that failed since the last that did not.
    failures: u32,
    /// What the last of them said.
    said: String,
}

/// What the process of a case is told of its service.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) address: String,
    /// How long the start took, if it was for this case.
    pub(crate) start: Option<Duration>,
}

impl Lease {
    /// The variables that tell a child of it.
    pub(crate) fn envs(&self) -> Vec<(&'static str, OsString)> {
        let start =
            self.start.map(|start| (env::SERVICE_START, start.as_nanos().to_string().into()));
        [(env::SERVICE, self.address.clone().into())].into_iter().chain(start).collect()
    }
}

impl Services {
    /// None runs yet.
    pub(crate) fn new(suite: &Suite) -> Self {
        let served = suite.drivers.iter();
        let served = served.filter_map(|d| Some((d.endpoint.clone(), d.service?)));
        let all: Arc<[_]> = served.collect();
        let slot = |(endpoint, service): &(Endpoint, Service)| Slot {
            endpoint: endpoint.clone(),
            service: *service,
            all: Arc::clone(&all),
            state: suite.state(),
            served: None,
            failures: 0,
            said: String::new(),
        };
        Self(all.iter().map(|each| (each.0.clone(), Mutex::new(slot(each)))).collect())
    }

    /// The service of a case that has one, and nobody else's until it is given back. A case in the runner's own
    /// process cannot be told of a service.
    pub(crate) fn claim(&self, case: &Case) -> Option<MutexGuard<'_, Slot>> {
        let slot =
            self.0.get(&case.id.endpoint).filter(|_| case.isolation == Isolation::Process)?;
        Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends all that run.
    pub(crate) fn end(&self) {
        for slot in self.0.values() {
            slot.lock().unwrap_or_else(PoisonError::into_inner).end();
        }
    }
}

impl Slot {
    /// The service, started if it does not run. A start that fails is tried again for the next case, a few times.
    pub(crate) fn lease(&mut self) -> Result<Lease, String> {
        if let Some(served) = &mut self.served {
            if !served.has_ended() {
                return Ok(Lease { address: served.address.clone(), start: None });
            }
            self.end();
        }
        if self.failures >= ATTEMPTS {
            return Err(format!(
                "{}\n(it failed {ATTEMPTS} times and is not tried again)",
                self.said
            ));
        }
        let (started, time) = clock::timed(|| self.start());
        match started {
            Ok(served) => {
                self.failures = 0;
                let address = self.served.insert(served).address.clone();
                Ok(Lease { address, start: Some(time) })
            }
            Err(message) => {
                self.failures += 1;
                self.said = format!("failed to start the service of {}: {message}", self.endpoint);
                Err(self.said.clone())
            }
        }
    }

    /// Ends the service if it runs. Says how it ended if it did so before.
    pub(crate) fn end(&mut self) -> Option<String> {
        let mut served = self.served.take()?;
        let gone = served.has_ended();
        let finished = served.finish(RUNNERS_GRACE).ok()?;
        gone.then(|| format!("the service of {} {}", self.endpoint, finished.describe_end()))
    }

    fn start(&self) -> Result<Served, String> {
        let services = self.state.join("services");
        sweep_stale(&services, &self.all);
        let folder = Folder::make(&services, &self.endpoint)
            .map_err(|e| format!("failed to make a folder in {}: {e}", services.display()))?;
        let job = Job::Serve { endpoint: self.endpoint.clone(), folder: folder.path.clone() };
        let errand = Errand::new(&self.state, &job)?;
        let exe = env::current_exe()?;
        let mut child = process::start(&exe, &[], &errand.envs(), Output::Drop)
            .map_err(|e| format!("failed to start {}: {e}", exe.display()))?;
        let Service { sweep, patience, .. } = self.service;
        let answer = process::wait_until(patience, || {
            // Looked at first: a process that ends has written its answer before.
            let ended = child.has_ended();
            let answer = errand.answer::<Result<String, String>>();
            (answer.is_some() || ended).then_some(answer)
        });
        let mut served = Served { address: String::new(), child: Some(child), folder, sweep };
        match answer {
            Some(Some(Ok(address))) => served.address = address,
            Some(Some(Err(message))) => return Err(message),
            Some(None) => {
                let finished = served.finish(Duration::ZERO)?;
                return Err(format!("its process {}", finished.describe(patience)));
            }
            None => {
                let said = served.finish(Duration::ZERO)?.words();
                return Err(format!("it gave no address within {patience:?}{said}"));
            }
        }
        Ok(served)
    }
}

/// A service that runs. What is left of it is removed when this is dropped.
#[derive(Debug)]
struct Served {
    address: String,
    /// Nothing once it has been ended.
    child: Option<Running>,
    folder: Folder,
    sweep: fn(&Path),
}

impl Served {
    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(Running::has_ended)
    }

    /// Lets it end well within `grace`, or ends it by force.
    fn finish(&mut self, grace: Duration) -> Result<Finished, String> {
        let mut child = self.child.take().ok_or("it was ended before")?;
        child.release();
        let finished = child.finish(grace);
        (self.sweep)(&self.folder.path);
        finished.map_err(|e| format!("failed to wait for its process: {e}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // What it says is of no use any more, and there is nobody to be told of a failure.
        let _ = self.finish(RUNNERS_GRACE);
    }
}

/// A folder of one service, beside a locked file which tells that its runner lives. The system gives the lock back
/// however the runner ends. Names are short, because a service may have a socket in its folder and the path of a
/// socket has about 100 characters at most.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn make(services: &Path, endpoint: &Endpoint) -> io::Result<Self> {
        fs::create_dir_all(services)?;
        // No number comes twice: what is left of one service must not meet the next.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = services.join(format!("{}-{number}", std::process::id()));
            let mut lock = match File::create_new(lock_of(&path)) {
                // Of a dead process with our number, which could not be swept.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                lock => lock?,
            };
            lock.lock()?;
            lock.write_all(endpoint.as_str().as_bytes())?;
            fs::create_dir_all(&path)?;
            return Ok(Self { path, _lock: lock });
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

/// Removes what a sweep may have left, and the lock. What is gone already is no failure, and what cannot be removed
/// is tried again by the next start.
fn remove(folder: &Path) {
    if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
        let _ = fs::remove_file(lock_of(folder));
    }
}

/// Sweeps what was left by runners that were killed, together with their services.
fn sweep_stale(services: &Path, all: &[(Endpoint, Service)]) {
    let Ok(entries) = fs::read_dir(services) else { return };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    for lock in paths.filter(|path| path.extension().is_some_and(|e| e == "lock")) {
        let Ok(file) = File::open(&lock) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let endpoint = io::read_to_string(&file).unwrap_or_default();
        // One of another suite is left to that suite, which knows how.
        if let Some((_, service)) = all.iter().find(|(known, _)| known.as_str() == endpoint) {
            let folder = lock.with_extension("");
            (service.sweep)(&folder);
            remove(&folder);
        }
    }
}

/// The process of a service: starts it, writes its address or its failure to `answer`, and keeps it until the runner
/// lets it go or dies.
pub(crate) fn serve(service: Service, folder: &Path, answer: &Path) -> Result<(), String> {
    let (runner, released) = mpsc::channel::<()>();
    let (swept, sweep) = (folder.to_owned(), service.sweep);
    process::when_parent_ends(move || {
        drop(runner);
        // It may be starting still, or hang while it ends.
        std::thread::sleep(GRACE);
        sweep(&swept);
        remove(&swept);
        process::end_group();
    });
    let (started, guard) = match (service.start)(folder) {
        Ok((address, guard)) => (Ok(address), Some(guard)),
        Err(message) => (Err(message), None),
    };
    let text =
        serde_json::to_string::<Result<String, String>>(&started).map_err(|e| e.to_string())?;
    let written = job::write_atomically(answer, &text);
    if guard.is_some() && written.is_ok() {
        // Nothing is ever sent: it ends when the runner's end is dropped.
        let _ = released.recv();
    }
    drop(guard);
    sweep(folder);
    remove(folder);
    written
}
