//! Errors on the wire: user errors in payloads, and everything else at the top level with a code.
//!
//! async-graphql turns any `Display` error into a bare message. [`Failure`] is deliberately not
//! `Display`: its one conversion is the place where internal errors are logged and masked.

use std::sync::Arc;

use async_graphql::{Enum, ErrorExtensions, ID, MaybeUndefined, SimpleObject};
use entity::TypedId;

use crate::error::{Code, Error, Problem};

/// What a resolver fails with.
#[derive(Clone)]
pub struct Failure(Arc<Error>);

/// What a resolver answers.
pub type Result<T> = std::result::Result<T, Failure>;

/// One thing that is wrong with an input. When a payload lists any, nothing was changed.
#[derive(SimpleObject, Clone)]
pub struct UserError {
    /// Why, for machines.
    code: UserErrorCode,
    /// The input field, as a dotted path below `input` such as `schedules.0.spec.cron.expression`;
    /// null when the input as a whole is meant.
    field: Option<String>,
    /// Why, for people: what was expected.
    message: String,
}

/// Why an input was refused.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum UserErrorCode {
    /// The input breaks a rule.
    BadUserInput,
    /// An id or a name refers to nothing in this project.
    NotFound,
    /// The state of the object, or somebody else's change, forbids it.
    Conflict,
    /// A quota of the project is used up.
    QuotaExceeded,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Failure> for async_graphql::Error {
    fn from(Failure(error): Failure) -> Self {
        let code = error.code();
        if error.is_fault() {
            tracing::error!(%error, "a request failed by a fault of the server");
        }
        let problems = match &*error {
            Error::Refused(problems) => problems.as_slice(),
            _ => &[],
        };
        Self::new(error.told()).extend_with(|_, extensions| {
            extensions.set("code", code.as_str());
            if !problems.is_empty() {
                extensions.set("problems", problems.iter().map(problem).collect::<Vec<_>>());
            }
        })
    }
}

/// Splits what a mutation came to: the object, or why there is none; other failures stay failures.
pub fn settle<T>(done: crate::error::Result<T>) -> Result<std::result::Result<T, Vec<UserError>>> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(problems)) => {
            Ok(Err(problems.into_iter().map(UserError::from).collect()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the id of one noun; `field` is where it stands in the input.
pub fn parse_id<T: TypedId>(field: &str, id: &ID) -> crate::error::Result<T> {
    id.parse::<T>().map_err(|error| Error::invalid(field, error.to_string()))
}

/// What an update says of a field that every object has: absent leaves it, null is refused.
pub fn said<T>(field: &str, value: MaybeUndefined<T>) -> crate::error::Result<Option<T>> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Err(Error::invalid(field, "expected a value, not null")),
        MaybeUndefined::Value(value) => Ok(Some(value)),
    }
}

impl From<Problem> for UserError {
    fn from(problem: Problem) -> Self {
        Self {
            code: match problem.code {
                Code::NotFound => UserErrorCode::NotFound,
                Code::Conflict => UserErrorCode::Conflict,
                Code::Quota => UserErrorCode::QuotaExceeded,
                _ => UserErrorCode::BadUserInput,
            },
            field: Some(problem.field).filter(|field| !field.is_empty()),
            message: problem.message,
        }
    }
}

fn problem(problem: &Problem) -> async_graphql::Value {
    async_graphql::value!({
        "code": problem.code.as_str(),
        "field": problem.field.as_str(),
        "message": problem.message.as_str(),
    })
}

/// A payload type of a mutation with one object, `{ object, userErrors }`, made from what the
/// service answers.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident {
        $(#[$field_doc:meta])* $field:ident: $object:ty = $made:ty => $make:expr
    }) => {
        $(#[$doc])*
        #[derive(async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            $field: Option<$object>,
            /// What is wrong with the input; empty when the mutation was done.
            user_errors: Vec<$crate::graphql::error::UserError>,
        }

        impl $name {
            fn of(
                done: $crate::error::Result<$made>,
            ) -> $crate::graphql::error::Result<Option<Self>> {
                let make: fn($made) -> $object = $make;
                Ok(Some(match $crate::graphql::error::settle(done)? {
                    Ok(made) => Self { $field: Some(make(made)), user_errors: Vec::new() },
                    Err(user_errors) => Self { $field: None, user_errors },
                }))
            }
        }
    };
}

pub(super) use payload;
