//! Demo data for `belfry seed`: enough to look around. A second run finds it and adds nothing.

use serde_json::json;

use super::schedule::{Draft, SpecInput};
use super::{Caller, action, event, trigger};
use crate::app::App;
use crate::domain::policy::Policy;
use crate::domain::zone::DstPolicy;
use crate::error::Result;

/// Makes what is missing; returns the names of what was made.
///
/// # Errors
/// The services' own.
pub async fn seed(app: &App, caller: &Caller) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let greeting = match action::find_by_name(app, caller, "demo-log").await? {
        Some(row) => row.id,
        None => {
            made.push("action demo-log".to_owned());
            action::create(app, caller, log_action()).await?.id
        }
    };
    for (name, schedules) in demo_triggers() {
        if trigger::find_by_name(app, caller, name).await?.is_some() {
            continue;
        }
        let input = trigger::Create {
            name: name.to_owned(),
            description: Some("Demo data, safe to delete.".to_owned()),
            payload_schema: None,
            runs: Some(trigger::Runs::Action(greeting)),
            is_test: false,
            concurrency: None,
            overlap: entity::trigger::Overlap::default(),
            pause_after_failures: None,
            schedules,
            idempotency_key: None,
        };
        trigger::create(app, caller, input).await?;
        made.push(format!("trigger {name}"));
    }
    if !made.is_empty() {
        event::log(app, caller, "", vec![welcome()], None).await?;
        made.push("one application event".to_owned());
    }
    Ok(made)
}

fn log_action() -> action::Create {
    let config = json!({ "message": "The demo rings", "component": "demo" });
    action::Create {
        name: "demo-log".to_owned(),
        description: Some("Writes to the event log.".to_owned()),
        body: json!({ "stages": [{ "name": "log", "kind": "log", "config": config }] }),
        idempotency_key: None,
    }
}

fn demo_triggers() -> Vec<(&'static str, Vec<Draft>)> {
    let cron = |expression: &str, zone: &str| SpecInput::Cron {
        expression: expression.to_owned(),
        zone: Some(zone.to_owned()),
        dst: DstPolicy::AUTO,
    };
    let draft = |name: &str, spec| Draft {
        name: Some(name.to_owned()),
        spec,
        policy: Policy::default(),
        payload: Some(json!({ "from": name })),
    };
    let minute =
        SpecInput::Every { interval_ms: Some(60_000), parts: None, anchor: None, phase_ms: None };
    vec![
        ("demo-by-hand", Vec::new()),
        ("demo-every-minute", vec![draft("each minute", minute)]),
        (
            "demo-weekdays-at-nine",
            vec![
                draft("Berlin", cron("0 9 * * MON-FRI", "Europe/Berlin")),
                draft("New York", cron("0 9 * * MON-FRI", "America/New_York")),
            ],
        ),
    ]
}

fn welcome() -> event::Draft {
    event::Draft {
        email: "ada@example.com".to_owned(),
        environment: "demo".to_owned(),
        component: "seed".to_owned(),
        message: "The demo data is there".to_owned(),
        data: Some(json!({ "hint": "fire demo-by-hand and watch this log" })),
        severity: None,
        correlation_id: None,
    }
}
