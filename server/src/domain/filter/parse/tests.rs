//! What the parser accepts, what it refuses, and where it says so.

use super::super::{COMPARISONS_MAX, DEPTH_MAX, LIST_ITEMS_MAX, TEXT_CHARS_MAX};
use super::super::{Field, Filter, FilterError, Op};

fn parse(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> FilterError {
    Filter::parse(text).expect_err(text)
}

fn problem(text: &str) -> (usize, String) {
    let error = refused(text);
    (error.offset, error.message)
}

fn type_is(name: &str) -> Filter {
    Filter::compare(Field::Type, Op::Eq, name).expect("a comparison")
}

#[test]
fn and_binds_tighter_than_or_and_not_tightest() {
    let (a, b, c) = (type_is("a"), type_is("b"), type_is("c"));
    let not_a = Filter::Not(Box::new(a.clone()));
    let and = Filter::And(vec![not_a, b]);
    let expected = Filter::Or(vec![and, c]);
    assert_eq!(parse("NOT type eq 'a' AND type eq 'b' OR type eq 'c'"), expected);
    assert_eq!(parse("((NOT(type eq'a')AND(type eq'b'))OR(type eq'c'))"), expected);
}

#[test]
fn brackets_decide_over_precedence() {
    let (a, b, c) = (type_is("a"), type_is("b"), type_is("c"));
    let expected = Filter::And(vec![Filter::Or(vec![a, b]), c]);
    assert_eq!(parse("((type eq 'a') OR (type eq 'b')) AND (type eq 'c')"), expected);
}

#[test]
fn a_bare_comparison_and_any_spacing_are_accepted() {
    assert_eq!(parse("type eq 'a'"), type_is("a"));
    assert_eq!(parse(" (\t( type\n eq \"a\" )\r) "), type_is("a"));
}

#[test]
fn brackets_keywords_and_quotes_inside_a_text_are_text() {
    let expected = Filter::compare(Field::Message, Op::Contains, "x (y) AND it's %_");
    assert_eq!(Ok(parse("(message ct 'x (y) AND it''s %_')")), expected);
}

#[test]
fn is_null_may_leave_out_true() {
    let expected = Filter::compare(Field::Email, Op::IsNull, true).expect("a comparison");
    for text in ["(email isNull)", "email isNull", "email isNull true", "(email isNull true)"] {
        assert_eq!(parse(text), expected, "{text}");
    }
    let both = Filter::And(vec![expected.clone(), expected]);
    assert_eq!(parse("email isNull AND email isNull"), both);
}

#[test]
fn the_structure_is_checked_where_it_breaks() {
    let cases = [
        ("", 0, "the filter is empty"),
        ("  ", 2, "the filter is empty"),
        ("()", 1, "unexpected ')'"),
        ("(type eq 'a'", 12, "the filter ends too early"),
        ("(type eq 'a'))", 13, "unexpected ')'"),
        ("(type eq 'a') (type eq 'b')", 14, "unexpected '('"),
        ("(type eq 'a') AND", 17, "the filter ends too early"),
        ("AND (type eq 'a')", 0, "unexpected 'AND' (AND, OR and NOT are written in upper case)"),
        ("'a' eq type", 0, "unexpected the text 'a'"),
        (
            "(type eq 'a') and (type eq 'b')",
            14,
            "unexpected 'and' (AND, OR and NOT are written in upper case)",
        ),
        ("type eq 'a' | type eq 'b'", 12, "unexpected '|'"),
        ("type", 4, "the filter ends too early"),
        ("type eq", 7, "the filter ends too early"),
        ("type eq 'a", 8, "a text is not closed"),
        ("type eq a", 8, "unexpected 'a'"),
        ("type eq ('a')", 8, "unexpected '('"),
        ("type in 'a'", 8, "unexpected the text 'a'"),
        ("type in ()", 9, "unexpected ')'"),
        ("type in ('a',)", 13, "unexpected ')'"),
        ("type in ('a' 'b')", 13, "unexpected the text 'b'"),
        ("type eq 'ü' OR type eq 5", 23, "unexpected '5'"),
        ("createdAt gte 2018-1-1", 14, "unexpected '2018-1-1'"),
        ("type eq 'a\0'", 10, "U+0000 is not allowed"),
    ];
    for (text, offset, message) in cases {
        assert_eq!(problem(text), (offset, message.to_owned()), "{text}");
    }
}

#[test]
fn fields_operators_and_values_are_checked_where_they_stand() {
    let cases = [
        ("(mail eq 'a')", 1, "unknown field 'mail'"),
        ("(data.user.id eq 'a')", 1, "filtering by 'data.user.id' is not supported yet"),
        ("data__key eq 'a'", 0, "filtering by 'data__key' is not supported yet"),
        ("database eq 'a'", 0, "unknown field 'database'"),
        ("type = 'a'", 5, "unknown operator '='"),
        ("type EQ 'a'", 5, "unknown operator 'EQ'"),
        ("severity ct 'WARN'", 9, "severity does not take ct"),
        ("isTest gt true", 7, "isTest does not take gt"),
        ("severity eq 'FOO'", 12, "'FOO' does not fit severity"),
        ("severity in ('WARN', 'FOO')", 21, "'FOO' does not fit severity"),
        ("cause eq 'api'", 9, "'api' does not fit cause"),
        ("scheduleKind eq 'DAILY'", 16, "'DAILY' does not fit scheduleKind"),
        ("outcome eq 'done'", 11, "'done' does not fit outcome"),
        ("triggerId eq 'evt_x'", 13, "'evt_x' does not fit triggerId"),
        ("createdAt gte 'yesterday'", 14, "'yesterday' does not fit createdAt"),
        ("isTest eq 'true'", 10, "'true' does not fit isTest"),
        ("email eq true", 9, "email eq got a boolean"),
        ("email isNull 'no'", 13, "email isNull got a text"),
    ];
    for (text, offset, message) in cases {
        assert_eq!(problem(text), (offset, message.to_owned()), "{text}");
    }
}

#[test]
fn an_error_says_what_was_expected() {
    assert_eq!(
        refused("(severity eq 'FOO')").to_string(),
        "'FOO' does not fit severity at offset 13: expected one of DEBUG, INFO, WARN, ERROR"
    );
    assert_eq!(
        refused("cause like 'x'").expected,
        "an operator of cause: one of eq, neq, in, nin, isNull"
    );
    assert_eq!(
        refused("firingId eq 'x'").expected,
        "an id such as 'frg_01h455vb4pex5vsknk084sn02q'"
    );
    assert_eq!(
        refused("cause in 'x'").expected,
        "a list in brackets, its values one of API, SCHEDULE, SIGNAL, TIMER, REPLAY, BACKFILL, \
         MANUAL"
    );
}

#[test]
fn the_length_counts_characters() {
    let text = |length: usize| format!("type eq '{}'", "ü".repeat(length - 10));
    assert!(Filter::parse(&text(TEXT_CHARS_MAX)).is_ok());
    let past = problem(&text(TEXT_CHARS_MAX + 1));
    assert_eq!(past, (TEXT_CHARS_MAX, "the filter is too long".to_owned()));
}

#[test]
fn the_depth_counts_brackets_and_negations() {
    let brackets = |n: usize| format!("{}type eq 'a'{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(parse(&brackets(DEPTH_MAX)), type_is("a"));
    let message = "the filter is nested too deep".to_owned();
    assert_eq!(problem(&brackets(DEPTH_MAX + 1)), (DEPTH_MAX, message.clone()));
    let negations = |n: usize| format!("{}type eq 'a'", "NOT ".repeat(n));
    let deepest = parse(&negations(DEPTH_MAX - 1));
    assert_eq!(Filter::parse(&deepest.to_string()), Ok(deepest));
    assert_eq!(problem(&negations(DEPTH_MAX)), (0, message.clone()));
    assert_eq!(problem(&"(".repeat(TEXT_CHARS_MAX)), (DEPTH_MAX, message));
}

#[test]
fn comparisons_and_list_items_are_counted() {
    let comparisons = |n: usize| vec!["type eq 'a'"; n].join(" OR ");
    assert!(Filter::parse(&comparisons(COMPARISONS_MAX)).is_ok());
    let past = problem(&comparisons(COMPARISONS_MAX + 1));
    assert_eq!(past, (1_500, "the filter has too many comparisons".to_owned()));
    let list = |n: usize| format!("type in ({})", vec!["'a'"; n].join(","));
    assert!(Filter::parse(&list(LIST_ITEMS_MAX)).is_ok());
    assert_eq!(problem(&list(LIST_ITEMS_MAX + 1)), (409, "the list is too long".to_owned()));
}
