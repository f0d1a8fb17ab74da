//! Plans themselves: every stand-in is reached and right, what cannot be done is named, nothing is made in vain.
