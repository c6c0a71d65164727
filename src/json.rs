//! Reading JSON, small where the size of the program counts.
//!
//! What serde derives reads a structure from an object or from an array, and
//! serde_json puts its parser into each of them: together a tenth of the WASI
//! module. There, the text is parsed once for all types, and structures are
//! read from objects alone.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value, map};
use std::slice;

/// Reads a value from JSON.
///
/// # Errors
/// When the text is no JSON, or other JSON than the type asks for.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    if cfg!(target_family = "wasm") {
        of(&serde_json::from_slice(text)?)
    } else {
        serde_json::from_slice(text)
    }
}

/// Reads a value from parsed JSON.
///
/// # Errors
/// When it is not what the type asks for.
pub(crate) fn of<T: DeserializeOwned>(parsed: &Value) -> Result<T, Error> {
    T::deserialize(Document(parsed))
}

/// A parsed document, or a part of it.
#[derive(Clone, Copy)]
struct Document<'a>(&'a Value);

impl Document<'_> {
    fn unexpected(self, expected: &dyn serde::de::Expected) -> Error {
        let found = match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (_, Some(number)) => Unexpected::Signed(number),
                _ => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        Error::invalid_type(found, expected)
    }
}

impl<'de> Deserializer<'de> for Document<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(_) => self.deserialize_f64(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Number(number) = self.0 else {
            return Err(self.unexpected(&visitor));
        };
        if let Some(number) = number.as_u64() {
            visitor.visit_u64(number)
        } else if let Some(number) = number.as_i64() {
            visitor.visit_i64(number)
        } else {
            visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(values) => {
                let mut elements = Elements(values.iter());
                let value = visitor.visit_seq(&mut elements)?;
                match elements.0.len() {
                    0 => Ok(value),
                    _ => Err(Error::custom("the array is too long")),
                }
            }
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(fields) => visitor.visit_map(Fields(fields.iter(), None)),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(StrDeserializer::new(text)),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char bytes byte_buf unit unit_struct tuple_struct
    }
}

struct Elements<'a>(slice::Iter<'a, Value>);

impl<'de> SeqAccess<'de> for &mut Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let next = self.0.next().map(Document);
        next.map(|value| seed.deserialize(value)).transpose()
    }
}

struct Fields<'a>(map::Iter<'a>, Option<&'a Value>);

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.0.next() else {
            return Ok(None);
        };
        self.1 = Some(value);
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Document(self.1.take().unwrap_or(&Value::Null)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "kebab-case")]
    struct Everything {
        flag: bool,
        count: u64,
        small: u32,
        port: u16,
        delta: i64,
        share: f64,
        name: String,
        path: Option<PathBuf>,
        level: Option<Level>,
        pair: Option<(u32, u32)>,
        many: Vec<Id>,
        map: BTreeMap<Level, u64>,
        inner: Option<Box<Everything>>,
        #[serde(flatten)]
        more: More,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct More {
        extra: Option<u64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(String);

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Warn,
        Deny,
    }

    /// Whether both readers say the same of it: a value, or that there is none.
    fn reads_the_same(text: &str) -> bool {
        let streamed = serde_json::from_str::<Everything>(text).ok();
        let parsed = of::<Everything>(&serde_json::from_str(text).unwrap()).ok();
        assert_eq!(parsed, streamed, "{text}");
        parsed.is_some()
    }

    #[test]
    fn a_document_reads_as_serde_json_reads_it() {
        assert!(reads_the_same(
            r#"{"flag": true, "count": 18446744073709551615, "small": 7, "port": 8080,
                "delta": -3, "share": 0.5, "name": "a\u00e9", "path": "/mc", "level": "deny",
                "pair": [1, 2], "many": ["x", "y"], "map": {"warn": 1, "deny": 2},
                "inner": {"name": "b", "path": null}, "extra": 9, "unknown": [{"a": null}]}"#
        ));
        for wrong in [
            r#"{"flag": 1}"#,
            r#"{"count": -1}"#,
            r#"{"count": 1.5}"#,
            r#"{"small": 4294967296}"#,
            r#"{"port": 65536}"#,
            r#"{"name": 1}"#,
            r#"{"level": "none"}"#,
            r#"{"level": 1}"#,
            r#"{"pair": [1]}"#,
            r#"{"pair": [1, 2, 3]}"#,
            r#"{"many": {}}"#,
            r#"{"map": []}"#,
            r#"{"inner": "x"}"#,
            r#"{"extra": "x"}"#,
            "1",
            "null",
        ] {
            assert!(!reads_the_same(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_structure_is_no_array() {
        assert!(of::<Everything>(&serde_json::json!([true, 1])).is_err());
    }

    #[test]
    fn an_error_says_what_was_there_and_what_was_expected() {
        for (field, error) in [
            (
                r#"{"name": 1}"#,
                "invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"flag": "x"}"#,
                "invalid type: string \"x\", expected a boolean",
            ),
            (
                r#"{"many": null}"#,
                "invalid type: null, expected a sequence",
            ),
        ] {
            let value = serde_json::from_str(field).unwrap();
            assert_eq!(of::<Everything>(&value).unwrap_err().to_string(), error);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            prop_oneof!["warn", "deny", "[a-z]{0,3}"].prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let name =
                "flag|count|small|port|delta|share|name|path|level|pair|many|map|inner|extra";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_reads_as_serde_json_reads_it(value in values()) {
            // An array as a structure is the one that differs.
            fn holds_array_as_structure(value: &Value) -> bool {
                match value {
                    Value::Array(_) => true,
                    Value::Object(fields) => fields.get("inner").is_some_and(holds_array_as_structure),
                    _ => false,
                }
            }
            prop_assume!(!holds_array_as_structure(&value));
            reads_the_same(&value.to_string());
        }
    }
}
