//! The canonical text of a filter: the same text for the same tree, and one that parses back to it.
//!
//! Each comparison and each group stands in one pair of brackets, texts in single quotes, instants
//! as RFC 3339 in UTC, and `ct` and `sw` stand for their longer names. Brackets nest as deep as the
//! tree, so that [`super::DEPTH_MAX`] never stands in the way of reading it again. It can be longer
//! than what a person wrote: text beyond [`super::TEXT_CHARS_MAX`] is for reading only.

use std::fmt;

use super::ast::Filter;
use super::value::Value;

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => group(parts, " AND ", f),
            Self::Or(parts) => group(parts, " OR ", f),
            Self::Not(part) => write!(f, "(NOT {part})"),
            Self::Compare { field, op, value } => write!(f, "({field} {op} {value})"),
        }
    }
}

/// The literal of the text form.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Severity(severity) => write!(f, "'{}'", severity.name()),
            Self::EventId(id) => write!(f, "'{id}'"),
            Self::TriggerId(id) => write!(f, "'{id}'"),
            Self::FiringId(id) => write!(f, "'{id}'"),
            Self::Instant(instant) => write!(f, "'{instant}'"),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::List(items) => {
                f.write_str("(")?;
                separated(items, ", ", f)?;
                f.write_str(")")
            }
        }
    }
}

fn group(parts: &[Filter], separator: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("(")?;
    separated(parts, separator, f)?;
    f.write_str(")")
}

fn separated<T: fmt::Display>(
    parts: &[T],
    separator: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index != 0 {
            f.write_str(separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::domain::filter::Filter;

    fn canonical(text: &str) -> String {
        let filter = Filter::parse(text).expect("it parses");
        let canonical = filter.to_string();
        assert_eq!(Filter::parse(&canonical), Ok(filter), "{canonical}");
        canonical
    }

    #[test]
    fn the_example_keeps_its_shape() {
        assert_eq!(
            canonical(
                "((email eq 'a@b.c') AND (createdAt gte '2018-1-1') AND (message ct 'buyer' ))"
            ),
            "((email eq 'a@b.c') AND (createdAt gte '2018-01-01T00:00:00Z') \
             AND (message ct 'buyer'))"
        );
    }

    #[test]
    fn precedence_becomes_visible() {
        assert_eq!(
            canonical("NOT email isNull OR isTest eq true AND type startsWith 'app.'"),
            "((NOT (email isNull true)) OR ((isTest eq true) AND (type sw 'app.')))"
        );
    }

    #[test]
    fn groups_stay_groups() {
        let nested = "(((type eq 'a') AND (type eq 'b')) AND (type eq 'c'))";
        assert_eq!(canonical(nested), nested);
        let flat = "((type eq 'a') AND (type eq 'b') AND (type eq 'c'))";
        assert_eq!(canonical("type eq 'a' AND type eq 'b' AND type eq 'c'"), flat);
        assert_eq!(canonical("((((type eq 'a'))))"), "(type eq 'a')");
    }

    #[test]
    fn quotes_and_lists_are_written_one_way() {
        assert_eq!(
            canonical(r#"message in ("it's", 'say ""', "a ""b""",'')"#),
            r#"(message in ('it''s', 'say ""', 'a "b"', ''))"#
        );
        assert_eq!(
            canonical("createdAt lt '2026-03-08T03:00:00.250-04:00'"),
            "(createdAt lt '2026-03-08T07:00:00.250Z')"
        );
    }
}
