//! What a filter can ask about: the fields of an event, the kind of each, and the operators.
//!
//! Pure tables. [`Kind::operators`] is the one place that says which field takes which operator;
//! the reference page of the language is printed from it.

use std::fmt;

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The event's id, `evt_…`.
    Id,
    /// What happened, such as `firing.completed` or `app.event`.
    Type,
    /// How bad it is.
    Severity,
    /// The part of an application that logged it.
    Component,
    /// Where that application runs, such as `production`.
    Environment,
    /// The e-mail address that an application event is about.
    Email,
    /// The sentence for people.
    Message,
    /// When it was recorded.
    CreatedAt,
    /// The trigger that it is about, `trg_…`.
    TriggerId,
    /// That trigger's name at the time.
    TriggerName,
    /// The firing that it is about, `frg_…`.
    FiringId,
    /// Why that firing happened.
    Cause,
    /// The kind of the schedule that planned it: tells one-time from recurring.
    ScheduleKind,
    /// How the firing ended, in upper case, such as `COMPLETED`.
    Outcome,
    /// What ties events of one story together.
    CorrelationId,
    /// Whether it comes from a test trigger.
    IsTest,
    /// Whether it is older than the archive age. Not stored: see the module.
    IsArchived,
}

impl Field {
    /// Every field, in the order in which messages list them.
    pub const ALL: [Self; 17] = [
        Self::Id,
        Self::Type,
        Self::Severity,
        Self::Component,
        Self::Environment,
        Self::Email,
        Self::Message,
        Self::CreatedAt,
        Self::TriggerId,
        Self::TriggerName,
        Self::FiringId,
        Self::Cause,
        Self::ScheduleKind,
        Self::Outcome,
        Self::CorrelationId,
        Self::IsTest,
        Self::IsArchived,
    ];

    /// The field of this exact name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Its name in both written forms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "type",
            Self::Severity => "severity",
            Self::Component => "component",
            Self::Environment => "environment",
            Self::Email => "email",
            Self::Message => "message",
            Self::CreatedAt => "createdAt",
            Self::TriggerId => "triggerId",
            Self::TriggerName => "triggerName",
            Self::FiringId => "firingId",
            Self::Cause => "cause",
            Self::ScheduleKind => "scheduleKind",
            Self::Outcome => "outcome",
            Self::CorrelationId => "correlationId",
            Self::IsTest => "isTest",
            Self::IsArchived => "isArchived",
        }
    }

    /// What its values are.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Id => Kind::EventId,
            Self::TriggerId => Kind::TriggerId,
            Self::FiringId => Kind::FiringId,
            Self::Severity => Kind::Severity,
            Self::CreatedAt => Kind::Instant,
            Self::IsTest | Self::IsArchived => Kind::Boolean,
            Self::Cause => Kind::Choice(&[
                "API", "SCHEDULE", "SIGNAL", "TIMER", "REPLAY", "BACKFILL", "MANUAL",
            ]),
            Self::ScheduleKind => Kind::Choice(&["AT", "IN", "EVERY", "CRON"]),
            Self::Outcome => Kind::UpperCase,
            Self::Type
            | Self::Component
            | Self::Environment
            | Self::Email
            | Self::Message
            | Self::TriggerName
            | Self::CorrelationId => Kind::Text,
        }
    }

    /// Whether an event may be without it.
    #[must_use]
    pub fn is_optional(self) -> bool {
        !matches!(
            self,
            Self::Id
                | Self::Type
                | Self::Severity
                | Self::CreatedAt
                | Self::IsTest
                | Self::IsArchived
        )
    }
}

/// What the values of a field are: decides the operators and how a literal is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text without lower-case letters, from an open set.
    UpperCase,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// DEBUG, INFO, WARN or ERROR, in that order.
    Severity,
    /// The id of an event.
    EventId,
    /// The id of a trigger.
    TriggerId,
    /// The id of a firing.
    FiringId,
    /// A point in time.
    Instant,
    /// True or false.
    Boolean,
}

impl Kind {
    /// The operators that a field of this kind takes.
    #[must_use]
    pub fn operators(self) -> &'static [Op] {
        use Op::{Contains, Eq, Gt, Gte, In, IsNull, Lt, Lte, Neq, Nin, StartsWith};
        match self {
            Self::Text => &Op::ALL,
            Self::UpperCase => &[Eq, Neq, In, Nin, Contains, StartsWith, IsNull],
            Self::Severity | Self::Instant => &[Eq, Neq, In, Nin, Gt, Gte, Lt, Lte, IsNull],
            Self::Choice(_) | Self::EventId | Self::TriggerId | Self::FiringId | Self::Boolean => {
                &[Eq, Neq, In, Nin, IsNull]
            }
        }
    }
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Equal.
    Eq,
    /// Present and not equal.
    Neq,
    /// Equal to one of a list.
    In,
    /// Present and equal to none of a list.
    Nin,
    /// Has this part; the ASCII letters fold.
    Contains,
    /// Begins with this, byte for byte.
    StartsWith,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Is missing (`true`) or present (`false`).
    IsNull,
}

impl Op {
    /// Every operator.
    pub const ALL: [Self; 11] = [
        Self::Eq,
        Self::Neq,
        Self::In,
        Self::Nin,
        Self::Contains,
        Self::StartsWith,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::IsNull,
    ];

    /// The operator of this exact name; `contains` and `startsWith` are other names of `ct` and
    /// `sw`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "contains" => Some(Self::Contains),
            "startsWith" => Some(Self::StartsWith),
            _ => Self::ALL.into_iter().find(|op| op.name() == name),
        }
    }

    /// Its name in the text form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Contains => "ct",
            Self::StartsWith => "sw",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::IsNull => "isNull",
        }
    }

    /// Whether it takes a list.
    #[must_use]
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Nin)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Op};

    #[test]
    fn every_field_and_operator_is_found_by_its_exact_name() {
        for field in Field::ALL {
            assert_eq!(Field::named(field.name()), Some(field));
        }
        for op in Op::ALL {
            assert_eq!(Op::named(op.name()), Some(op));
        }
        assert_eq!(Op::named("contains"), Some(Op::Contains));
        assert_eq!(Op::named("startsWith"), Some(Op::StartsWith));
        assert_eq!((Field::named("Email"), Op::named("EQ")), (None, None));
    }

    #[test]
    fn every_field_can_be_asked_for_equality_and_absence() {
        for field in Field::ALL {
            let operators = field.kind().operators();
            assert!(operators.contains(&Op::Eq) && operators.contains(&Op::IsNull), "{field}");
        }
    }
}
