//! The stored form of a value, made in a buffer that the thread keeps: a long value costs no growing.

use std::cell::Cell;

use rmp_serde::encode::Error;
use serde::Serialize;

/// A longer buffer is not kept, in bytes.
const KEPT_MAX: usize = 64 << 10;

thread_local! {
    /// Taken out while it is in use: the author's code that encodes may come here again, and finds an empty one.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Calls `with` with `value` in MessagePack, by field name.
pub(crate) fn encoded<T, R>(value: &T, with: impl FnOnce(&[u8]) -> R) -> Result<R, Error>
where
    T: Serialize + ?Sized,
{
    let mut buffer = BUFFER.take();
    buffer.clear();
    value.serialize(&mut rmp_serde::Serializer::new(&mut buffer).with_struct_map())?;
    let made = with(&buffer);
    if buffer.capacity() <= KEPT_MAX {
        BUFFER.set(buffer);
    }
    Ok(made)
}

/// `value` in MessagePack, by field name, without room behind it.
#[doc(hidden)]
pub fn stored_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    encoded(value, <[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes something else on its way.
    struct Nested(Vec<u8>);

    impl Serialize for Nested {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = stored_bytes(&self.0).map_err(serde::ser::Error::custom)?;
            (&self.0, inner).serialize(serializer)
        }
    }

    #[test]
    fn values_are_encoded_as_by_the_encoder_itself() {
        for len in [0, 1, 1_000, 100_000, 3] {
            let nested = Nested(vec![7; len]);
            assert_eq!(stored_bytes(&nested).unwrap(), rmp_serde::to_vec_named(&nested).unwrap());
        }
    }
}
