//! Problems of stages, named as the client wrote them: the domain checks stages in the form in which
//! they are stored, where a config stands below no kind and lengths of time are numbers.
//!
//! ```text
//!  stages.0.config.url         →  stages.0.config.http.url
//!  stages.0.timeoutMs          →  stages.0.timeout
//!  stages.0.retry.delaysMs.1   →  stages.0.retry.delays.1
//! ```

use super::action::StageInput;
use crate::domain::{action, duration, retry};
use crate::error::{Error, Problem};

/// The stages of one input: where they stand in it, and of which kind each is.
pub struct StagePath {
    field: &'static str,
    kinds: Vec<&'static str>,
}

impl StagePath {
    /// Of the stages at `field`, such as `stages` or `action.inline.stages`.
    pub fn new(field: &'static str, stages: &[StageInput]) -> Self {
        Self { field, kinds: stages.iter().map(StageInput::kind).collect() }
    }

    /// The same error with the client's own names.
    pub fn name(&self, error: Error) -> Error {
        let Error::Refused(problems) = error else { return error };
        Error::Refused(problems.into_iter().map(|problem| self.renamed(problem)).collect())
    }

    fn renamed(&self, mut problem: Problem) -> Problem {
        let below = problem.field.strip_prefix(self.field);
        let Some((index, rest)) = below
            .and_then(|below| below.strip_prefix('.'))
            .and_then(|below| below.split_once('.'))
            .map(|(index, rest)| (index.to_owned(), rest.to_owned()))
        else {
            return problem;
        };
        let kind = index.parse().ok().and_then(|index: usize| self.kinds.get(index));
        let (said, message) = match (rest.split('.').collect::<Vec<_>>().as_slice(), kind) {
            (["config", below @ ..], Some(kind)) => {
                ([&["config", kind], below].concat().join("."), None)
            }
            (["timeoutMs"], _) => {
                let range = action::TIMEOUT_MS;
                ("timeout".to_owned(), Some(between(*range.start(), *range.end())))
            }
            (["retry", "delaysMs"], _) => ("retry.delays".to_owned(), None),
            (["retry", "delaysMs", place], _) => {
                (format!("retry.delays.{place}"), Some(between(0, retry::DELAY_MS_MAX)))
            }
            _ => return problem,
        };
        problem.field = format!("{}.{index}.{said}", self.field);
        problem.message = message.unwrap_or(problem.message);
        problem
    }
}

fn between(first_ms: i64, last_ms: i64) -> String {
    format!(
        "expected a duration from {} to {}",
        duration::format(first_ms),
        duration::format(last_ms)
    )
}
