//! The filter language of the log: one meaning in text, in memory and in SQL.

#![cfg(test)]

mod random;

use belfry::domain::filter::{EventView, Field, Filter, Op};
use belfry::store::event_filter::condition;
use entity::event::Class;
use entity::{EventId, Instant, TypedId};
use random::{Draw as _, Event};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{ColumnDef, Query, SqliteQueryBuilder, Table};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Value};
use tests::Random;

const README: &str =
    "((email eq 'a@b.c') AND (createdAt gte '2018-1-1') AND (message ct 'buyer' ))";
const COLUMNS: [&str; 17] = [
    "id",
    "type",
    "severity",
    "component",
    "environment",
    "email",
    "message",
    "created_at",
    "trigger_id",
    "trigger_name",
    "firing_id",
    "cause",
    "schedule_kind",
    "outcome",
    "correlation_id",
    "is_test",
    "class",
];
const NEVER_MS: i64 = i64::MAX;

/// What an agreement run has seen, so that a run in which nothing ever matched does not pass.
#[derive(Debug, Default)]
struct Tally {
    filters: usize,
    /// Filters that passed some of the events but not all: the ones that tell something.
    telling: usize,
}

#[tokio::test]
async fn sql_and_memory_agree_on_random_filters() {
    let db = sqlite().await;
    let tally = agree(&db, 1, |random, events| random::filter(random, events, 4)).await;
    assert!(4_000 <= tally.filters && tally.filters < 3 * tally.telling, "{tally:?}");
}

#[tokio::test]
async fn sql_and_memory_agree_on_single_comparisons() {
    let db = sqlite().await;
    let tally = agree(&db, 2, |random, events| random::filter(random, events, 0)).await;
    assert!(4_000 <= tally.filters && tally.filters < 3 * tally.telling, "{tally:?}");
}

#[tokio::test]
async fn sql_and_memory_agree_on_trees_that_no_constructor_builds() {
    let db = sqlite().await;
    agree(&db, 3, |random, events| {
        let misfit = random::misfit(random, events);
        match random.below(6) {
            0 => Filter::Not(Box::new(misfit)),
            1 => Filter::And(vec![misfit]),
            2 => Filter::Or(vec![Filter::Or(Vec::new()), misfit]),
            3 => Filter::And(vec![Filter::And(Vec::new()), misfit]),
            4 => Filter::Not(Box::new(Filter::Or(Vec::new()))),
            _ => misfit,
        }
    })
    .await;
}

#[tokio::test]
async fn the_largest_filter_runs() {
    let db = sqlite().await;
    create(&db).await;
    let list = vec!["x"; 100];
    let largest: Vec<_> = (0..100)
        .map(|_| Filter::compare(Field::Email, Op::Nin, list.clone()).expect("it fits"))
        .collect();
    let mut filter = Filter::any(largest).expect("at the bound");
    for _ in 0..30 {
        filter = Filter::negate(filter).expect("within the depth");
    }
    assert_eq!(select(&db, &filter, Instant::MIN, 0).await, Vec::new());
}

#[tokio::test]
async fn the_example_of_the_readme_finds_exactly_its_rows() {
    let db = sqlite().await;
    create(&db).await;
    let base = Event::new(1, &mut Random(7));
    let recorded = Instant::parse("2018-01-01T00:00:00Z").expect("an instant");
    let row = |number: u128, email: &'static str, message: &'static str, ms: i64| EventView {
        id: EventId::from_uuid(Uuid::from_u128(number)),
        email: Some(email),
        message: Some(message),
        created_at: recorded.plus_ms(ms),
        ..base.view()
    };
    for event in [
        row(1, "a@b.c", "a Buyer came", 0),
        row(2, "a@b.c", "BUYERS", 1),
        row(3, "A@b.c", "a buyer came", 0),
        row(4, "a@b.c", "a b_yer came", 0),
        row(5, "a@b.c", "a buyer came", -1),
    ] {
        insert(&db, &event).await;
    }
    let filter = Filter::parse(README).expect("the example");
    assert_eq!(select(&db, &filter, recorded, NEVER_MS).await, [1, 2]);
}

#[tokio::test]
async fn attacks_are_texts_or_errors() {
    let db = sqlite().await;
    create(&db).await;
    let attack = "'); DROP TABLE event; --";
    let base = Event::new(1, &mut Random(7));
    insert(&db, &EventView { email: Some(attack), ..base.view() }).await;
    for op in [Op::Eq, Op::Contains, Op::StartsWith, Op::Gte] {
        let filter = Filter::compare(Field::Email, op, attack).expect("a text");
        assert_eq!(Filter::parse(&filter.to_string()), Ok(filter.clone()));
        let condition = condition(&filter, db.get_database_backend(), Instant::MIN, 0);
        let query = Query::select().column("id").from("event").cond_where(condition).take();
        assert!(!query.build(SqliteQueryBuilder).0.contains("DROP"));
        assert_eq!(select(&db, &filter, Instant::MIN, 0).await, [1]);
    }
    for (text, offset) in [
        ("(email eq 'x') OR 1=1", 18),
        ("(email eq 'x'); DROP TABLE event", 14),
        ("(email eq 'x' OR 'a'='a')", 17),
        ("(email eq 'x\\' OR 1=1 --')", 24),
        ("__import__('os').system('id')", 0),
        ("(email__exact eq 'x')", 1),
        ("(email eq None)", 10),
        ("email/**/eq 'x'", 0),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
}

#[test]
fn the_text_form_is_read_back_as_the_same_filter() {
    let mut random = Random(4);
    let events: Vec<_> = (1..=20).map(|number| Event::new(number, &mut random)).collect();
    for _ in 0..5_000 {
        let filter = random::filter(&mut random, &events, 3);
        let text = filter.to_string();
        assert_eq!(Filter::parse(&text), Ok(filter), "{text}");
    }
}

#[test]
fn precedence_is_that_of_the_grammar() {
    let mut random = Random(5);
    let event = Event::new(1, &mut random);
    let event = EventView { is_test: true, ..event.view() };
    let mut counts = [0_usize; 2];
    for _ in 0..5_000 {
        let (text, truth) = sentence(&mut random, 4);
        let Ok(filter) = Filter::parse(&text) else {
            continue;
        };
        assert_eq!(filter.matches(&event, Instant::MIN, 0), truth, "{text}");
        counts[usize::from(truth)] += 1;
    }
    assert!(counts.iter().all(|&count| 1_000 < count), "{counts:?}");
}

#[test]
fn nonsense_is_refused_with_an_offset_and_never_panics() {
    const WORDS: [&str; 20] = [
        "(", ")", "(", ")", "'", "\"", ",", " AND ", " OR ", "NOT ", "type", " eq ", "'a'", " in ",
        "true", " isNull", "severity", "'WARN'", "ü", "\0",
    ];
    let mut random = Random(6);
    let mut accepted = 0;
    for _ in 0..50_000 {
        let text: String = (0..random.below(12)).map(|_| *random.pick(&WORDS)).collect();
        match Filter::parse(&text) {
            Ok(filter) => {
                accepted += 1;
                assert_eq!(Filter::parse(&filter.to_string()), Ok(filter), "{text}");
            }
            Err(error) => assert!(error.offset <= text.chars().count(), "{text}: {error}"),
        }
    }
    assert!(0 < accepted);
}

/// A random sentence of the grammar without its meaning computed by a parser: the truth is known
/// while the text is written.
fn sentence(random: &mut Random, depth: usize) -> (String, bool) {
    let (mut text, mut any) = (String::new(), false);
    for index in 0..1 + random.below(3) {
        let (conjunction, truth) = conjunction(random, depth);
        any |= truth;
        text += if index == 0 { "" } else { " OR " };
        text += &conjunction;
    }
    (text, any)
}

fn conjunction(random: &mut Random, depth: usize) -> (String, bool) {
    let (mut text, mut all) = (String::new(), true);
    for index in 0..1 + random.below(3) {
        let negated = random.chance(20);
        let (operand, truth) = operand(random, depth);
        all &= truth != negated;
        text += if index == 0 { "" } else { " AND " };
        text += if negated { "NOT " } else { "" };
        text += &operand;
    }
    (text, all)
}

/// The event that is asked is a test event: `true` holds.
fn operand(random: &mut Random, depth: usize) -> (String, bool) {
    if depth == 0 || random.chance(60) {
        let truth = random.chance(50);
        return (format!("isTest eq {truth}"), truth);
    }
    let (text, truth) = sentence(random, depth - 1);
    (format!("({text})"), truth)
}

/// Runs thousands of filters of `make` over random events in `db` and in memory, and holds the
/// results together. The connection must be a single one: the table is temporary.
async fn agree(
    db: &DatabaseConnection,
    seed: u64,
    make: impl Fn(&mut Random, &[Event]) -> Filter,
) -> Tally {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    create(db).await;
    for _ in 0..10 {
        db.execute(&Query::delete().from_table("event").take()).await.expect("it empties");
        let events: Vec<_> = (1..=40).map(|number| Event::new(number, &mut random)).collect();
        for event in &events {
            insert(db, &event.view()).await;
        }
        for _ in 0..400 {
            let filter = make(&mut random, &events);
            let (now, age_ms) = (random.instant(), random.age_ms());
            let expected: Vec<u128> = events
                .iter()
                .map(Event::view)
                .filter(|event| filter.matches(event, now, age_ms))
                .map(|event| event.id.uuid().as_u128())
                .collect();
            assert_eq!(select(db, &filter, now, age_ms).await, expected, "{filter}");
            tally.filters += 1;
            tally.telling += usize::from(!expected.is_empty() && expected.len() < events.len());
        }
    }
    tally
}

async fn sqlite() -> DatabaseConnection {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("a database in memory")
}

async fn create(db: &DatabaseConnection) {
    let mut table = Table::create();
    table.table("event").temporary();
    for name in COLUMNS {
        let mut column = ColumnDef::new(name);
        match name {
            "id" | "trigger_id" | "firing_id" => column.uuid(),
            "severity" => column.small_integer().not_null(),
            "created_at" => column.big_integer().not_null(),
            "is_test" => column.boolean().not_null(),
            _ => column.text(),
        };
        table.col(column);
    }
    db.execute(&table).await.expect("the table");
}

async fn insert(db: &DatabaseConnection, event: &EventView<'_>) {
    let values: [Value; 17] = [
        event.id.uuid().into(),
        event.event_type.into(),
        event.severity.level().into(),
        event.component.into(),
        event.environment.into(),
        event.email.into(),
        event.message.into(),
        event.created_at.millis().into(),
        event.trigger_id.map(TypedId::uuid).into(),
        event.trigger_name.into(),
        event.firing_id.map(TypedId::uuid).into(),
        event.cause.into(),
        event.schedule_kind.into(),
        event.outcome.into(),
        event.correlation_id.into(),
        event.is_test.into(),
        if event.class == Class::System { "SYSTEM" } else { "APP" }.into(),
    ];
    let mut insert = Query::insert();
    insert.into_table("event").columns(COLUMNS).values_panic(values.map(Into::into));
    db.execute(&insert).await.expect("a row");
}

/// The numbers of the events that pass in SQL, in order.
async fn select(
    db: &DatabaseConnection,
    filter: &Filter,
    now: Instant,
    archive_after_ms: i64,
) -> Vec<u128> {
    let condition = condition(filter, db.get_database_backend(), now, archive_after_ms);
    let mut query = Query::select();
    query.column("id").from("event").cond_where(condition);
    query.order_by("id", sea_orm::Order::Asc);
    let rows = db.query_all(&query).await.unwrap_or_else(|error| panic!("{filter}: {error}"));
    rows.iter().map(|row| row.try_get::<Uuid>("", "id").expect("an id").as_u128()).collect()
}
