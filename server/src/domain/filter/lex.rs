//! Cuts the text of a filter into brackets, commas, quoted texts and words.
//!
//! Called by the parser only. A word is any run of other characters up to a space, bracket, comma
//! or quote, so that `a@b.c` without quotes is one word that the parser can name in its error.

use super::{FilterError, quoted};

/// A piece of the text and the character that it starts at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// In characters from 0.
    pub(super) offset: usize,
    /// What it is.
    pub(super) part: Part,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// A quoted text, without its quotes and with doubled ones made single.
    Text(String),
    /// A run of anything else.
    Word(String),
}

impl Part {
    /// The part as a message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Open => "'('".to_owned(),
            Self::Close => "')'".to_owned(),
            Self::Comma => "','".to_owned(),
            Self::Text(text) => format!("the text {}", quoted(text)),
            Self::Word(word) => quoted(word),
        }
    }
}

/// The tokens of `text`, in order.
pub(super) fn tokens(text: &[char]) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let offset = at;
        at += 1;
        let part = match c {
            c if c.is_whitespace() => continue,
            '(' => Part::Open,
            ')' => Part::Close,
            ',' => Part::Comma,
            '\'' | '"' => {
                let (inner, end) = quoted_text(text, offset)?;
                at = end;
                Part::Text(inner)
            }
            _ => {
                at = word_end(text, offset);
                Part::Word(text[offset..at].iter().collect())
            }
        };
        tokens.push(Token { offset, part });
    }
    Ok(tokens)
}

/// The text whose opening quote stands at `start`, and where the next token may start.
fn quoted_text(text: &[char], start: usize) -> Result<(String, usize), FilterError> {
    let quote = text[start];
    let mut inner = String::new();
    let mut at = start + 1;
    while let Some(&c) = text.get(at) {
        at += 1;
        if c != quote {
            inner.push(c);
            continue;
        }
        if text.get(at) != Some(&quote) {
            return Ok((inner, at));
        }
        inner.push(quote);
        at += 1;
    }
    let expected = format!("a closing {quote} (two of them stand for one inside the text)");
    Err(FilterError::new("a text is not closed", expected).at(start))
}

fn word_end(text: &[char], start: usize) -> usize {
    let ends = |c: &char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'' | '"');
    text[start..].iter().position(ends).map_or(text.len(), |length| start + length)
}

#[cfg(test)]
mod tests {
    use super::{Part, Token, tokens};

    fn parts(text: &str) -> Vec<(usize, Part)> {
        let chars: Vec<char> = text.chars().collect();
        let found = tokens(&chars).expect("it is closed");
        found.into_iter().map(|Token { offset, part }| (offset, part)).collect()
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn word(word: &str) -> Part {
        Part::Word(word.to_owned())
    }

    #[test]
    fn offsets_count_characters() {
        let expected = vec![
            (0, Part::Open),
            (1, word("é")),
            (3, word("eq")),
            (5, text("ü(,")),
            (10, Part::Close),
            (11, word("AND")),
        ];
        assert_eq!(parts("(é eq'ü(,')AND\u{a0}"), expected);
    }

    #[test]
    fn a_doubled_quote_stands_for_one() {
        assert_eq!(parts("'it''s'"), vec![(0, text("it's"))]);
        assert_eq!(parts(r#""say ""a'b""""#), vec![(0, text("say \"a'b\""))]);
        assert_eq!(parts("'' ''''"), vec![(0, text("")), (3, text("'"))]);
        assert_eq!(parts(r"'a\'"), vec![(0, text(r"a\"))]);
    }

    #[test]
    fn an_open_text_is_reported_where_it_starts() {
        for (open, offset) in [("a 'b", 2), ("'", 0), ("'a''", 0), ("'a' \"b'", 4)] {
            let chars: Vec<char> = open.chars().collect();
            let error = tokens(&chars).expect_err("it is open");
            assert_eq!((error.offset, error.message.as_str()), (offset, "a text is not closed"));
        }
    }
}
