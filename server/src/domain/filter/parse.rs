//! The text form: a recursive-descent parser with a bound on everything that recurses.
//!
//! ```text
//! any        := all ( OR all )*
//! all        := unary ( AND unary )*
//! unary      := NOT* ( '(' any ')' | comparison )
//! comparison := field operator literal | field isNull
//! literal    := text | true | false | '(' literal ( ',' literal )* ')'
//! ```
//!
//! Called by the services for `q`, and by whoever checks a filter while it is written. The first
//! error is reported, at the character where the text stops making sense. Only brackets recurse
//! (`NOT` is counted in a loop), and they are counted.

use super::ast::{Filter, too_deep, too_many_comparisons, too_many_items};
use super::field::{Field, Op};
use super::lex::{Part, Token, tokens};
use super::value::{Value, check_operator, coerce, expectation, one_of};
use super::{COMPARISONS_MAX, DEPTH_MAX, FilterError, LIST_ITEMS_MAX, TEXT_CHARS_MAX, quoted};

const CONDITION: &str = "a comparison such as (email eq 'a@b.c'), a group in brackets, or NOT";

impl Filter {
    /// Reads the text form.
    ///
    /// # Errors
    /// The first thing that is wrong, with its offset in characters and what was expected there.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let chars: Vec<char> = text.chars().take(TEXT_CHARS_MAX + 1).collect();
        if TEXT_CHARS_MAX < chars.len() {
            let expected = format!("at most {TEXT_CHARS_MAX} characters");
            return Err(FilterError::new("the filter is too long", expected).at(TEXT_CHARS_MAX));
        }
        if let Some(offset) = chars.iter().position(|&c| c == '\0') {
            return Err(FilterError::new("U+0000 is not allowed", "other characters").at(offset));
        }
        let tokens = tokens(&chars)?;
        let mut parser =
            Parser { tokens: &tokens, at: 0, end: chars.len(), brackets: 0, comparisons: 0 };
        let filter = parser.any()?;
        match parser.peek() {
            None => Ok(filter),
            Some(_) => Err(parser.unexpected("AND, OR or the end")),
        }
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// Characters of the text: the offset of its end.
    end: usize,
    brackets: usize,
    comparisons: usize,
}

impl<'t> Parser<'t> {
    fn any(&mut self) -> Result<Filter, FilterError> {
        let start = self.offset();
        let mut parts = vec![self.all()?];
        while self.take_word("OR") {
            parts.push(self.all()?);
        }
        Filter::any(parts).map_err(|error| error.at(start))
    }

    fn all(&mut self) -> Result<Filter, FilterError> {
        let start = self.offset();
        let mut parts = vec![self.unary()?];
        while self.take_word("AND") {
            parts.push(self.unary()?);
        }
        Filter::all(parts).map_err(|error| error.at(start))
    }

    fn unary(&mut self) -> Result<Filter, FilterError> {
        let start = self.offset();
        let mut negations = 0_usize;
        while self.take_word("NOT") {
            negations += 1;
        }
        let inner = match self.peek() {
            Some(Part::Open) => self.group()?,
            Some(Part::Word(word)) if !is_keyword(word) => self.comparison()?,
            _ => return Err(self.unexpected(CONDITION)),
        };
        (0..negations)
            .try_fold(inner, |part, _| Filter::negate(part))
            .map_err(|error| error.at(start))
    }

    fn group(&mut self) -> Result<Filter, FilterError> {
        let start = self.offset();
        self.at += 1;
        self.brackets += 1;
        if DEPTH_MAX < self.brackets {
            return Err(too_deep().at(start));
        }
        let inner = self.any()?;
        if !self.take(&Part::Close) {
            return Err(self.unexpected("AND, OR or ')'"));
        }
        self.brackets -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Filter, FilterError> {
        let start = self.offset();
        self.comparisons += 1;
        if COMPARISONS_MAX < self.comparisons {
            return Err(too_many_comparisons().at(start));
        }
        let field = field_named(self.word("a field")?).map_err(|error| error.at(start))?;
        let op = self.operator(field)?;
        let value = match self.peek() {
            Some(Part::Close) | None if op == Op::IsNull => Value::Boolean(true),
            Some(Part::Word(word)) if op == Op::IsNull && is_keyword(word) => Value::Boolean(true),
            Some(Part::Open) if op.takes_list() => self.list(field, op)?,
            _ if op.takes_list() => {
                let expected = format!("a list in brackets, its values {}", expectation(field, op));
                return Err(self.unexpected(expected));
            }
            _ => self.literal(field, op)?,
        };
        Ok(Filter::Compare { field, op, value })
    }

    fn operator(&mut self, field: Field) -> Result<Op, FilterError> {
        let operators: Vec<_> = field.kind().operators().iter().map(|op| op.name()).collect();
        let expected = format!("an operator of {field}: {}", one_of(&operators));
        let start = self.offset();
        let word = self.word(&expected)?;
        let op = Op::named(word).ok_or_else(|| {
            FilterError::new(format!("unknown operator {}", quoted(word)), expected).at(start)
        })?;
        check_operator(field, op).map_err(|error| error.at(start))?;
        Ok(op)
    }

    fn list(&mut self, field: Field, op: Op) -> Result<Value, FilterError> {
        self.at += 1;
        let mut items = vec![self.literal(field, op)?];
        while self.take(&Part::Comma) {
            if items.len() == LIST_ITEMS_MAX {
                return Err(too_many_items().at(self.offset()));
            }
            items.push(self.literal(field, op)?);
        }
        if !self.take(&Part::Close) {
            return Err(self.unexpected("',' or ')'"));
        }
        Ok(Value::List(items))
    }

    fn literal(&mut self, field: Field, op: Op) -> Result<Value, FilterError> {
        let given = match self.peek() {
            Some(Part::Text(text)) => Value::Text(text.clone()),
            Some(Part::Word(word)) if word == "true" => Value::Boolean(true),
            Some(Part::Word(word)) if word == "false" => Value::Boolean(false),
            _ => return Err(self.unexpected(expectation(field, op))),
        };
        let start = self.offset();
        self.at += 1;
        coerce(field, op, given).map_err(|error| error.at(start))
    }

    fn word(&mut self, expected: &str) -> Result<&'t str, FilterError> {
        let Some(Part::Word(word)) = self.peek() else {
            return Err(self.unexpected(expected));
        };
        self.at += 1;
        Ok(word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Part::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, part: &Part) -> bool {
        let found = self.peek() == Some(part);
        self.at += usize::from(found);
        found
    }

    fn peek(&self) -> Option<&'t Part> {
        self.tokens.get(self.at).map(|token| &token.part)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |token| token.offset)
    }

    fn unexpected(&self, expected: impl Into<String>) -> FilterError {
        let message = match self.peek() {
            Some(Part::Word(word)) if is_keyword(&word.to_ascii_uppercase()) => {
                format!("unexpected {} (AND, OR and NOT are written in upper case)", quoted(word))
            }
            Some(part) => format!("unexpected {}", part.shown()),
            None if self.tokens.is_empty() => "the filter is empty".to_owned(),
            None => "the filter ends too early".to_owned(),
        };
        FilterError::new(message, expected).at(self.offset())
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "AND" | "OR" | "NOT")
}

fn field_named(name: &str) -> Result<Field, FilterError> {
    if let Some(field) = Field::named(name) {
        return Ok(field);
    }
    let expected = one_of(&Field::ALL.map(Field::name));
    let is_path = name.strip_prefix("data").is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(['.', '[']) || rest.starts_with("__")
    });
    if is_path {
        let message = format!("filtering by {} is not supported yet", quoted(name));
        return Err(FilterError::new(message, expected));
    }
    Err(FilterError::new(format!("unknown field {}", quoted(name)), expected))
}

#[cfg(test)]
mod tests;
