//! What a text from outside must satisfy, the same on every field of every API.

use crate::error::Problem;

/// Collects the problems of one input, so that a client sees all of them at once.
#[derive(Debug, Default)]
pub struct Check {
    /// What was found so far.
    pub problems: Vec<Problem>,
}

impl Check {
    /// Nothing was found yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a broken rule of `field`.
    pub fn problem(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(field, message));
    }

    /// Notes what another check found in `field`.
    pub fn under(&mut self, field: &str, problems: Vec<Problem>) {
        self.problems.extend(problems.into_iter().map(|problem| problem.under(field)));
    }

    /// A line of text: 1 to `chars_max` characters, not blank, no control characters.
    pub fn name(&mut self, field: &str, text: &str, chars_max: usize) {
        if text.trim().is_empty() {
            self.problem(field, "expected a text that is not blank");
        }
        self.length(field, text, chars_max);
        if text.chars().any(char::is_control) {
            self.problem(field, "expected no control characters");
        }
    }

    /// Free text: up to `chars_max` characters, no U+0000.
    pub fn text(&mut self, field: &str, text: &str, chars_max: usize) {
        self.length(field, text, chars_max);
        if text.contains('\0') {
            self.problem(field, "expected no character U+0000");
        }
    }

    /// Free text that must say something.
    pub fn words(&mut self, field: &str, text: &str, chars_max: usize) {
        if text.trim().is_empty() {
            self.problem(field, "expected a text that is not blank");
        }
        self.text(field, text, chars_max);
    }

    /// JSON as it will be stored: up to `bytes_max` bytes, no U+0000 in any text.
    pub fn json(&mut self, field: &str, value: &serde_json::Value, bytes_max: usize) -> String {
        if super::object::has_nul(value) {
            self.problem(field, "expected no character U+0000 in any text");
        }
        let text = value.to_string();
        if bytes_max < text.len() {
            let message = format!("expected at most {bytes_max} bytes of JSON, not {}", text.len());
            self.problem(field, message);
        }
        text
    }

    /// An e-mail address: one `@` between a local part and a domain, no blanks.
    pub fn email(&mut self, field: &str, text: &str, chars_max: usize) {
        self.name(field, text, chars_max);
        let is_plain = !text.chars().any(char::is_whitespace);
        let parts: Vec<&str> = text.split('@').collect();
        let is_shaped = matches!(parts[..], [local, domain]
            if !local.is_empty() && is_domain(domain));
        if !(is_plain && is_shaped) {
            self.problem(field, "expected an e-mail address such as ada@example.com");
        }
    }

    fn length(&mut self, field: &str, text: &str, chars_max: usize) {
        let chars = text.chars().count();
        if chars_max < chars {
            self.problem(field, format!("expected at most {chars_max} characters, not {chars}"));
        }
    }
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_edge = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        is_edge(label.chars().next())
            && is_edge(label.chars().last())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(check: impl FnOnce(&mut Check)) -> Vec<String> {
        let mut found = Check::new();
        check(&mut found);
        found.problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn a_name_may_be_as_long_as_its_limit_and_no_longer() {
        assert!(problems(|check| check.name("name", &"ä".repeat(128), 128)).is_empty());
        let found = problems(|check| check.name("name", &"ä".repeat(129), 128));
        assert_eq!(found, ["expected at most 128 characters, not 129"]);
        assert_eq!(problems(|check| check.name("name", " \t", 128)).len(), 2);
    }

    #[test]
    fn json_may_be_as_large_as_its_limit_and_no_larger() {
        let value = serde_json::json!("x".repeat(8));
        assert!(problems(|check| drop(check.json("data", &value, 10))).is_empty());
        let found = problems(|check| drop(check.json("data", &value, 9)));
        assert_eq!(found, ["expected at most 9 bytes of JSON, not 10"]);
        let nul = serde_json::json!({ "a": ["\0"] });
        assert_eq!(problems(|check| drop(check.json("data", &nul, 99))).len(), 1);
    }

    #[test]
    fn an_address_has_one_at_sign_and_a_domain() {
        for good in ["a@b.c", "ada.lovelace+x@mail.example.com", "ü@bücher.example"] {
            assert!(problems(|check| check.email("email", good, 254)).is_empty(), "{good}");
        }
        for bad in ["", "a", "a@b", "@b.c", "a@@b.c", "a@b.", "a b@c.d", "a@-b.c", "a@b..c"] {
            assert!(!problems(|check| check.email("email", bad, 254)).is_empty(), "{bad}");
        }
    }
}
