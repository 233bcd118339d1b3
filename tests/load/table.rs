//! What a scenario came to, and the one table of a run.

use crate::ceiling::Ceiling;
use crate::home::Kind;
use crate::machine::Used;

/// How late things came, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Half came within this.
    pub p50: i64,
    /// All but one in a hundred came within this.
    pub p99: i64,
    /// The last.
    pub max: i64,
    /// The first: below 0 is early.
    pub min: i64,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    scenario: &'static str,
    home: &'static str,
    /// What was fired.
    pub firings: i64,
    /// Firings recorded in a second, and what the client does alone.
    pub rate: Option<(f64, Ceiling)>,
    /// What was used meanwhile.
    pub used: Option<Used>,
    /// How late the requests arrived.
    pub late: Option<Lateness>,
    /// How late they arrive when the client alone is paced so.
    pub raw_late: Option<Lateness>,
    /// What the server held in the end and at most, in MiB.
    pub memory_mib: Option<(i64, i64)>,
    bars: Vec<(String, bool)>,
    broken: Vec<String>,
    notes: Vec<String>,
}

const HEAD: [&str; 15] = [
    "scenario", "home", "firings", "rate/s", "raw/s", "ratio", "cpu us", "raw", "ratio", "p50",
    "p99", "max ms", "raw p99", "MiB", "others",
];

impl Lateness {
    /// Of figures in any order.
    pub fn of(mut figures: Vec<i64>) -> Self {
        figures.sort_unstable();
        let at = |share: f64| {
            let last = figures.len().saturating_sub(1);
            figures.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
        };
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0), min: at(0.0) }
    }
}

impl Row {
    /// A line about nothing yet.
    pub fn new(scenario: &'static str, kind: Kind) -> Self {
        Self {
            scenario,
            home: kind.name(),
            firings: 0,
            rate: None,
            used: None,
            late: None,
            raw_late: None,
            memory_mib: None,
            bars: Vec::new(),
            broken: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A promise that must hold.
    pub fn promise(&mut self, is_kept: bool, otherwise: impl Into<String>) {
        if !is_kept {
            self.broken.push(otherwise.into());
        }
    }

    /// A figure that must reach its bar.
    pub fn bar(&mut self, is_reached: bool, text: impl Into<String>) {
        self.bars.push((text.into(), is_reached));
    }

    /// Something to say beside the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Whether a promise was broken.
    pub fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Whether a bar was missed.
    pub fn is_missed(&self) -> bool {
        self.bars.iter().any(|(_, is_reached)| !is_reached)
    }

    /// How many firings a second, as a share of what the client does alone.
    pub fn ratio(&self) -> f64 {
        self.rate.map_or(0.0, |(rate, ceiling)| rate / ceiling.per_sec)
    }

    /// The line for itself.
    pub fn line(&self) -> String {
        let cells: Vec<String> = HEAD
            .iter()
            .zip(self.cells())
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(head, cell)| format!("{head} {cell}"))
            .collect();
        format!("  {}; {}", cells.join(", "), self.verdict())
    }

    fn cells(&self) -> [String; 15] {
        let text = |figure: Option<String>| figure.unwrap_or_default();
        let whole = |figure: f64| format!("{figure:.0}");
        let share = |figure: f64| format!("{figure:.2}");
        let cpu_us = self.used.filter(|_| self.rate.is_some());
        let cpu_us = cpu_us.map(|used| used.ours_secs * 1_000_000.0 / self.firings.max(1) as f64);
        let raw = self.rate.map(|(_, ceiling)| ceiling);
        let cpu_ratio = raw.zip(cpu_us).map(|(raw, cpu_us)| share(raw.cpu_us / cpu_us.max(1.0)));
        [
            self.scenario.to_owned(),
            self.home.to_owned(),
            self.firings.to_string(),
            text(self.rate.map(|(rate, _)| whole(rate))),
            text(raw.map(|raw| whole(raw.per_sec))),
            text(self.rate.map(|_| share(self.ratio()))),
            text(cpu_us.map(whole)),
            text(raw.map(|raw| whole(raw.cpu_us))),
            text(cpu_ratio),
            text(self.late.map(|late| late.p50.to_string())),
            text(self.late.map(|late| late.p99.to_string())),
            text(self.late.map(|late| late.max.to_string())),
            text(self.raw_late.map(|late| late.p99.to_string())),
            text(self.memory_mib.map(|(_, most)| most.to_string())),
            text(self.used.map(|used| share(used.others_secs / used.total_secs()))),
        ]
    }

    fn verdict(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for (text, is_reached) in &self.bars {
            words.push(format!("{text}: {}", if *is_reached { "yes" } else { "MISSED" }));
        }
        words.extend(self.broken.iter().map(|why| format!("BROKEN: {why}")));
        words.extend(self.notes.iter().cloned());
        words.join("; ")
    }
}

/// The table of a run, with what is to be said about it.
pub fn text(rows: &[Row], machine: &str) -> String {
    let lines: Vec<[String; 15]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = format!("\n{machine}\n\n");
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text.push('\n');
    for row in rows {
        text.push_str(&format!("{} on {}: {}\n", row.scenario, row.home, row.verdict()));
    }
    text.push_str(LEGEND);
    text
}

/// What the columns are.
const LEGEND: &str = "
raw        the HTTP client of the stages posting to the same receiver, no queue, no database
ratio      of what was reached to raw: firings a second, then processor time of one firing
cpu us     processor time of one firing in microseconds: servers, databases, Redis, receiver
p50 … max  arrival at the receiver after the due instant; raw p99: the same for raw, paced alike
others     share of the processor time that went to what the harness did not start
";
