//! What every kind of family answers.
