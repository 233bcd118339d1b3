//! Random input that is nearly right: GraphQL documents made from the schema, and texts for every
//! parser. Called by the stories in a short form and by the binary `fuzz` in a long one.
//!
//! What is promised: whatever a client sends, nothing panics and nothing ends as an internal error.

mod document;
mod run;
mod schema;
mod text;
mod value;

pub use run::{Tally, documents};
pub use text::{Parsed, texts};
