//! What must come back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ToleranceSpec, given};

/// What must come back. What is not named is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status: a number, a class such as `2xx`, or a list of both; 200 if not given.
    #[serde(default)]
    pub status: StatusSpec,
    /// Headers: the whole value, or `{contains: …}`, `{matches: …}`, `{absent: true}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderSpec>,
    /// The JSON body, as a subset: the keys named here must be there, lists have the same length
    /// and order, numbers are within the tolerance.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub json: Option<Value>,
    /// Assertions about parts of the JSON body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jsonpath: Vec<PathCheck>,
    /// A JSON Schema that the JSON body must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// A file that holds the JSON Schema, relative to the suite file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_file: Option<String>,
    /// Texts that the body must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// For this request only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceSpec>,
    /// For this request only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub max_latency_ms: Option<u64>,
}

/// The statuses that are right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatusSpec {
    /// One.
    One(StatusItem),
    /// Any of these.
    Any(Vec<StatusItem>),
}

/// A status, or a class of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatusItem {
    /// Such as 200.
    Code(u16),
    /// Such as `2xx`.
    Class(String),
}

impl Default for StatusSpec {
    fn default() -> Self {
        Self::One(StatusItem::Code(200))
    }
}

impl StatusSpec {
    /// Whether the status is right.
    pub(crate) fn allows(&self, status: u16) -> bool {
        match self {
            Self::One(item) => item.allows(status),
            Self::Any(items) => items.iter().any(|item| item.allows(status)),
        }
    }
}

impl StatusItem {
    fn allows(&self, status: u16) -> bool {
        match self {
            Self::Code(code) => *code == status,
            Self::Class(class) => class.starts_with(&(status / 100).to_string()),
        }
    }
}

impl fmt::Display for StatusSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(item) => item.fmt(f),
            Self::Any(items) => {
                let words: Vec<String> = items.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(" or "))
            }
        }
    }
}

impl fmt::Display for StatusItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Class(class) => f.write_str(class),
        }
    }
}

fn status_item() -> [Value; 2] {
    [
        serde_json::json!({"type": "integer", "minimum": 100, "maximum": 599}),
        serde_json::json!({"type": "string", "enum": ["1xx", "2xx", "3xx", "4xx", "5xx"]}),
    ]
}

impl JsonSchema for StatusSpec {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let [code, class] = status_item();
        json_schema!({"anyOf": [
            code,
            class,
            {"type": "array", "minItems": 1, "items": {"anyOf": status_item()}},
        ]})
    }
}

/// What a header must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HeaderSpec {
    /// Its whole value.
    Is(String),
    /// Something about it.
    Checks(HeaderChecks),
}

/// Something about a header.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderChecks {
    /// A part of its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A regular expression that matches a part of its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// It must not be there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// An assertion about the values that a JSONPath selects. It holds for each of them, and there must be
/// at least one unless `exists: false` or `count: 0` is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathCheck {
    /// A JSONPath (RFC 9535), such as `$.predictions[*].label`.
    pub path: String,
    /// Whether it selects anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// How many values it selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The value, compared like `json`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub equals: Option<Value>,
    /// The values that are right, such as a set of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub one_of: Option<Vec<Value>>,
    /// The smallest and the largest number that are right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2))]
    pub between: Option<Vec<f64>>,
    /// A regular expression that matches a part of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// The kind of value.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<JsonKind>,
    /// For this assertion only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceSpec>,
}

/// Kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum JsonKind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl JsonKind {
    /// Whether the value is of this kind; 1.0 is an integer, as in JSON Schema.
    pub(crate) fn holds(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value
                .as_f64()
                .is_some_and(|number| value.is_i64() || value.is_u64() || number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
