//! Laws of the types, for any schemas: joining, fitting, and the values that are drawn from them.

use crate::types::{object, of};
use guard_asl::Type;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Schemas of every kind, not deep.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "null"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"const": true})),
        Just(json!({"type": "string"})),
        prop::collection::btree_set("[ab]", 1..3).prop_map(|words| json!({"enum": words})),
        Just(json!({"type": "integer"})),
        Just(json!({"type": "integer", "minimum": 0})),
        Just(json!({"type": "number"})),
        Just(json!(true)),
        Just(json!(false)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|each| json!({"anyOf": each})),
            (prop::collection::btree_map("[xyz]\\??", inner.clone(), 0..3), prop::option::of(inner))
                .prop_map(|(fields, others)| {
                    let mut schema = object(&json!(fields));
                    if let Some(others) = others {
                        schema["additionalProperties"] = others;
                    }
                    schema
                }),
        ]
    })
}

/// A value that a schema describes; `None` when there is none. The choices come from a seed.
fn draw(schema: &Value, seed: &mut u32) -> Option<Value> {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let chance = (*seed >> 16) as usize;
    match schema {
        Value::Bool(is_any) => {
            return is_any.then(|| [json!(null), json!("q"), json!({"x": [1.5]})][chance % 3].clone());
        }
        _ if schema.get("const").is_some() => return schema.get("const").cloned(),
        _ => {}
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.get(chance % words.len()).cloned();
    }
    if let Some(each) = schema.get("anyOf").and_then(Value::as_array) {
        return each
            .iter()
            .cycle()
            .skip(chance % each.len())
            .take(each.len())
            .find_map(|one| draw(one, seed));
    }
    let value = match schema["type"].as_str()? {
        "null" => json!(null),
        "boolean" => json!(chance.is_multiple_of(2)),
        "string" => json!(format!("s{}", chance % 7)),
        "integer" if schema.get("minimum").is_some() => json!(chance),
        "integer" => json!(-5),
        "number" => json!(0.25),
        "array" => (0..chance % 3).filter_map(|_| draw(&schema["items"], seed)).collect(),
        "object" => {
            let mut fields = serde_json::Map::new();
            for (name, of) in schema["properties"].as_object()? {
                let is_required = schema["required"].as_array()?.iter().any(|required| required == name);
                match draw(of, seed) {
                    Some(value) if is_required || chance.is_multiple_of(2) => {
                        fields.insert(name.clone(), value);
                    }
                    None if is_required => return None,
                    Some(_) | None => {}
                }
            }
            if let Some(value) = schema.get("additionalProperties").and_then(|others| draw(others, seed)) {
                fields.insert("unlisted".to_owned(), value);
            }
            Value::Object(fields)
        }
        _ => return None,
    };
    Some(value)
}

#[test]
fn a_schema_that_is_itself_may_be_anything() {
    assert_eq!(Type::of_schema(&json!({"$ref": "#"})).unwrap(), Type::anything());
    let error = Type::of_schema(&json!({"$ref": "#/$ref"})).unwrap_err();
    assert!(error.to_string().contains("is no schema"), "{error}");
}

proptest! {
    #[test]
    fn joining_is_commutative_associative_idempotent(a in schemas(), b in schemas(), c in schemas()) {
        let (a, b, c) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(a.join(&b), b.join(&a));
        prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
        prop_assert_eq!(a.join(&a), a.clone());
        prop_assert_eq!(a.join(&Type::nothing()), a);
    }

    #[test]
    fn each_side_fits_the_join(a in schemas(), b in schemas()) {
        let (a, b) = (of(&a), of(&b));
        prop_assert!(a.fits(&a));
        prop_assert!(a.fits(&a.join(&b)) && b.fits(&a.join(&b)));
    }

    #[test]
    fn what_fits_what_fits_fits(a in schemas(), b in schemas(), c in schemas()) {
        let (a, b, c) = (of(&a), of(&b), of(&c));
        // Random types rarely fit; joins make sure that some do.
        let (wide, wider) = (a.join(&b), a.join(&b).join(&c));
        for (one, two, three) in [(&a, &b, &c), (&a, &wide, &wider), (&b, &wide, &c)] {
            if one.fits(two) && two.fits(three) {
                prop_assert!(one.fits(three), "{} {} {}", one, two, three);
            }
        }
    }

    #[test]
    fn a_value_drawn_from_a_schema_is_of_its_type(schema in schemas(), other in schemas(), seed: u32) {
        if let Some(value) = draw(&schema, &mut seed.clone()) {
            let (mine, theirs) = (of(&schema), of(&other));
            prop_assert!(mine.admits(&value), "{} {}", value, mine);
            prop_assert!(mine.join(&theirs).admits(&value));
            prop_assert!(Type::of(&value).fits(&mine));
            // Whatever fits elsewhere takes its values along.
            prop_assert!(!mine.fits(&theirs) || theirs.admits(&value), "{} {}", mine, theirs);
        }
    }

    #[test]
    fn a_schema_that_is_not_understood_is_refused_in_words(text in "\\PC{0,12}", schema in schemas()) {
        match Type::of_schema(&json!({"$ref": text})) {
            // Only the document itself is there to be referred to, and what holds itself has no end of its own.
            Ok(found) => prop_assert_eq!((text.as_str(), found), ("#", Type::anything())),
            Err(error) => prop_assert!(text != "#" && error.to_string().contains("leads nowhere")
                || text == "#/$ref" && error.to_string().contains("is no schema"), "{} {}", text, error),
        }
        if let Err(error) = Type::of_schema(&json!({"type": text, "items": schema})) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
