//! The long form of the fuzzing: random documents against a whole Belfry, random texts against every
//! parser. Prints the seed and what it came to; ends with 1 when anything panicked or ended as an
//! internal error.

use clap::Parser;
use tests::{TestApp, fuzz};

/// See the module.
#[derive(Parser)]
struct Arguments {
    /// Documents to send
    #[arg(long, default_value_t = 100_000)]
    documents: usize,
    /// Texts for each parser
    #[arg(long, default_value_t = 1_000_000)]
    texts: usize,
    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Documents that one database takes before it is made anew.
const PER_DATABASE: usize = 1_000;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let Arguments { documents, texts, seed } = Arguments::parse();
    for parser in ["cron", "duration", "filter", "guard"] {
        let fuzz::Parsed { taken, refused } = fuzz::texts(parser, seed, texts);
        println!("{parser}: {texts} texts from seed {seed}, {taken} taken, {refused} refused");
    }
    let mut sum = fuzz::Tally::default();
    let mut seed = seed;
    while sum.documents < documents {
        let app = TestApp::start().await;
        let count = PER_DATABASE.min(documents - sum.documents);
        let tally = fuzz::documents(&app, seed, count).await;
        sum.documents += tally.documents;
        for (code, count) in tally.ends {
            *sum.ends.entry(code).or_default() += count;
        }
        tally.faults.iter().for_each(|fault| println!("from seed {seed}:\n{fault}\n"));
        sum.faults.extend(tally.faults);
        seed += 1;
    }
    println!("{} documents, {} faults: {:?}", sum.documents, sum.faults.len(), sum.ends);
    u8::from(!sum.faults.is_empty()).into()
}
