//! The request guard: what a query may cost before anything executes or even validates it.
//!
//! Called by `http/execute.rs` for every operation, whatever the transport. async-graphql's own
//! limits come too late: its parser recurses on the stack for each nested literal (3 KB of `[` end
//! the process), and its checks expand fragments again at each spread (800 bytes keep a core busy
//! for seconds). The guard therefore looks three times, each pass cheap and bounded by the last:
//!
//! ```text
//! text ── lexical: characters, tokens, bracket nesting ──▶ parse
//!      ── expansion: every fragment costed once, cycles refused ──▶ selections, depth, …
//!      ── overlap: the first conflicting pair of fields ends it ──▶ async-graphql
//! ```
//!
//! The document that comes out is the one to execute ([`Request::set_parsed_query`]), so a query is
//! parsed once. The standard introspection queries pass.

mod complexity;
mod expansion;
mod lexical;
mod overlap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection,
};
use async_graphql::{
    ErrorExtensionValues, Name, Pos, Positioned, Request, ServerError, Value, Variables, parser,
};

use crate::error::Code;
use crate::graphql::order::Order;

/// A document that passed the guard.
#[derive(Debug)]
pub struct Admitted {
    document: ExecutableDocument,
    kind: OperationType,
    /// Variables of the chosen operation that have neither a default nor null.
    required: Vec<Positioned<Name>>,
    order: Order,
}

impl Admitted {
    /// What the chosen operation is.
    #[must_use]
    pub fn kind(&self) -> OperationType {
        self.kind
    }

    /// Whether `variables` has a value for each variable that needs one. async-graphql finds out
    /// only where a resolver asks, when half of a mutation may have run.
    ///
    /// # Errors
    /// [`GuardError::Variable`] for the first that is missing.
    pub fn check_variables(&self, variables: &Variables) -> Result<(), GuardError> {
        let missing = |name: &&Positioned<Name>| {
            variables.get(&name.node).is_none_or(|value| *value == Value::Null)
        };
        let Some(name) = self.required.iter().find(missing) else { return Ok(()) };
        let message = format!("Variable \"${}\" needs a value that is not null.", name.node);
        Err(GuardError::Variable(message, vec![name.pos]))
    }

    /// What the operation costs, about one for each field of the answer: what the rate limit
    /// counts with. `operation_name` is what the guard was asked with.
    #[must_use]
    pub fn complexity(&self, operation_name: Option<&str>, variables: &Variables) -> usize {
        // The guard has found it before.
        let Ok(operation) = choose(&self.document, operation_name) else { return 0 };
        complexity::complexity(&self.document, operation, variables)
    }

    /// The order of the response.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order.clone()
    }

    /// Gives `request` the parsed document, so that async-graphql does not parse it again.
    pub fn hand_to(self, request: &mut Request) {
        request.set_parsed_query(self.document);
    }
}

/// Why a query is not executed. Nothing ran.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// A limit of `limits.rs` is exceeded; the text names it.
    #[error("{0}")]
    TooComplex(String),
    /// The text is not a GraphQL document.
    #[error("{0}")]
    Syntax(String, Vec<Pos>),
    /// The document breaks a rule of the specification's chapter 5.
    #[error("{0}")]
    Invalid(String, Vec<Pos>),
    /// The document has no such operation, or several and none is named.
    #[error("{0}")]
    NoOperation(String),
    /// A variable has no value and needs one.
    #[error("{0}")]
    Variable(String, Vec<Pos>),
}

impl GuardError {
    /// The machine-readable kind; API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooComplex(_) => "QUERY_TOO_COMPLEX",
            Self::Syntax(..) => "GRAPHQL_PARSE_FAILED",
            Self::Invalid(..) => "GRAPHQL_VALIDATION_FAILED",
            Self::NoOperation(_) => "OPERATION_RESOLUTION_FAILURE",
            Self::Variable(..) => Code::Validation.as_str(),
        }
    }
}

impl From<GuardError> for ServerError {
    fn from(error: GuardError) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", error.code());
        let mut refusal = Self::new(error.to_string(), None);
        refusal.extensions = Some(extensions);
        match error {
            GuardError::Syntax(_, places)
            | GuardError::Invalid(_, places)
            | GuardError::Variable(_, places) => refusal.locations = places,
            GuardError::TooComplex(_) | GuardError::NoOperation(_) => {}
        }
        refusal
    }
}

impl From<parser::Error> for GuardError {
    fn from(error: parser::Error) -> Self {
        Self::Syntax(error.to_string(), error.positions().collect())
    }
}

/// Parses `query` when it stays within the limits, and finds the operation that `operation_name`
/// chooses. Takes a few milliseconds for the worst document that it admits.
///
/// # Errors
/// [`GuardError`] for the first thing that is wrong.
pub fn check(query: &str, operation_name: Option<&str>) -> Result<Admitted, GuardError> {
    lexical::check(query)?;
    let document = parser::parse_query(query)?;
    expansion::check(&document)?;
    overlap::check(&document)?;
    let operation = choose(&document, operation_name)?;
    if operation.ty == OperationType::Subscription {
        check_subscription(operation)?;
    }
    let (kind, required) = (operation.ty, required(operation));
    let order = Order::of(&operation.selection_set.node, &document.fragments);
    Ok(Admitted { document, kind, required, order })
}

/// The specification's `GetOperation` (6.1), in the words of async-graphql.
fn choose<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, GuardError> {
    let found = match (&document.operations, name) {
        (DocumentOperations::Single(only), None) => Some(only),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(_), None) => None,
    };
    found.map(|operation| &operation.node).ok_or_else(|| {
        GuardError::NoOperation(name.map_or_else(
            || "Operation name required in request.".to_owned(),
            |name| format!("Unknown operation named \"{name}\""),
        ))
    })
}

fn required(operation: &OperationDefinition) -> Vec<Positioned<Name>> {
    let variables = operation.variable_definitions.iter().map(|variable| &variable.node);
    let required = variables.filter(|variable| variable.default_value().is_none());
    required.map(|variable| variable.name.clone()).collect()
}

/// A subscription selects one root field (5.2.4.1). async-graphql would merge several, and would
/// end at once, without a word, where the field is inside a fragment.
fn check_subscription(operation: &OperationDefinition) -> Result<(), GuardError> {
    let set = &operation.selection_set;
    if let [only] = set.node.items.as_slice()
        && matches!(only.node, Selection::Field(_))
    {
        return Ok(());
    }
    let message = "A subscription selects exactly one root field, not through a fragment.";
    Err(GuardError::Invalid(message.to_owned(), vec![set.pos]))
}

#[cfg(test)]
mod tests {
    use super::{GuardError, check};

    #[test]
    fn the_operation_is_the_named_one_or_the_only_one() {
        let kind = |query, name| check(query, name).map(|admitted| admitted.kind().to_string());
        let two = "query A { a } mutation B { b }";
        assert_eq!(kind("{ a }", None).ok().as_deref(), Some("query"));
        assert_eq!(kind(two, Some("B")).ok().as_deref(), Some("mutation"));
        assert_eq!(kind("mutation B { b }", None).ok().as_deref(), Some("mutation"));
        for (query, name) in [(two, None), (two, Some("C")), ("{ a }", Some("A"))] {
            assert!(matches!(kind(query, name), Err(GuardError::NoOperation(_))), "{query}");
        }
    }

    #[test]
    fn a_variable_that_must_not_be_null_needs_a_value() {
        let query = "query A($a: Int!, $b: Int, $c: Int! = 1) { x } query B { y }";
        let with = |name, json| {
            let admitted = check(query, Some(name)).expect("the query is small");
            admitted.check_variables(&async_graphql::Variables::from_json(json)).is_ok()
        };
        assert!(with("A", serde_json::json!({"a": 1})));
        assert!(with("B", serde_json::json!({})));
        assert!(!with("A", serde_json::json!({})));
        assert!(!with("A", serde_json::json!({"a": null})));
    }

    #[test]
    fn a_subscription_selects_one_field_directly() {
        assert!(check("subscription { a }", None).is_ok());
        for query in
            ["subscription { a b }", "subscription { ...F } fragment F on Subscription { a }"]
        {
            assert!(matches!(check(query, None), Err(GuardError::Invalid(..))), "{query}");
        }
    }

    #[test]
    fn what_is_no_document_says_where() {
        let refusal = async_graphql::ServerError::from(check("{ a(", None).expect_err("syntax"));
        assert_eq!(refusal.locations.len(), 1);
    }

    /// Every document here was seen to stop an unguarded server: by its stack, or by its time.
    #[test]
    fn attacks_are_refused_before_they_cost_anything() {
        let nested = |open: &str, close: &str| {
            format!("{{ f(arg: {}{}) }}", open.repeat(1_600), close.repeat(1_600))
        };
        let doubling = |levels: usize| {
            let level = |n: usize| format!("fragment F{n} on Q {{ ...F{0} ...F{0} }} ", n + 1);
            let chain: String = (0..levels).map(level).collect();
            format!("{{ ...F0 }} {chain} fragment F{levels} on Q {{ a }}")
        };
        for query in [
            nested("[", "]"),
            nested("{a:", "}"),
            nested("[{a:", "}]"),
            format!("{}a{}", "{a".repeat(1_600), "}".repeat(1_600)),
            format!("query($v: {}Int{}) {{ a }}", "[".repeat(1_600), "]".repeat(1_600)),
            doubling(25),
            doubling(30),
            doubling(200),
        ] {
            let refused = check(&query, None);
            assert!(matches!(refused, Err(GuardError::TooComplex(_))), "{query}");
        }
    }

    /// async-graphql would report each pair with each argument, for each of the 30 levels: 8
    /// million errors.
    #[test]
    fn conflicting_fields_are_reported_once() {
        let arguments: String = (0..250).map(|n| format!("x{n}:1 ")).collect();
        let (open, close) = ("...{".repeat(30), "}".repeat(30));
        let query = format!("{{ r {{ {open} a({arguments}){} {close} }} }}", " a".repeat(800));
        assert!(
            matches!(check(&query, None), Err(GuardError::Invalid(_, places)) if places.len() == 2)
        );
    }

    /// The deepest literals that pass must fit on a worker's stack, in a debug build too.
    #[test]
    fn what_the_lexical_check_admits_does_not_overflow_the_parser() {
        let levels = crate::limits::QUERY_NESTING_MAX;
        let lists = |n: usize| format!("{{ a(x: {}{}) }}", "[".repeat(n), "]".repeat(n));
        let objects = |n: usize| format!("{{ a(x: {}1{}) }}", "{a:".repeat(n), "}".repeat(n));
        let sets = |n: usize| format!("{}a{}", "{a".repeat(n), "}".repeat(n));
        for query in [lists(levels - 2), objects(levels - 2), sets(levels)] {
            let worker = std::thread::Builder::new().stack_size(1024 * 1024);
            let parsed = worker.spawn(move || check(&query, None).is_ok()).expect("a thread");
            assert!(parsed.join().is_ok());
        }
    }
}
