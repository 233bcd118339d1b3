//! The evaluator in memory: does this event pass? Called for each event and subscription.
//!
//! `store/event_filter.rs` says the same in SQL; `tests/it/filter.rs` holds the two together.
//! A change here is a change there.

use std::cmp::Ordering;

use entity::event::Class;
use entity::{EventId, FiringId, Instant, TriggerId};

use super::ast::Filter;
use super::field::{Field, Op};
use super::value::{Severity, Value};

/// The fields of one event, borrowed from wherever it lives.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// The event itself.
    pub id: EventId,
    /// How long it is kept: only Belfry's own events are ever archived.
    pub class: Class,
    /// `type` in the filter, a keyword here.
    pub event_type: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// The part of an application that logged it.
    pub component: Option<&'a str>,
    /// Where that application runs.
    pub environment: Option<&'a str>,
    /// The e-mail address that it is about.
    pub email: Option<&'a str>,
    /// The sentence for people.
    pub message: Option<&'a str>,
    /// When it was recorded.
    pub created_at: Instant,
    /// The trigger that it is about.
    pub trigger_id: Option<TriggerId>,
    /// That trigger's name at the time.
    pub trigger_name: Option<&'a str>,
    /// The firing that it is about.
    pub firing_id: Option<FiringId>,
    /// Why that firing happened.
    pub cause: Option<&'a str>,
    /// The kind of the schedule that planned it.
    pub schedule_kind: Option<&'a str>,
    /// How the firing ended.
    pub outcome: Option<&'a str>,
    /// What ties events of one story together.
    pub correlation_id: Option<&'a str>,
    /// Whether it comes from a test trigger.
    pub is_test: bool,
}

impl Filter {
    /// Whether `event` passes at `now`, when events are archived `archive_after_ms` after they were
    /// recorded ([`i64::MAX`]: never).
    #[must_use]
    pub fn matches(&self, event: &EventView<'_>, now: Instant, archive_after_ms: i64) -> bool {
        self.holds(event, archived_until_ms(now, archive_after_ms))
    }

    fn holds(&self, event: &EventView<'_>, archived_until_ms: i64) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(event, archived_until_ms)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(event, archived_until_ms)),
            Self::Not(part) => !part.holds(event, archived_until_ms),
            Self::Compare { field, op, value } => {
                compare(cell(event, *field, archived_until_ms), *op, value)
            }
        }
    }
}

/// The last millisecond since 1970 whose events are archived. Not an [`Instant`], which cannot lie
/// before 1970: nothing is archived when the age reaches further back than time does.
#[must_use]
pub fn archived_until_ms(now: Instant, archive_after_ms: i64) -> i64 {
    now.millis().saturating_sub(archive_after_ms)
}

/// Whether a boolean field that is `actual` passes: the store asks for both answers and needs no
/// operators on a field that has no column.
#[must_use]
pub fn boolean_passes(actual: bool, op: Op, value: &Value) -> bool {
    compare(Some(Cell::Boolean(actual)), op, value)
}

/// The value of one field of one event.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Text(&'a str),
    Severity(Severity),
    EventId(EventId),
    TriggerId(TriggerId),
    FiringId(FiringId),
    Instant(Instant),
    Boolean(bool),
}

fn cell<'a>(event: &EventView<'a>, field: Field, archived_until_ms: i64) -> Option<Cell<'a>> {
    let text = match field {
        Field::Id => return Some(Cell::EventId(event.id)),
        Field::Severity => return Some(Cell::Severity(event.severity)),
        Field::CreatedAt => return Some(Cell::Instant(event.created_at)),
        Field::TriggerId => return event.trigger_id.map(Cell::TriggerId),
        Field::FiringId => return event.firing_id.map(Cell::FiringId),
        Field::IsTest => return Some(Cell::Boolean(event.is_test)),
        Field::IsArchived => {
            let is_old = event.created_at.millis() <= archived_until_ms;
            return Some(Cell::Boolean(event.class == Class::System && is_old));
        }
        Field::Type => Some(event.event_type),
        Field::Component => event.component,
        Field::Environment => event.environment,
        Field::Email => event.email,
        Field::Message => event.message,
        Field::TriggerName => event.trigger_name,
        Field::Cause => event.cause,
        Field::ScheduleKind => event.schedule_kind,
        Field::Outcome => event.outcome,
        Field::CorrelationId => event.correlation_id,
    };
    text.map(Cell::Text)
}

fn compare(cell: Option<Cell<'_>>, op: Op, value: &Value) -> bool {
    if op == Op::IsNull {
        return matches!(value, Value::Boolean(missing) if *missing == cell.is_none());
    }
    let Some(cell) = cell else {
        return false;
    };
    match (op, value) {
        (Op::In, Value::List(items)) => {
            items.iter().any(|v| order(cell, v).is_some_and(Ordering::is_eq))
        }
        (Op::Nin, Value::List(items)) => {
            items.iter().all(|v| order(cell, v).is_some_and(Ordering::is_ne))
        }
        (Op::In | Op::Nin, _) => false,
        (Op::Contains, Value::Text(part)) => is_text(cell, |text| contains_folded(text, part)),
        (Op::StartsWith, Value::Text(start)) => is_text(cell, |text| text.starts_with(start)),
        (Op::Contains | Op::StartsWith, _) => false,
        (Op::Eq, _) => order(cell, value).is_some_and(Ordering::is_eq),
        (Op::Neq, _) => order(cell, value).is_some_and(Ordering::is_ne),
        (Op::Gt, _) => order(cell, value).is_some_and(Ordering::is_gt),
        (Op::Gte, _) => order(cell, value).is_some_and(Ordering::is_ge),
        (Op::Lt, _) => order(cell, value).is_some_and(Ordering::is_lt),
        (Op::Lte, _) => order(cell, value).is_some_and(Ordering::is_le),
        (Op::IsNull, _) => false,
    }
}

/// How the field stands to the value; nothing when they are of different kinds.
fn order(cell: Cell<'_>, value: &Value) -> Option<Ordering> {
    match (cell, value) {
        (Cell::Text(cell), Value::Text(value)) => Some(cell.cmp(value)),
        (Cell::Severity(cell), Value::Severity(value)) => Some(cell.cmp(value)),
        (Cell::EventId(cell), Value::EventId(value)) => Some(cell.cmp(value)),
        (Cell::TriggerId(cell), Value::TriggerId(value)) => Some(cell.cmp(value)),
        (Cell::FiringId(cell), Value::FiringId(value)) => Some(cell.cmp(value)),
        (Cell::Instant(cell), Value::Instant(value)) => Some(cell.cmp(value)),
        (Cell::Boolean(cell), Value::Boolean(value)) => Some(cell.cmp(value)),
        _ => None,
    }
}

fn is_text(cell: Cell<'_>, passes: impl FnOnce(&str) -> bool) -> bool {
    matches!(cell, Cell::Text(text) if passes(text))
}

/// Without a copy of `text`, for it runs on every event of every subscription. Bytes of a
/// character beyond ASCII never equal ASCII ones, so bytes may be compared.
fn contains_folded(text: &str, part: &str) -> bool {
    part.is_empty()
        || text.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::EventView;
    use crate::domain::filter::{Filter, Severity};
    use entity::event::Class;
    use entity::{EventId, Instant, TypedId};

    const ARCHIVE_AFTER_MS: i64 = 7_200_000;

    fn event() -> EventView<'static> {
        let uuid = "evt_01h2xcejqtf2nbrexx3vqjhp41".parse::<EventId>().map(EventId::uuid);
        EventView {
            id: EventId::from_uuid(uuid.expect("the specification's vector")),
            class: Class::System,
            event_type: "app.event",
            severity: Severity::Warn,
            component: Some("shop"),
            environment: Some("production"),
            email: None,
            message: Some("The BUYER paid 100 % in Zürich"),
            created_at: Instant::from_millis(10_000_000),
            trigger_id: None,
            trigger_name: None,
            firing_id: None,
            cause: None,
            schedule_kind: None,
            outcome: Some("COMPLETED"),
            correlation_id: None,
            is_test: false,
        }
    }

    fn passes_at(text: &str, now_ms: i64) -> bool {
        let filter = Filter::parse(text).expect("it parses");
        filter.matches(&event(), Instant::from_millis(now_ms), ARCHIVE_AFTER_MS)
    }

    fn passes(text: &str) -> bool {
        passes_at(text, 10_000_000)
    }

    #[test]
    fn a_missing_field_fails_every_comparison_and_not_is_the_complement() {
        for comparison in [
            "email eq 'x'",
            "email neq 'x'",
            "email in ('x')",
            "email nin ('x')",
            "email ct ''",
            "email sw ''",
            "email gt ''",
            "email lte 'x'",
            "email isNull false",
        ] {
            assert!(!passes(comparison), "{comparison}");
            assert!(passes(&format!("NOT {comparison}")), "NOT {comparison}");
        }
        assert!(passes("email isNull true") && !passes("NOT email isNull true"));
    }

    #[test]
    fn contains_folds_ascii_letters_only() {
        assert!(passes("message ct 'buyer'") && passes("message ct 'tHE b'"));
        assert!(passes("message ct 'zürich'") && !passes("message ct 'ZÜRICH'"));
        assert!(passes("message ct '100 %'") && !passes("message ct '1%0'"));
        assert!(!passes("message ct 'b_yer'") && passes("message ct ''"));
        assert!(!passes("message ct 'The BUYER paid 100 % in Zürich.'"));
    }

    #[test]
    fn other_text_operators_take_bytes_as_they_are() {
        assert!(passes("component sw 'sh'") && !passes("component sw 'SH'"));
        assert!(!passes("component eq 'Shop'") && passes("component gt 'Z'"));
        assert!(passes("component lt 'ü'") && passes("component gte 'shop'"));
    }

    #[test]
    fn severities_compare_by_weight_and_not_by_name() {
        assert!(passes("severity gte 'INFO'") && passes("severity lt 'ERROR'"));
        assert!(!passes("severity gt 'WARN'") && passes("severity nin ('ERROR', 'DEBUG')"));
    }

    #[test]
    fn an_event_is_archived_from_the_millisecond_of_its_age() {
        let recorded_ms = 10_000_000;
        let at_age = recorded_ms + ARCHIVE_AFTER_MS;
        assert!(passes_at("isArchived eq false", at_age - 1));
        assert!(passes_at("isArchived eq true", at_age));
        assert!(!passes_at("isArchived neq true", at_age));
        let any = Filter::parse("isArchived in (true, false)").expect("it parses");
        assert!(any.matches(&event(), Instant::MAX, 0) && any.matches(&event(), Instant::MIN, 1));
    }

    #[test]
    fn an_event_of_an_application_is_never_archived() {
        let filter = Filter::parse("isArchived eq true").expect("it parses");
        let app = EventView { class: Class::App, ..event() };
        assert!(
            filter.matches(&event(), Instant::MAX, 0) && !filter.matches(&app, Instant::MAX, 0)
        );
    }

    #[test]
    fn nothing_is_archived_when_the_age_has_no_end() {
        let filter = Filter::parse("isArchived eq true").expect("it parses");
        assert!(!filter.matches(&event(), Instant::MAX, i64::MAX));
        let first = EventView { created_at: Instant::MIN, ..event() };
        assert!(!filter.matches(&first, Instant::from_millis(1_000), 1_001));
        assert!(filter.matches(&first, Instant::from_millis(1_000), 1_000));
    }
}
