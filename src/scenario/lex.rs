//! Lines into words. A word knows of each character whether it was quoted and where it stood, so
//! that `=`, `,` or `|` separate only where they stand bare.

use crate::scenario::error::{ScriptError, Span};

/// A character of a line after quotes and escapes were read. `None` marks an opening quote: it is
/// what tells `alice=""` from `alice=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph {
    pub c: Option<char>,
    pub quoted: bool,
    pub column: u32,
}

/// A stretch of glyphs without bare white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub glyphs: Vec<Glyph>,
    pub span: Span,
}

/// What stands on one line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LexedLine {
    pub body: LineBody,
    /// What follows a `#`, without trailing white space.
    pub comment: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineBody {
    Blank,
    /// What follows the `>`.
    Prose(String),
    Words(Vec<Word>),
}

/// Reads one line; `line` is its number.
pub fn lex(text: &str, line: u32) -> Result<LexedLine, ScriptError> {
    if let Some(prose) = text.trim_start().strip_prefix('>') {
        let prose = prose.strip_prefix(' ').unwrap_or(prose).trim_end().to_string();
        return Ok(LexedLine { body: LineBody::Prose(prose), comment: None });
    }
    let (glyphs, comment) = glyphs(text, line)?;
    let words = words(&glyphs, line);
    let body = if words.is_empty() { LineBody::Blank } else { LineBody::Words(words) };
    Ok(LexedLine { body, comment })
}

fn glyphs(text: &str, line: u32) -> Result<(Vec<Glyph>, Option<String>), ScriptError> {
    let chars: Vec<char> = text.chars().collect();
    let mut glyphs = Vec::with_capacity(chars.len());
    let mut opened: Option<u32> = None;
    let mut i = 0;
    while i < chars.len() {
        let column = i as u32 + 1;
        let quoted = opened.is_some();
        match chars[i] {
            '"' if quoted => opened = None,
            '"' => {
                opened = Some(column);
                glyphs.push(Glyph { c: None, quoted: true, column });
            }
            '#' if !quoted => {
                let comment: String = chars[i + 1..].iter().collect();
                return Ok((glyphs, Some(comment.trim_end().to_string())));
            }
            '\\' if quoted => {
                let (c, used) = escape(&chars[i..]).ok_or_else(|| no_escape(&chars[i..], line, column))?;
                glyphs.push(Glyph { c: Some(c), quoted: true, column });
                i += used - 1;
            }
            c => glyphs.push(Glyph { c: Some(c), quoted, column }),
        }
        i += 1;
    }
    match opened {
        None => Ok((glyphs, None)),
        Some(column) => {
            let span = Span { line, column, length: chars.len() as u32 + 1 - column };
            let found: String = chars[column as usize - 1..].iter().collect();
            let message = "this quote is never closed: expected `\"` before the end of the line";
            Err(ScriptError { expected: "`\"`".to_string(), ..ScriptError::because(span, &found, message) })
        }
    }
}

/// Reads `\"`, `\\`, `\n`, `\t` or `\u{1F600}`: the character and how many it took.
fn escape(chars: &[char]) -> Option<(char, usize)> {
    match chars.get(1)? {
        '"' => Some(('"', 2)),
        '\\' => Some(('\\', 2)),
        'n' => Some(('\n', 2)),
        't' => Some(('\t', 2)),
        'u' if chars.get(2) == Some(&'{') => {
            let digits: String = chars[3..].iter().take(7).take_while(|c| **c != '}').collect();
            let end = 3 + digits.chars().count();
            if chars.get(end) != Some(&'}') || digits.starts_with('+') {
                return None;
            }
            Some((char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?, end + 1))
        }
        _ => None,
    }
}

fn no_escape(chars: &[char], line: u32, column: u32) -> ScriptError {
    if chars.get(1) == Some(&'u') {
        let end = chars.iter().position(|c| *c == '}').map_or(2, |end| end + 1);
        let shown: String = chars[..end].iter().take(12).collect();
        let span = Span { line, column, length: shown.chars().count() as u32 };
        return ScriptError::expected(span, "the number of a character such as `\\u{1F600}`", &shown);
    }
    let shown: String = chars.iter().take(2).collect();
    let span = Span { line, column, length: 2 };
    ScriptError::unknown(span, "escape", &shown, ["\\\"", "\\\\", "\\n", "\\t", "\\u{…}"])
}

fn words(glyphs: &[Glyph], line: u32) -> Vec<Word> {
    let white = |glyph: &Glyph| !glyph.quoted && glyph.c.is_some_and(char::is_whitespace);
    glyphs
        .split(white)
        .filter(|part| !part.is_empty())
        .map(|part| Word::new(part.to_vec(), line, part[0].column))
        .collect()
}

impl Word {
    fn new(glyphs: Vec<Glyph>, line: u32, column: u32) -> Word {
        let length = glyphs.last().map_or(0, |last| last.column + 1 - column);
        Word { glyphs, span: Span { line, column, length } }
    }

    /// Its characters without quotes.
    pub fn text(&self) -> String {
        self.glyphs.iter().filter_map(|glyph| glyph.c).collect()
    }

    /// Neither characters nor quotes.
    pub fn is_empty(&self) -> bool {
        self.glyphs.is_empty()
    }

    /// Whether any part of it was quoted.
    pub fn is_quoted(&self) -> bool {
        self.glyphs.iter().any(|glyph| glyph.quoted)
    }

    /// Whether it is this text without quotes.
    pub fn is(&self, text: &str) -> bool {
        !self.is_quoted() && self.text() == text
    }

    /// Splits at the first bare `separator`.
    pub fn split_once(&self, separator: &str) -> Option<(Word, Word)> {
        let wanted: Vec<char> = separator.chars().collect();
        let matches = |part: &[Glyph]| part.iter().zip(&wanted).all(|(g, c)| !g.quoted && g.c == Some(*c));
        let at = self.glyphs.windows(wanted.len()).position(matches)?;
        let (left, right) = (&self.glyphs[..at], &self.glyphs[at + wanted.len()..]);
        let after = self.glyphs[at + wanted.len() - 1].column + 1;
        let line = self.span.line;
        Some((
            Word::new(left.to_vec(), line, self.span.column),
            Word::new(right.to_vec(), line, right.first().map_or(after, |glyph| glyph.column)),
        ))
    }

    /// Splits at every bare `separator`.
    pub fn split(&self, separator: &str) -> Vec<Word> {
        let mut parts = Vec::new();
        let mut rest = self.clone();
        while let Some((part, after)) = rest.split_once(separator) {
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        parts
    }

    /// Several words as one, without the white space between them.
    pub fn join(words: &[Word]) -> Option<Word> {
        let first = words.first()?;
        let glyphs = words.iter().flat_map(|word| word.glyphs.iter().copied()).collect();
        Some(Word::new(glyphs, first.span.line, first.span.column))
    }
}

/// Writes a text so that it is read back as one word: quoted when it must be. `special` are the
/// characters that would separate where the text is to stand.
pub fn quote(text: &str, special: &[char]) -> String {
    let bare = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '#' && !special.contains(&c);
    if !text.is_empty() && text.chars().all(bare) {
        return text.to_string();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{{{:X}}}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(text: &str) -> Vec<Word> {
        match lex(text, 1).expect("the test's line is well formed").body {
            LineBody::Words(words) => words,
            other => panic!("expected words, found {other:?}"),
        }
    }

    #[test]
    fn quotes_keep_spaces_separators_and_comment_signs() {
        let words = words_of("send app \"a=b\"=\"paid # in \\\"full\\\" \\u{1F600}\" x=1 # said\n");
        assert_eq!(words.len(), 4);
        let (key, value) = words[2].split_once("=").unwrap();
        assert_eq!((key.text().as_str(), value.text().as_str()), ("a=b", "paid # in \"full\" 😀"));
        assert_eq!((words[2].span.column, words[3].span.column), (10, 47));
    }

    #[test]
    fn an_empty_quoted_value_is_told_from_none() {
        let words = words_of("alice=\"\" alice=");
        assert!(words[0].split_once("=").unwrap().1.is_quoted());
        assert!(words[1].split_once("=").unwrap().1.is_empty());
    }

    #[test]
    fn what_is_quoted_is_read_back() {
        for text in ["", "a", "a b", "\"", "\\", "a\\b", "#", "\n\t\u{7}", "ä€😀", "a,b", "=", "\u{2028}"] {
            let line = quote(text, &[',', '=']);
            let words = words_of(&line);
            assert_eq!(words.len(), 1, "{line}");
            assert_eq!(words[0].text(), text);
            assert_eq!(words[0].split(",").len(), 1);
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_an_error_where_it_opened() {
        let error = lex("step \"Kill", 4).unwrap_err();
        assert_eq!((error.span.line, error.span.column), (4, 6));
        assert!(lex("step \"a\\q\"", 1).is_err());
        assert!(lex("step \"a\\u{110000}\"", 1).is_err());
        assert!(lex("step \"a\\u{\"", 1).is_err());
        assert!(lex("step \"\\", 1).is_err());
    }
}
