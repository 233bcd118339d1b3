//! Chooses the pages that the binary carries: `console/dist` once `make console` has built it,
//! otherwise the small query page in `assets/`. Runs no Node, reaches no network, copies nothing:
//! it hands the folder to `http/playground.rs`, whose derive embeds it.

use std::{env, error::Error, path::Path};

/// The file without which a folder is no console.
const PAGE: &str = "playground.html";

fn main() -> Result<(), Box<dyn Error>> {
    let server = env::var("CARGO_MANIFEST_DIR")?;
    let built_in = Path::new(&server).join("assets");
    let console = Path::new(&server).join("../console");
    let bundle = console.join("dist");

    let chosen = if bundle.join(PAGE).is_file() { &bundle } else { &built_in };
    println!("cargo::rustc-env=BELFRY_CONSOLE_DIR={}", chosen.canonicalize()?.display());

    // Cargo takes a watched path that is missing as changed and would build the crate anew each
    // time: until `dist` exists, watch the folder in which it will appear.
    let watched = [&bundle, &console].into_iter().find(|path| path.is_dir());
    for path in watched.into_iter().chain([&built_in]) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}
