//! A place in a line of JSON that is read as it is written: word by word, without white space between them.

use super::lean::Text;
use std::borrow::Cow;

/// A place in a line.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Goes on if these words stand here.
    pub(super) fn is(&mut self, words: &str) -> bool {
        let here = self.rest().starts_with(words.as_bytes());
        self.at += if here { words.len() } else { 0 };
        here
    }

    pub(super) fn eat(&mut self, words: &str) -> Option<()> {
        self.is(words).then_some(())
    }

    pub(super) fn after<T>(&mut self, words: &str, read: fn(&mut Self) -> Option<T>) -> Option<T> {
        self.eat(words)?;
        read(self)
    }

    /// The comma before every entry but the first.
    pub(super) fn comma(&mut self, before: usize) -> Option<()> {
        if before == 0 { Some(()) } else { self.eat(",") }
    }

    pub(super) fn nullable<T>(&mut self, read: fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.is("null") { Some(None) } else { read(self).map(Some) }
    }

    pub(super) fn list<T>(
        &mut self,
        into: &mut Vec<T>,
        read: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<()> {
        into.clear();
        self.eat("[")?;
        while !self.is("]") {
            self.comma(into.len())?;
            into.push(read(self)?);
        }
        Some(())
    }

    /// Names in their order, each once, as the writer has them.
    pub(super) fn map<T>(
        &mut self,
        into: &mut Vec<(Text<'a>, T)>,
        read: fn(&mut Self) -> Option<T>,
    ) -> Option<()> {
        into.clear();
        self.eat("{")?;
        while !self.is("}") {
            self.comma(into.len())?;
            let name = self.text()?;
            into.last().is_none_or(|(before, _)| *before < name).then_some(())?;
            self.eat(":")?;
            into.push((name, read(self)?));
        }
        Some(())
    }

    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        let start = self.at;
        self.eat("\"")?;
        let mut is_escaped = false;
        loop {
            let length = self.rest().iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            self.at += length + 1;
            if self.text.as_bytes()[self.at - 1] == b'"' {
                break;
            }
            is_escaped = true;
            self.at += 1;
            (self.at < self.text.len()).then_some(())?;
        }
        let quoted = self.text.get(start..self.at)?;
        if is_escaped {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(&quoted[1..quoted.len() - 1]))
    }

    /// Text that nothing is escaped in.
    pub(super) fn plain(&mut self) -> Option<&'a str> {
        match self.text()? {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }

    /// Digits without a zero before them.
    fn digits(&mut self) -> Option<u64> {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let digits = &rest[..length];
        if length == 0 || length > 19 || (length > 1 && digits[0] == b'0') {
            return None;
        }
        self.at += length;
        Some(digits.iter().fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0')))
    }

    pub(super) fn whole(&mut self) -> Option<u64> {
        let start = self.at;
        if let Some(number) = self.digits() {
            return Some(number);
        }
        // Twenty digits may be too many.
        let rest = self.rest();
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        (length == 20 && rest[0] != b'0').then_some(())?;
        self.at = start + length;
        self.text[start..self.at].parse().ok()
    }

    /// A number as JSON has it: the standard library rounds it right, and would take more than JSON does.
    pub(super) fn float(&mut self) -> Option<f64> {
        let start = self.at;
        self.is("-");
        self.digits()?;
        if self.is(".") {
            let rest = self.rest();
            let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            (length > 0).then_some(())?;
            self.at += length;
        }
        if self.is("e") || self.is("E") {
            let _ = self.is("-") || self.is("+");
            let rest = self.rest();
            let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            (length > 0).then_some(())?;
            self.at += length;
        }
        self.text[start..self.at].parse().ok().filter(|value: &f64| value.is_finite())
    }
}
