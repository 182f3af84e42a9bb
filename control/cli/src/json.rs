//! Looking into answers without trusting their shape: what is missing reads as null.

use serde_json::Value;

/// The member `name`, or null.
#[must_use]
pub fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The elements of an array; none for anything else.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The members of an object; none for anything else.
pub fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A number of frames or bytes; 0 when it is missing.
#[must_use]
pub fn count(value: &Value, name: &str) -> u64 {
    member(value, name).as_u64().unwrap_or(0)
}

/// A value as a person reads it: strings bare, lists with commas, null and "nothing" as `-`.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The member `name` as a person reads it.
#[must_use]
pub fn cell(value: &Value, name: &str) -> String {
    text(member(value, name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_reads_as_a_dash() {
        for nothing in [json!(null), json!(""), json!([])] {
            assert_eq!(text(&nothing), "-");
        }
        assert_eq!(cell(&json!({}), "absent"), "-");
        assert_eq!(text(&json!([1, "a"])), "1,a");
        assert_eq!(text(&json!(true)), "true");
    }
}
