//! The fault suite: real processes on real services, broken on purpose, and a checker that decides
//! from outside whether every promise held. `make faults` runs it, `make faults-short` a part.
//!
//! Faults run a few at a time, each in a world of its own, since most of their time is waiting for
//! leases. The table at the end is what `docs` and reports quote; any FAIL makes the exit code 1,
//! any UNKNOWN 2.

#![expect(clippy::expect_used, reason = "a check fails by panicking")]

mod book;
mod client;
mod dump;
mod faults;
mod node;
mod proxy;
mod tail;
mod target;
mod workload;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt as _;
use tests::checker::{Figures, Verdict, judge};

use crate::faults::{FAULTS, Fault, Form, Home, Stopped};

/// No fault takes longer.
const FAULT_SECS_MAX: u64 = 300;
/// Violations that are printed of one run.
const SHOWN_MAX: usize = 12;

/// Breaks things and checks the promises.
#[derive(Parser)]
struct Args {
    /// The part that fits into every run of the tests
    #[arg(long)]
    short: bool,
    /// Only faults whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Only those on `sqlite` or on `postgres`
    #[arg(long)]
    home: Option<String>,
    /// How many at a time
    #[arg(long, default_value_t = 3)]
    at_a_time: usize,
}

/// How one run ended.
enum End {
    Judged(Verdict),
    /// This machine does not let it be run.
    Skipped(String),
    /// It broke off.
    Broken(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    let chosen: Vec<Fault> = FAULTS.into_iter().filter(|fault| is_chosen(&args, fault)).collect();
    let runs = chosen.into_iter().map(|fault| async move { (fault, run(fault).await) });
    let mut ends: Vec<(Fault, End)> =
        futures_util::stream::iter(runs).buffer_unordered(args.at_a_time).collect().await;
    ends.sort_by_key(|(fault, _)| place(fault));
    println!("{}", table(&ends));
    let is_failed = |end: &End| matches!(end, End::Judged(Verdict::Fail(..)) | End::Broken(_));
    if ends.iter().any(|(_, end)| is_failed(end)) {
        return ExitCode::from(1);
    }
    let unknown = ends.iter().any(|(_, end)| matches!(end, End::Judged(Verdict::Unknown(_))));
    ExitCode::from(if unknown || ends.is_empty() { 2 } else { 0 })
}

fn is_chosen(args: &Args, fault: &Fault) -> bool {
    let is_home = match args.home.as_deref() {
        Some("sqlite") => fault.home == Home::Embedded,
        Some("postgres") => fault.home == Home::Scaled,
        _ => true,
    };
    is_home && fault.name.contains(&args.only) && (!args.short || fault.form == Form::Short)
}

fn place(fault: &Fault) -> (bool, usize) {
    let same = |it: &Fault| it.name == fault.name && it.home == fault.home;
    (fault.home == Home::Scaled, FAULTS.iter().position(same).unwrap_or(0))
}

async fn run(fault: Fault) -> End {
    let (done, is_done) = tokio::sync::oneshot::channel();
    // On a thread and a runtime of its own, so that one world never waits for another.
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let limit = Duration::from_secs(FAULT_SECS_MAX);
        let _ =
            done.send(runtime.block_on(async { tokio::time::timeout(limit, (fault.run)()).await }));
    });
    let end = match is_done.await {
        Err(_) => End::Broken("it panicked".to_owned()),
        Ok(Err(_)) => End::Broken(format!("it took longer than {FAULT_SECS_MAX} s")),
        Ok(Ok(Err(Stopped::Broken(why)))) => End::Broken(why),
        Ok(Ok(Err(Stopped::NotHere(why)))) => End::Skipped(why),
        Ok(Ok(Ok(history))) => End::Judged(judge(&history)),
    };
    let shown = match &end {
        End::Judged(Verdict::Pass(_)) => "PASS".to_owned(),
        End::Judged(Verdict::Unknown(why)) => format!("UNKNOWN: {why}"),
        End::Broken(why) => format!("BROKEN: {why}"),
        End::Skipped(why) => format!("SKIPPED: {why}"),
        End::Judged(Verdict::Fail(_, violations)) => {
            let lines = violations.iter().take(SHOWN_MAX);
            let lines = lines.map(|it| format!("\n    {:?}: {}", it.rule, it.what));
            format!("FAIL, {} violations:{}", violations.len(), lines.collect::<String>())
        }
    };
    println!("{} ({:?}): {shown}", fault.name, fault.home);
    end
}

fn table(ends: &[(Fault, End)]) -> String {
    let mut lines = vec![line([
        "fault", "on", "struck", "firings", "skipped", "lost", "doubled", "early", "re-sent",
        "recovery", "lateness", "verdict",
    ])];
    for (fault, end) in ends {
        let home = if fault.home == Home::Embedded { "SQLite" } else { "PostgreSQL" };
        let (figures, verdict) = match end {
            End::Judged(Verdict::Pass(figures)) => (figures.clone(), "PASS"),
            End::Judged(Verdict::Fail(figures, _)) => (figures.clone(), "FAIL"),
            End::Judged(Verdict::Unknown(_)) => (Figures::default(), "UNKNOWN"),
            End::Broken(_) => (Figures::default(), "BROKEN"),
            End::Skipped(_) => (Figures::default(), "SKIPPED"),
        };
        let number = |number: usize| number.to_string();
        let seconds = |ms: i64| format!("{}.{:01} s", ms / 1_000, ms % 1_000 / 100);
        lines.push(line([
            fault.name,
            home,
            &number(figures.injected),
            &number(figures.firings),
            &number(figures.skipped),
            &number(figures.lost),
            &number(figures.doubled),
            &number(figures.early),
            &number(figures.resent),
            &seconds(figures.recovery_ms),
            &format!("{} ms", figures.lateness_ms),
            verdict,
        ]));
    }
    lines.join("\n")
}

fn line(cells: [&str; 12]) -> String {
    let [fault, home, rest @ ..] = cells;
    let rest = rest.map(|cell| format!("{cell:>9}"));
    format!("{fault:<38} {home:<10} {}", rest.join(" "))
}
