//! The identifiers of Belfry's nouns: a TypeID each, a prefix and a UUIDv7.
//!
//! Stored as the 16 bytes of the UUID, so that order by id is order by creation; written as
//! `trg_01h455vb4pex5vsknk084sn02q`, so that an id says what it names wherever it turns up. Source:
//! the TypeID specification 0.3 and RFC 9562. A text with another prefix does not parse: an id
//! never names a row of another noun by accident.

use std::fmt;
use std::str::FromStr;

use sea_orm::DeriveValueType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

/// What every identifier can do, for code that works on any noun.
pub trait TypedId: Copy + fmt::Display + FromStr<Err = IdError> {
    /// The prefix, such as `trg`.
    const PREFIX: &'static str;
    /// The noun in words, such as `trigger`.
    const NOUN: &'static str;
    /// The stored form.
    fn uuid(self) -> Uuid;
    /// The identifier over a stored form.
    fn from_uuid(uuid: Uuid) -> Self;
}

/// A text that is not an identifier of the wanted noun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
    /// The noun that was expected, in words.
    pub noun: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.noun.starts_with(['a', 'e', 'A']) { "an" } else { "a" };
        write!(f, "expected the id of {article} {}: {}_ and 26 characters", self.noun, self.prefix)
    }
}

impl std::error::Error for IdError {}

/// The prefix and the UUID of any TypeID, whatever its noun; `None` when the text is not one.
#[must_use]
pub fn split(text: &str) -> Option<(String, Uuid)> {
    let id = TypeSafeId::<DynamicType>::from_str(text).ok()?;
    Some((id.type_prefix().to_string(), id.uuid()))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
        pub struct $name(pub Uuid);

        impl TypedId for $name {
            const PREFIX: &'static str = $prefix;
            const NOUN: &'static str = $noun;
            fn uuid(self) -> Uuid {
                self.0
            }
            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_typed($prefix, self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match split(text) {
                    Some((prefix, uuid)) if prefix == $prefix => Ok(Self(uuid)),
                    _ => Err(IdError { prefix: $prefix, noun: $noun }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    )*};
}

ids! {
    /// A tenant.
    ProjectId = "prj", "project";
    /// A definition of what fires.
    TriggerId = "trg", "trigger";
    /// One time plan of a trigger.
    ScheduleId = "sch", "schedule";
    /// A named set of dates that schedules share.
    CalendarId = "cal", "calendar";
    /// A named, versioned graph of stages.
    ActionId = "act", "action";
    /// One time that something fired or should have.
    FiringId = "frg", "firing";
    /// One try of one stage.
    AttemptId = "att", "attempt";
    /// A firing that is a timer: the same UUID as its [`FiringId`].
    TimerId = "tmr", "timer";
    /// One entry of the event log.
    EventId = "evt", "event";
    /// A long piece of work.
    OperationId = "opr", "operation";
    /// A credential of one project.
    KeyId = "key", "API key";
}

impl From<TimerId> for FiringId {
    fn from(id: TimerId) -> Self {
        Self(id.0)
    }
}

impl From<FiringId> for TimerId {
    fn from(id: FiringId) -> Self {
        Self(id.0)
    }
}

fn write_typed(prefix: &str, uuid: Uuid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let prefix = DynamicType::new(prefix).map_err(|_| fmt::Error)?;
    write!(f, "{}", TypeSafeId::from_type_and_uuid(prefix, uuid))
}

#[cfg(test)]
mod tests {
    use super::{ActionId, FiringId, TimerId, TriggerId, TypedId};
    use uuid::Uuid;

    #[test]
    fn the_vector_of_the_specification_holds() {
        let uuid = Uuid::parse_str("0188bac7-4afa-78aa-bc3b-bd1eef28d881").expect("a UUID");
        assert_eq!(TriggerId(uuid).to_string(), "trg_01h2xcejqtf2nbrexx3vqjhp41");
        assert_eq!("trg_01h2xcejqtf2nbrexx3vqjhp41".parse(), Ok(TriggerId(uuid)));
    }

    #[test]
    fn another_noun_does_not_parse() {
        let id = TriggerId(Uuid::from_u128(7)).to_string();
        let error = id.parse::<FiringId>().expect_err("the prefix differs");
        assert_eq!(error.to_string(), "expected the id of a firing: frg_ and 26 characters");
        let error = id.parse::<ActionId>().expect_err("the prefix differs");
        assert_eq!(error.to_string(), "expected the id of an action: act_ and 26 characters");
    }

    #[test]
    fn a_timer_and_its_firing_share_the_uuid() {
        let timer = TimerId(Uuid::from_u128(9));
        assert_eq!(FiringId::from(timer).uuid(), timer.uuid());
    }
}
