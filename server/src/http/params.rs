//! The parameters of one GraphQL request, as JSON (POST body, WebSocket payload) or as a query
//! string (GET). Types are checked here; what they mean is decided in `execute.rs`.

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::http::persisted::{self, Hash};

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// The document; absent when `persisted` stands for it.
    pub query: Option<String>,
    /// The hash of a persisted query, of `extensions.persistedQuery`.
    pub persisted: Option<Hash>,
    /// Which operation of the document; `None` when it has only one.
    pub operation_name: Option<String>,
    /// Values of the operation's variables.
    pub variables: Map<String, Value>,
}

impl Params {
    /// Reads a JSON object. Members of other names are ignored.
    ///
    /// # Errors
    /// A sentence that names the member that is missing or of the wrong type.
    pub fn from_json(body: Value) -> Result<Self, String> {
        let Value::Object(mut body) = body else {
            return Err("Expected one JSON object; batches are off.".to_owned());
        };
        let extensions = object("extensions", body.remove("extensions"))?;
        let persisted = extensions.get("persistedQuery").map(hash).transpose()?;
        let query = match body.remove("query") {
            Some(Value::String(query)) if persisted.is_none() || !query.is_empty() => Some(query),
            None | Some(Value::String(_)) if persisted.is_some() => None,
            None => return Err("The parameter query is missing.".to_owned()),
            Some(_) => return Err("The parameter query must be a string.".to_owned()),
        };
        let operation_name = match body.remove("operationName") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err("The parameter operationName must be a string.".to_owned()),
        };
        let variables = object("variables", body.remove("variables"))?;
        Ok(Self { query, persisted, operation_name, variables })
    }

    /// Reads the query string of a GET; `variables` and `extensions` are JSON in it. An empty
    /// optional parameter is an absent one.
    ///
    /// # Errors
    /// As [`Params::from_json`], and for a parameter that is given twice.
    pub fn from_query_string(text: &str) -> Result<Self, String> {
        let mut body = Map::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = match name.as_ref() {
                "query" => Value::String(value.into_owned()),
                "operationName" | "variables" | "extensions" if value.is_empty() => continue,
                "operationName" => Value::String(value.into_owned()),
                "variables" | "extensions" => json(&name, &value)?,
                _ => continue,
            };
            if body.insert(name.to_string(), value).is_some() {
                return Err(format!("The parameter {name} is given twice."));
            }
        }
        Self::from_json(Value::Object(body))
    }
}

fn object(name: &str, value: Option<Value>) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(format!("The parameter {name} must be a JSON object.")),
    }
}

/// The hash of `{"version": 1, "sha256Hash": "…"}`.
fn hash(persisted: &Value) -> Result<Hash, String> {
    if persisted.get("version") != Some(&Value::from(1)) {
        return Err("extensions.persistedQuery.version must be 1.".to_owned());
    }
    let digits = persisted.get("sha256Hash").and_then(Value::as_str);
    digits.and_then(persisted::parse_hash).ok_or_else(|| {
        "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits.".to_owned()
    })
}

fn json(name: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("The parameter {name} is not JSON: {error}."))
}

#[cfg(test)]
mod tests {
    use super::Params;
    use serde_json::json;

    #[test]
    fn null_is_absent_for_all_but_the_query() {
        let body = json!({
            "query": "{ a }", "operationName": null, "variables": null, "extensions": null, "id": 1
        });
        let expected = Params { query: Some("{ a }".into()), ..Params::default() };
        assert_eq!(Params::from_json(body), Ok(expected));
        assert!(Params::from_json(json!({"query": null})).is_err());
    }

    #[test]
    fn every_member_has_its_type() {
        for body in [
            json!([]),
            json!([{"query": "{ a }"}]),
            json!({}),
            json!({"query": 1}),
            json!({"query": "{ a }", "operationName": 1}),
            json!({"query": "{ a }", "variables": "{}"}),
            json!({"query": "{ a }", "variables": []}),
            json!({"query": "{ a }", "extensions": 1}),
            json!({"query": "{ a }", "extensions": {"persistedQuery": 1}}),
            json!({"query": "{ a }", "extensions": {"persistedQuery": {"version": 1}}}),
        ] {
            assert!(Params::from_json(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_hash_stands_for_the_query() {
        let digits = "ab".repeat(32);
        let with = |version: i32, digits: &str| json!({"persistedQuery": {"version": version, "sha256Hash": digits}});
        for query in [None, Some("")] {
            let body = json!({"query": query, "extensions": with(1, &digits)});
            let body = match query {
                Some(_) => body,
                None => json!({"extensions": with(1, &digits)}),
            };
            let params = Params::from_json(body).expect("it is well formed");
            assert_eq!((params.query, params.persisted), (None, Some([0xab; 32])));
        }
        for extensions in [with(2, &digits), with(1, &digits[1..]), with(1, &"x".repeat(64))] {
            assert!(Params::from_json(json!({"extensions": extensions})).is_err());
        }
        let other = json!({"query": "{ a }", "extensions": {"unknown": 1}});
        assert!(Params::from_json(other).is_ok(), "unknown ones are ignored");
    }

    #[test]
    fn a_query_string_says_the_same() {
        let text = "query=%7B+a+%7D&operationName=&variables=%7B%22x%22%3A1%7D&other=1";
        let params = Params::from_query_string(text).expect("it is well formed");
        assert_eq!((params.query.as_deref(), params.operation_name), (Some("{ a }"), None));
        assert_eq!(params.variables.get("x"), Some(&json!(1)));
        for text in ["", "query=a&query=b", "query=a&variables=%7B", "query=a&extensions=1"] {
            assert!(Params::from_query_string(text).is_err(), "{text}");
        }
    }
}
