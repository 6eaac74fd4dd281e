//! The columns of a table, from the type of its rows.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

/// Names of the columns of a table whose rows are `R`s, in their order.
pub fn columns<R: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // The deserializer of names gives no row.
    let _: Result<R, Stopped> = R::deserialize(FieldNames(&mut fields));
    fields
}

/// Notes the fields of the struct that is asked for.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

/// What the attempt ends with.
#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only names of fields were asked for")
    }
}

impl std::error::Error for Stopped {}

impl Error for Stopped {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Stopped;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stopped> {
        *self.0 = fields;
        Err(Stopped)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_names_its_fields_and_nothing_else_does() {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only the names matter")]
        struct Row {
            step: u64,
            #[serde(rename = "loss", default)]
            train_loss: Option<f64>,
        }
        assert_eq!(columns::<Row>(), ["step", "loss"]);
        assert!(columns::<u64>().is_empty());
    }
}
