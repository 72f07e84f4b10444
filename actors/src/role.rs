//! What somebody does in a team.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody does in a team: `billing`, `technical`, `escalation`. A handoff names a role, not an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(String);

/// A text that is no role: use 1 to 64 lowercase letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: use 1 to 64 lowercase letters, digits and `-`")]
pub struct RoleError(pub String);

impl Role {
    /// Parses a role.
    ///
    /// # Errors
    ///
    /// [`RoleError`] with the refused text.
    pub fn parse(text: &str) -> Result<Self, RoleError> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(fine) {
            Ok(Role(text.to_owned()))
        } else {
            Err(RoleError(text.to_owned()))
        }
    }

    /// A role whose name stands in the program.
    ///
    /// # Panics
    ///
    /// When `name` is no role; use [`parse`](Role::parse) for names from outside.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self::parse(name).expect("a role named in the program is a role")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Role {
    type Error = RoleError;
    fn try_from(text: String) -> Result<Self, RoleError> {
        Role::parse(&text)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_parsed_or_refused_with_the_text_named() {
        assert_eq!(Role::parse("billing").unwrap().as_str(), "billing");
        for bad in ["", "Billing", "two words", &"x".repeat(65)] {
            assert_eq!(Role::parse(bad), Err(RoleError(bad.to_owned())));
        }
    }
}
