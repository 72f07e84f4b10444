//! Keys of providers, by reference: read anew for each attempt, and never shown.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

/// Where a key comes from. It is read for each attempt, so a new one counts at once, and it is held no longer than that.
#[derive(Clone)]
pub struct KeySource(Source);

#[derive(Clone)]
enum Source {
    Nothing,
    Environment(String),
    File(PathBuf),
    Callback(Arc<Callback>),
}

struct Callback {
    name: String,
    key: Box<dyn Fn() -> Result<SecretString, KeyError> + Send + Sync>,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl KeyError {
    /// A reason, which must not contain the key.
    pub fn new(why: impl Into<String>) -> Self {
        KeyError(why.into())
    }
}

impl KeySource {
    /// No key: for servers that ask for none.
    pub fn none() -> Self {
        KeySource(Source::Nothing)
    }

    /// A variable of the environment.
    pub fn env(variable: impl Into<String>) -> Self {
        KeySource(Source::Environment(variable.into()))
    }

    /// A file that contains nothing else; blanks around the key do not count. Reading it blocks, so it should be on a disk of
    /// this machine.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        KeySource(Source::File(path.into()))
    }

    /// Whatever a function returns, which must not wait. `name` is what errors call it.
    pub fn callback(
        name: impl Into<String>,
        key: impl Fn() -> Result<SecretString, KeyError> + Send + Sync + 'static,
    ) -> Self {
        KeySource(Source::Callback(Arc::new(Callback { name: name.into(), key: Box::new(key) })))
    }

    /// The key as it is now; `None` if none is asked for.
    pub(super) fn read(&self) -> Result<Option<SecretString>, KeyError> {
        let key = match &self.0 {
            Source::Nothing => return Ok(None),
            // Not the library's own error: it contains the value if that is no Unicode.
            Source::Environment(variable) => std::env::var(variable)
                .map_err(|_| KeyError::new("the variable is not set, or not text"))?
                .trim()
                .into(),
            Source::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map(SecretString::from);
                let text = text.map_err(|error| KeyError::new(error.kind().to_string()))?;
                secrecy::ExposeSecret::expose_secret(&text).trim().into()
            }
            Source::Callback(callback) => (callback.key)()?,
        };
        match secrecy::ExposeSecret::expose_secret(&key) {
            "" => Err(KeyError::new("it is empty")),
            _ => Ok(Some(key)),
        }
    }
}

/// Where it comes from, never what it is.
impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Nothing => f.write_str("nowhere"),
            Source::Environment(variable) => write!(f, "the variable {variable}"),
            Source::File(path) => write!(f, "the file {}", path.display()),
            Source::Callback(callback) => write!(f, "the callback {}", callback.name),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({self})")
    }
}
