//! The only place in this crate that starts and ends processes: the child of a case, with its own children.

use crate::clock;
use crate::env;
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of a child's error output is kept: its end, in bytes.
const TAIL: usize = 8 * 1024;
/// How long the end of that output is waited for once the child has ended.
const TAIL_PATIENCE: Duration = Duration::from_secs(1);

/// How a child ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// By us, at its timeout.
    TimedOut,
}

/// A child that ended, and the end of what it wrote to its error output.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) ended: Ended,
    pub(crate) stderr_tail: String,
}

/// What happens to the standard output of a child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    /// It is the parent's.
    Inherit,
    /// It is dropped.
    Drop,
}

/// A child under way, in a process group of its own. It holds a pipe from us on its standard input, which tells it
/// when we are gone: see [`when_parent_ends`].
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// The end of its error output so far.
    tail: Arc<Mutex<Vec<u8>>>,
    /// Tells that there will be no more of it.
    complete: Receiver<()>,
}

/// Starts `exe`. It knows of no service but that of `envs`.
pub(crate) fn start(
    exe: &Path,
    args: &[String],
    envs: &[(&str, OsString)],
    output: Output,
) -> io::Result<Running> {
    let mut command = Command::new(exe);
    command.env_remove(env::SERVICE).env_remove(env::SERVICE_START);
    command.args(args).envs(envs.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    command.stdout(match output {
        Output::Inherit => Stdio::inherit(),
        Output::Drop => Stdio::null(),
    });
    let mut child = command.process_group(0).spawn()?;
    let tail = Arc::default();
    let (send, complete) = mpsc::channel();
    if let Some(pipe) = child.stderr.take() {
        let tail = Arc::clone(&tail);
        std::thread::spawn(move || {
            read_tail(pipe, &tail);
            send.send(())
        });
    }
    Ok(Running { child, tail, complete })
}

impl Running {
    /// Whether it has ended by itself. One that cannot be asked is not there.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().map_or(true, |status| status.is_some())
    }

    /// Closes its standard input, as if we were gone.
    pub(crate) fn release(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end. At the timeout, and also when it ends by itself, the whole group is killed.
    pub(crate) fn finish(mut self, timeout: Duration) -> io::Result<Finished> {
        let status = wait_until(timeout, || self.child.try_wait().transpose()).transpose();
        kill_group(&self.child);
        let ended = match status? {
            Some(status) => ended(status),
            None => {
                self.child.wait()?;
                Ended::TimedOut
            }
        };
        // What left the group by a session of its own may hold the pipe for as long as it likes.
        let _ = self.complete.recv_timeout(TAIL_PATIENCE);
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr_tail = String::from_utf8_lossy(&tail).trim().to_owned();
        Ok(Finished { ended, stderr_tail })
    }
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, signal) => Ended::Killed(signal.unwrap_or_default()),
    }
}

/// What `look` finds, or nothing at the timeout. Polls, at first often: most children are short.
pub(crate) fn wait_until<T>(timeout: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = clock::start();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if start.elapsed() >= timeout {
            return None;
        }
        std::thread::sleep(pause.min(timeout));
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn kill_group(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It fails when nothing of the group is left, which is what is wanted.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

fn read_tail(mut pipe: impl Read, tail: &Mutex<Vec<u8>>) {
    let mut block = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut block) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&block[..n]);
        let surplus = tail.len().saturating_sub(TAIL);
        tail.drain(..surplus);
    }
}

/// Does something when the parent is gone, however it went, or lets go: its end of our standard input closes. Call it
/// once, first, in a child whose standard input is such a pipe.
pub(crate) fn when_parent_ends(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        work();
    });
}

/// Ends this process and its group at once. For a process that [`start`] made the leader of its own group.
pub(crate) fn end_group() {
    let _ = rustix::process::kill_current_process_group(Signal::KILL);
}

/// Ends this process, and with it its children's pipes. For a process that is not the leader of its own group.
pub(crate) fn exit_as_interrupted() {
    std::process::exit(130);
}

/// What a short command prints; nothing if it fails.
pub(crate) fn output_of(program: &str, args: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(folder).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
