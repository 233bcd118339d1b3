//! Random events and filters. Filters mostly ask for parts of what the events hold, so that most of
//! them pass some events and not others.

use belfry::domain::filter::{EventView, Field, Filter, Kind, Op, Severity, Value};
use entity::event::Class;
use entity::{EventId, FiringId, Instant, TriggerId, TypedId};
use sea_orm::prelude::Uuid;
use tests::Random;

const OUTCOMES: [&str; 4] = ["COMPLETED", "FAILED", "SKIPPED", "CANCELLED"];
const INSTANTS_MS: [i64; 6] =
    [0, 1, 1_514_764_800_000, 1_514_764_800_001, 1_800_000_000_000, i64::MAX];
const AGES_MS: [i64; 5] = [0, 1, 7_200_000, 285_235_200_000, i64::MAX];

/// What filters compare with besides texts.
pub trait Draw {
    /// A point in time from a few.
    fn instant(&mut self) -> Instant;
    /// An archive age from a few.
    fn age_ms(&mut self) -> i64;
    /// An identity from a few.
    fn uuid(&mut self) -> Uuid;
}

impl Draw for Random {
    fn instant(&mut self) -> Instant {
        Instant::from_millis(*self.pick(&INSTANTS_MS))
    }

    fn age_ms(&mut self) -> i64 {
        *self.pick(&AGES_MS)
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_u128([0, 1, 0x80 << 120, u128::MAX][self.below(4)])
    }
}

/// An event that owns its texts.
pub struct Event {
    id: EventId,
    event_type: String,
    severity: Severity,
    texts: [Option<String>; 9],
    created_at: Instant,
    trigger_id: Option<TriggerId>,
    firing_id: Option<FiringId>,
    is_test: bool,
    is_app: bool,
}

impl Event {
    /// A random event; `number` makes its id.
    pub fn new(number: u128, random: &mut Random) -> Self {
        Self {
            id: EventId::from_uuid(Uuid::from_u128(number)),
            event_type: random.text(),
            severity: *random.pick(&Severity::ALL),
            texts: [
                random.maybe_text(),
                random.maybe_text(),
                random.maybe_text(),
                random.maybe_text(),
                random.maybe_text(),
                random.one_of(choices(Field::Cause)),
                random.one_of(choices(Field::ScheduleKind)),
                random.one_of(&OUTCOMES),
                random.maybe_text(),
            ],
            created_at: random.instant(),
            trigger_id: random.chance(60).then(|| TriggerId::from_uuid(random.uuid())),
            firing_id: random.chance(60).then(|| FiringId::from_uuid(random.uuid())),
            is_test: random.chance(50),
            is_app: random.chance(50),
        }
    }

    /// The event as the filter sees it.
    pub fn view(&self) -> EventView<'_> {
        let text = |index: usize| self.texts[index].as_deref();
        EventView {
            id: self.id,
            event_type: &self.event_type,
            severity: self.severity,
            component: text(0),
            environment: text(1),
            email: text(2),
            message: text(3),
            created_at: self.created_at,
            trigger_id: self.trigger_id,
            trigger_name: text(4),
            firing_id: self.firing_id,
            cause: text(5),
            schedule_kind: text(6),
            outcome: text(7),
            correlation_id: text(8),
            is_test: self.is_test,
            class: if self.is_app { Class::App } else { Class::System },
        }
    }
}

/// A filter that the constructors accept.
pub fn filter(random: &mut Random, events: &[Event], depth: usize) -> Filter {
    if depth == 0 || random.chance(30) {
        return comparison(random, events);
    }
    let built = match random.below(5) {
        0 | 1 => Filter::all(parts(random, events, depth)),
        2 | 3 => Filter::any(parts(random, events, depth)),
        _ => Filter::negate(filter(random, events, depth - 1)),
    };
    built.expect("small enough")
}

/// A comparison that no constructor would build: any field, operator and value.
pub fn misfit(random: &mut Random, events: &[Event]) -> Filter {
    let field = *random.pick(&Field::ALL);
    let op = *random.pick(&Op::ALL);
    let value = match random.below(3) {
        0 => Value::List((0..random.below(3)).map(|_| any_value(random, events)).collect()),
        _ => any_value(random, events),
    };
    Filter::Compare { field, op, value }
}

fn parts(random: &mut Random, events: &[Event], depth: usize) -> Vec<Filter> {
    (0..2 + random.below(3)).map(|_| filter(random, events, depth - 1)).collect()
}

fn comparison(random: &mut Random, events: &[Event]) -> Filter {
    let field = *random.pick(&Field::ALL);
    let op = *random.pick(field.kind().operators());
    let value = match op {
        Op::IsNull => Value::Boolean(random.chance(50)),
        Op::In | Op::Nin => {
            let items = (0..1 + random.below(3)).map(|_| value(random, events, field, op));
            Value::List(items.collect())
        }
        _ => value(random, events, field, op),
    };
    Filter::compare(field, op, value).expect("it fits")
}

fn any_value(random: &mut Random, events: &[Event]) -> Value {
    let field = *random.pick(&Field::ALL);
    value(random, events, field, Op::Eq)
}

fn value(random: &mut Random, events: &[Event], field: Field, op: Op) -> Value {
    match field.kind() {
        Kind::Text => Value::Text(part_of_an_event(random, events)),
        Kind::UpperCase if op == Op::Contains => (*random.pick(&["led", "", "P", "%"])).into(),
        Kind::UpperCase => (*random.pick(&OUTCOMES)).into(),
        Kind::Choice(choices) => (*random.pick(choices)).into(),
        Kind::Severity => Value::Severity(*random.pick(&Severity::ALL)),
        Kind::EventId => Value::EventId(random.pick(events).id),
        Kind::TriggerId => Value::TriggerId(TriggerId::from_uuid(random.uuid())),
        Kind::FiringId => Value::FiringId(FiringId::from_uuid(random.uuid())),
        Kind::Instant => Value::Instant(random.instant()),
        Kind::Boolean => Value::Boolean(random.chance(50)),
    }
}

/// A stretch of some event's text, in either case, or any text.
fn part_of_an_event(random: &mut Random, events: &[Event]) -> String {
    let event = random.pick(events);
    let text = random.pick(&event.texts[..5]).clone();
    let whole = text.unwrap_or_else(|| random.text());
    let start = if random.chance(70) { 0 } else { random.below(3) };
    let length = if random.chance(50) { usize::MAX } else { random.below(3) };
    let part: String = whole.chars().skip(start).take(length).collect();
    match random.below(4) {
        0 => part.to_uppercase(),
        1 => part.to_ascii_lowercase(),
        _ => part,
    }
}

fn choices(field: Field) -> &'static [&'static str] {
    match field.kind() {
        Kind::Choice(choices) => choices,
        _ => &[],
    }
}
