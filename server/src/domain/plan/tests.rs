//! Plans of every kind: stored, asked, put into words, refused.

use entity::Instant;

use super::{DstPolicy, Gap, Kind, Plan, Spec};

fn at(text: &str) -> Instant {
    Instant::parse(text).expect(text)
}

fn cron(expression: &str, zone: &str) -> Plan {
    let spec = Spec::cron(expression, zone);
    spec.compile().expect(expression)
}

#[test]
fn a_spec_is_stored_as_json_with_its_kind() {
    let spec = Spec::every(4_800_000, at("2026-11-21T09:00:00Z"));
    let json = serde_json::to_string(&spec).expect("it is plain data");
    let expected = r#"{"kind":"EVERY","interval_ms":4800000,"anchor":1795251600000}"#;
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<Spec>(&json).expect("it was just written"), spec);
    assert_eq!(spec.kind(), Kind::Every);
}

#[test]
fn one_time_plans_fire_once() {
    let plan = Spec::In { delay_ms: 300_000, at: at("2026-11-21T09:05:00Z") }.compile();
    let plan = plan.expect("it is plain");
    assert_eq!(plan.next_after(Instant::MIN), Some(at("2026-11-21T09:05:00Z")));
    assert_eq!(plan.next_after(at("2026-11-21T09:05:00Z")), None);
    assert_eq!(plan.summary(), "once, after 5 minutes, at 2026-11-21T09:05:00Z");
    assert!(Spec::In { delay_ms: -1, at: Instant::MIN }.compile().is_err());
}

#[test]
fn every_counts_from_its_anchor_and_does_not_drift() {
    let anchor = at("2026-11-21T09:00:00.250Z");
    let plan = Spec::every(4_800_000, anchor).compile().expect("it is plain");
    assert_eq!(plan.next_after(Instant::MIN), Some(at("2026-11-21T10:20:00.250Z")));
    assert_eq!(plan.next_after(anchor), Some(at("2026-11-21T10:20:00.250Z")));
    let tenth = at("2026-11-21T22:20:00.250Z");
    assert_eq!(plan.next_after(tenth.plus_ms(-1)), Some(tenth));
    assert_eq!(plan.next_after(tenth), Some(tenth.plus_ms(4_800_000)));
    assert_eq!(plan.next_after(Instant::MAX), None);
    assert_eq!(plan.summary(), "every 1 hour 20 minutes, counted from 2026-11-21T09:00:00.250Z");
}

#[test]
fn an_interval_is_whole_seconds_and_fires_before_the_end_of_time() {
    let compiles = |interval_ms, anchor| Spec::every(interval_ms, anchor).compile().is_ok();
    assert!(compiles(1000, Instant::MIN));
    assert!(!compiles(999, Instant::MIN) && !compiles(1500, Instant::MIN));
    assert!(!compiles(0, Instant::MIN) && !compiles(i64::MIN, Instant::MIN));
    assert!(compiles(1000, Instant::MAX.plus_ms(-1000)));
    assert!(!compiles(1000, Instant::MAX.plus_ms(-999)) && !compiles(i64::MAX, Instant::MIN));
}

#[test]
fn a_phase_shifts_all_instants_and_the_first_is_after_the_anchor() {
    let anchor = at("2026-11-21T09:00:00Z");
    let spec = Spec::Every { interval_ms: 3_600_000, anchor, phase_ms: 300_000 };
    let plan = spec.compile().expect("it is plain");
    assert_eq!(plan.next_after(Instant::MIN), Some(at("2026-11-21T09:05:00Z")));
    assert_eq!(plan.next_after(at("2026-11-21T09:05:00Z")), Some(at("2026-11-21T10:05:00Z")));
    assert_eq!(plan.count(Instant::MIN, anchor.plus_ms(3 * 3_600_000)), 3);
    let words = "every hour, offset by 5 minutes, counted from 2026-11-21T09:00:00Z";
    assert_eq!(plan.summary(), words);
    // Aligned to the calendar of UTC: an interval may be longer than the phase lets it begin.
    let spec = Spec::Every { interval_ms: 86_400_000, anchor: Instant::MIN, phase_ms: 1 };
    let plan = spec.compile().expect("it is plain");
    assert_eq!(plan.next_after(anchor), Some(at("2026-11-22T00:00:00.001Z")));
    let phase = |phase_ms| Spec::Every { interval_ms: 1000, anchor, phase_ms }.compile();
    assert!(phase(999).is_ok());
    assert_eq!(phase(1000).expect_err("too long").field, "phase");
    assert_eq!(phase(-1).expect_err("negative").field, "phase");
}

#[test]
fn a_policy_for_changes_of_clocks_is_stored_and_said() {
    let old = r#"{"kind":"CRON","expression":"30 2 * * *","zone":"America/New_York"}"#;
    let spec: Spec = serde_json::from_str(old).expect("rows of old are read");
    assert_eq!(spec, Spec::cron("30 2 * * *", "America/New_York"));
    assert_eq!(serde_json::to_string(&spec).expect("it is plain data"), old);
    let dst = DstPolicy { gap: Some(Gap::Skip), overlap: None };
    let spec = Spec::Cron { expression: "30 2 * * *".into(), zone: "UTC".into(), dst };
    let json = serde_json::to_string(&spec).expect("it is plain data");
    let expected = r#"{"kind":"CRON","expression":"30 2 * * *","zone":"UTC","gap":"SKIP"}"#;
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_str::<Spec>(&json).expect("it was just written"), spec);
    let plan = spec.compile().expect("it is plain");
    assert_eq!(plan.summary(), "every day at 02:30, UTC, times in a gap skipped");
}

#[test]
fn a_cron_plan_speaks_of_its_zone_and_of_what_the_clocks_did() {
    let plan = cron("30 2 * * *", "America/New_York");
    assert_eq!(plan.summary(), "every day at 02:30, America/New_York");
    let moved = plan.next_after(at("2026-03-08T05:00:00Z")).expect("it goes on");
    assert_eq!(plan.local(moved), "2026-03-08T03:00:00-04:00");
    let note = "moved from 02:30, which does not exist on 2026-03-08: clocks go forward from \
                02:00 to 03:00";
    assert_eq!(plan.note_at(moved).as_deref(), Some(note));
    assert_eq!(plan.note_at(at("2026-03-09T06:30:00Z")), None);
    assert_eq!(cron("*/7 * * * *", "UTC").summary(), "by the expression `*/7 * * * *`, UTC");
}

#[test]
fn a_repeated_time_is_noted_with_its_pass() {
    let note = |expression, instant| cron(expression, "Europe/Berlin").note_at(at(instant));
    let first = note("30 2 * * *", "2026-10-25T00:30:00Z").expect("it is repeated");
    assert_eq!(
        first,
        "02:30 comes twice on 2026-10-25, because clocks go back from 03:00 to 02:00: this \
         is the first pass, the only one that fires"
    );
    let second = note("30 * * * *", "2026-10-25T01:30:00Z").expect("it is repeated");
    assert!(second.ends_with("this is the second pass"), "{second}");
    let merged = note("0 2,3 * * *", "2026-03-29T01:00:00Z").expect("two meet");
    let day = cron("0 12 * * *", "Pacific/Apia").note_at(at("2011-12-30T10:00:00Z"));
    assert!(day.expect("a day is lost").ends_with("from 00:00 to 00:00 on 2011-12-31"));
    assert!(merged.starts_with("stands also for 02:00,"), "{merged}");
}

#[test]
fn a_bad_spec_is_refused_by_the_name_of_its_field() {
    for (expression, zone, field, reason) in [
        ("60 * * * *", "UTC", "expression", "at character 1"),
        ("0 0 31 2 *", "UTC", "expression", "a day that exists"),
        ("0 0 * * *", "Mars/Phobos", "zone", "IANA time zone"),
    ] {
        let spec = Spec::cron(expression, zone);
        let problem = spec.compile().expect_err(expression);
        assert_eq!(problem.field, field);
        assert!(problem.message.contains(reason), "{}", problem.message);
    }
}
