//! Tokens that nobody can guess: whoever has the address of a page has the right to it.

use std::fmt::Write as _;

/// 128 bits from the system, in hexadecimal.
pub(crate) fn token() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system gives no random numbers: {e}"))?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string grows");
    }
    Ok(text)
}

/// Whether two texts are equal, in a time that tells nothing of where they differ.
pub(crate) fn equal(a: &str, b: &str) -> bool {
    let differences = a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (a, b) = (token().unwrap(), token().unwrap());
        assert_eq!((a.len(), a.bytes().all(|c| c.is_ascii_hexdigit())), (32, true));
        assert!(a != b && !equal(&a, &b) && equal(&a, &a.clone()));
        assert!(!equal("ab", "a") && !equal("", "a") && equal("", ""));
    }
}
