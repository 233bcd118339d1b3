//! A process that lives as long as the value that stands for it, and no longer than the tests.
//!
//! The kernel's parent-death signal follows the *thread* that started a child, so that all are
//! started by one thread, which lives as long as the process.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use belfry::clock::{Clock as _, SystemClock};

/// What no test waits for longer: a start, a stop, an answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something that is waited for.
const PACE_MS: i64 = 10;

/// Ports are taken below those that the kernel gives to outgoing connections (32768 and up), so
/// that a port stays free while its service is down.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// One running process.
pub struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
    last_word: &'static str,
}

impl Daemon {
    /// Starts `command`; its output goes to `log`. It dies with this process.
    pub fn start(name: &str, command: &Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("a log file");
        let mut command = bound_to_us(command);
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a handle")).stderr(out);
        let child = spawn(command);
        Self { child, name: name.to_owned(), log: log.to_owned(), last_word: "KILL" }
    }

    /// Says goodbye with another signal than KILL, which still follows if it is not heeded.
    #[must_use]
    pub fn ending_with(mut self, signal: &'static str) -> Self {
        self.last_word = signal;
        self
    }

    /// The id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, name: &str) {
        signal(&[self.child.id()], name);
    }

    /// Sends a signal to the process and to all that it started.
    pub fn signal_family(&self, name: &str) {
        let mut family = vec![self.child.id()];
        family.extend(children(self.child.id()));
        signal(&family, name);
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, which the caller brought about; returns the exit code, or minus the
    /// signal that ended it.
    pub async fn ended(&mut self) -> i32 {
        let what = format!("the end of {}", self.name);
        let status = poll(&what, async || self.child.try_wait().ok().flatten()).await;
        status.code().or(status.signal().map(|signal| -signal)).unwrap_or(i32::MIN)
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.is_running() {
            return;
        }
        self.signal(self.last_word);
        // A stopped process heeds nothing but KILL before it goes on.
        self.signal("CONT");
        let id = self.child.id();
        let (heeded, is_heeded) = channel::<()>();
        let insist = std::thread::spawn(move || {
            if is_heeded.recv_timeout(Duration::from_secs(5)).is_err() {
                signal(&[id], "KILL");
            }
        });
        let _ = self.child.wait();
        let _ = heeded.send(());
        let _ = insist.join();
    }
}

/// Asks again and again until there is an answer; panics after [`PATIENCE`].
pub async fn poll<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(clock.mono() < PATIENCE, "waited {PATIENCE:?} for {what}");
        clock.sleep_until(clock.now().plus_ms(PACE_MS)).await;
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id().wrapping_mul(37);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let span = u32::from(PORTS.end - PORTS.start);
        let offset = first.wrapping_add(step) % span;
        let port = PORTS.start + u16::try_from(offset).expect("it is less than the span");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A program in `PATH`, or in one of `folders`.
pub(super) fn find_program(names: &[&str], folders: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path).chain(folders.to_vec()).collect();
    let named = |name: &&str| places.iter().map(|place| place.join(name)).collect::<Vec<_>>();
    let found = names.iter().flat_map(named).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{} is missing: run tests/install.sh", names.join(" or ")))
}

/// The same command, which the kernel kills when this process ends.
fn bound_to_us(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// Starts `command` from the thread that outlives every test.
fn spawn(command: Command) -> Child {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, answered) = channel();
    STARTER.lock().expect("nobody panics with it").send((command, answer)).expect("it lives");
    answered.recv().expect("it answers").expect("setpriv is there: it is part of util-linux")
}

fn signal(ids: &[u32], name: &str) {
    let ids = ids.iter().map(u32::to_string);
    let sent = Command::new("kill").args(["-s", name]).args(ids).stderr(Stdio::null()).status();
    sent.expect("kill runs");
}

fn children(id: u32) -> Vec<u32> {
    let path = format!("/proc/{id}/task/{id}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
