//! The file of `--config`: TOML whose keys are the long flag names of `belfry serve`. Called by
//! `cli/mod.rs` before clap runs; what the file says takes the place of the defaults.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{Arg, Command};

/// Puts the settings of a file in the place of the defaults: those of `belfry serve`, and of the
/// other commands where they have the same setting.
///
/// # Errors
/// A sentence that names the file and the setting.
pub fn with_file(command: Command, path: &Path) -> Result<Command, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let table: BTreeMap<String, toml::Value> =
        toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    let serve: Vec<Arg> = command
        .find_subcommand("serve")
        .map(|serve| serve.get_arguments().cloned().collect())
        .unwrap_or_default();
    let mut settings = Vec::new();
    for (key, value) in &table {
        let is_named = |arg: &&Arg| key != "config" && arg.get_long() == Some(key);
        let Some(arg) = serve.iter().find(is_named) else {
            return Err(format!("{shown}: there is no setting {key:?}"));
        };
        let Some(text) = plain(value) else {
            return Err(format!("{shown}: {key}: expected a text or a number"));
        };
        settings.push((arg.clone(), text));
    }
    Ok(with_defaults(command, &settings))
}

/// `command` and all below it with other defaults for the arguments that read the same variable.
fn with_defaults(command: Command, settings: &[(Arg, String)]) -> Command {
    let same = |mine: &Arg, other: &Arg| {
        mine.get_long() == other.get_long() && mine.get_env() == other.get_env()
    };
    command.mut_subcommands(|sub| with_defaults(sub, settings)).mut_args(|arg| {
        let Some((_, text)) = settings.iter().find(|(setting, _)| same(&arg, setting)) else {
            return arg;
        };
        let is_secret = arg.is_hide_env_values_set();
        arg.default_value(text.clone()).hide_default_value(is_secret)
    })
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(plain).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}
