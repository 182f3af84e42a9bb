//! Properties of values, differences and framing.

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;
use weft_ovsdb::jsonrpc::{DEPTH_MAX, FrameError, Framer, Message};
use weft_ovsdb::value::atom::AtomType;
use weft_ovsdb::value::schema::{BaseType, ColumnType};
use weft_ovsdb::{Atom, Datum};

fn any_type() -> impl Strategy<Value = AtomType> {
    prop::sample::select(vec![
        AtomType::Integer,
        AtomType::Real,
        AtomType::Boolean,
        AtomType::String,
        AtomType::Uuid,
    ])
}

fn atom(ty: AtomType) -> BoxedStrategy<Atom> {
    match ty {
        AtomType::Integer => any::<i64>().prop_map(Atom::Integer).boxed(),
        AtomType::Real => {
            let finite = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
            finite.prop_map(Atom::real).boxed()
        }
        AtomType::Boolean => any::<bool>().prop_map(Atom::Boolean).boxed(),
        AtomType::String => "[^\0]{0,8}".prop_map(|text| Atom::string(&text)).boxed(),
        AtomType::Uuid => any::<u128>().prop_map(|bits| Atom::Uuid(Uuid::from_u128(bits))).boxed(),
    }
}

/// Few different atoms, so that two datums overlap.
fn small(ty: AtomType) -> BoxedStrategy<Atom> {
    (0..6_u8)
        .prop_map(move |n| match ty {
            AtomType::Integer => Atom::Integer(i64::from(n)),
            AtomType::Real => Atom::real(f64::from(n)),
            AtomType::Boolean => Atom::Boolean(n % 2 == 0),
            AtomType::String => Atom::string(&n.to_string()),
            AtomType::Uuid => Atom::Uuid(Uuid::from_u128(u128::from(n))),
        })
        .boxed()
}

fn column_type(key: AtomType, value: Option<AtomType>, max: usize) -> ColumnType {
    ColumnType { key: BaseType::plain(key), value: value.map(BaseType::plain), min: 0, max }
}

fn datum_of(
    key: BoxedStrategy<Atom>,
    value: Option<BoxedStrategy<Atom>>,
    max: usize,
) -> BoxedStrategy<Datum> {
    match value {
        None => prop::collection::vec(key, 0..=max).prop_map(Datum::set).boxed(),
        Some(value) => prop::collection::vec((key, value), 0..=max).prop_map(Datum::map).boxed(),
    }
}

prop_compose! {
    fn typed_datum()(key in any_type(), value in prop::option::of(any_type()))
        (datum in datum_of(atom(key), value.map(atom), 6), key in Just(key), value in Just(value))
        -> (ColumnType, Datum) {
        (column_type(key, value, usize::MAX), datum)
    }
}

prop_compose! {
    fn two_datums()(key in any_type(), value in prop::option::of(any_type()),
            max in prop::sample::select(vec![1, usize::MAX]))
        (old in datum_of(small(key), value.map(small), max.min(6)),
         new in datum_of(small(key), value.map(small), max.min(6)),
         key in Just(key), value in Just(value), max in Just(max))
        -> (ColumnType, Datum, Datum) {
        (column_type(key, value, max), old, new)
    }
}

proptest! {
    #[test]
    fn a_datum_survives_its_json((ty, datum) in typed_datum()) {
        let json = datum.to_json();
        prop_assert_eq!(&Datum::from_json(&ty, &json, None).unwrap(), &datum);
        // The serialiser and the tree builder say the same, and text brings it back.
        let text = serde_json::to_string(&datum).unwrap();
        let again: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&Datum::from_json(&ty, &again, None).unwrap(), &datum);
    }

    #[test]
    fn a_diff_leads_from_old_to_new((ty, old, new) in two_datums()) {
        let diff = old.diff(&new, &ty);
        prop_assert_eq!(&old.apply_diff(&diff, &ty), &new);
        let mut patched = old.clone();
        patched.patch(&diff, &ty);
        prop_assert_eq!(&patched, &new);
        if ty.max > 1 {
            prop_assert_eq!(diff.is_empty(), old == new);
            // A set's difference leads back, too.
            if !ty.is_map() {
                prop_assert_eq!(&new.apply_diff(&diff, &ty), &old);
            }
        }
    }

    #[test]
    fn includes_and_excludes_are_what_sets_say((_, old, new) in two_datums()) {
        let has = |atom: &Atom| old.atoms().contains(atom);
        let has_pair = |pair: &(Atom, Atom)| old.pairs().contains(pair);
        prop_assert_eq!(old.includes(&new),
            new.atoms().iter().all(has) && new.pairs().iter().all(has_pair));
        prop_assert_eq!(old.excludes(&new),
            !new.atoms().iter().any(has) && !new.pairs().iter().any(has_pair));
    }

    #[test]
    fn messages_come_out_however_the_stream_is_cut(
        texts in prop::collection::vec(("[a-z\"\\\\{}\\[\\]é ]{0,12}", 0..4_usize), 1..6),
        cuts in prop::collection::vec(1..9_usize, 1..40),
        blank in "[ \n\t]{0,3}",
    ) {
        let messages: Vec<Value> = texts.iter().map(|(text, depth)| {
            let mut value = json!(text);
            for _ in 0..*depth { value = json!([{"k": value}]); }
            json!({"id": 1, "method": "echo", "params": [value]})
        }).collect();
        let stream: String = messages.iter().map(|m| format!("{m}{blank}")).collect();
        let mut framer = Framer::new(1 << 20);
        let mut found = Vec::new();
        let (mut rest, mut cuts) = (stream.as_bytes(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            framer.push(piece);
            while let Some(message) = framer.next_message().unwrap() { found.push(message); }
            rest = tail;
        }
        prop_assert_eq!(found, messages);
        prop_assert!(framer.buffered() <= blank.len());
    }

    /// Large messages too, the rest of which goes straight to where it belongs.
    #[test]
    fn large_messages_come_out_however_they_are_read(
        sizes in prop::collection::vec(0..100_000_usize, 1..3), cuts in prop::collection::vec(1..80_000_usize, 1..9),
    ) {
        let message = |size: &usize| format!("{{\"{}\":[]}}", "a".repeat(*size));
        let messages: Vec<String> = sizes.iter().map(message).collect();
        let stream = messages.concat();
        let (mut framer, mut spare) = (Framer::new(1 << 20), Vec::new());
        let (mut found, mut rest, mut cuts) = (Vec::new(), stream.as_bytes(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            let buffered = framer.buffered();
            match framer.room() {
                Some(room) => room.extend(piece),
                None => framer.push(piece),
            }
            prop_assert_eq!(framer.buffered(), buffered + piece.len());
            while let Some(frame) = framer.next_frame().unwrap() {
                found.push(String::from_utf8(frame.to_vec()).unwrap());
            }
            framer.share(&mut spare);
            rest = tail;
        }
        prop_assert_eq!(found, messages);
        prop_assert!(framer.room().is_none());
    }

    #[test]
    fn noise_never_panics_and_never_grows(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut framer = Framer::new(128);
        for piece in bytes.chunks(7) {
            framer.push(piece);
            loop {
                match framer.next_message() {
                    Ok(Some(json)) => drop(Message::from_json(json)),
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
            prop_assert!(framer.buffered() <= 128 + 7);
        }
    }

    /// A block at a time or byte by byte: the same end.
    #[test]
    fn messages_end_where_their_braces_close(
        text in "[{}\\[\\]\"\\\\a-m:, é]{0,300}", text_without_escapes in "[{}\\[\\]\"a-z:, é]{0,400}",
        depth in 0..30_usize, cut in 1..300_usize,
    ) {
        let stream = format!("{{{}{text_without_escapes}{text}", "[".repeat(depth));
        let mut framer = Framer::new(1 << 10);
        let mut found = Ok(None);
        for piece in stream.as_bytes().chunks(cut) {
            framer.push(piece);
            found = framer.next_frame().map(|frame| frame.map(<[u8]>::len));
            if found != Ok(None) { break; }
        }
        prop_assert_eq!(found, Ok(end_by_bytes(stream.as_bytes())));
    }

    #[test]
    fn json_like_noise_never_panics(text in "[{}\\[\\]\":,a\\\\ 0-9]{0,64}") {
        let mut framer = Framer::new(1 << 10);
        framer.push(text.as_bytes());
        while let Ok(Some(json)) = framer.next_message() { drop(Message::from_json(json)); }
    }
}

/// Where the braces of a message close, looked at byte by byte.
fn end_by_bytes(message: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (index, byte) in message.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

#[test]
fn framing_limits() {
    let frame = |text: &str, limit: usize| {
        let mut framer = Framer::new(limit);
        framer.push(text.as_bytes());
        framer.next_message()
    };
    assert_eq!(frame("zz", 9), Err(FrameError::NotAnObject(b'z')));
    assert_eq!(frame("[]", 9), Err(FrameError::NotAnObject(b'[')));
    assert_eq!(frame("{\"a\":1}", 6), Err(FrameError::TooLarge(6)));
    assert_eq!(frame("{\"a\":1}", 7), Ok(Some(json!({"a": 1}))));
    assert_eq!(frame("{\"a\":1", 5), Err(FrameError::TooLarge(5)));
    assert!(matches!(frame("{]", 9), Err(FrameError::Json(_))));
    let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(frame(&nested(DEPTH_MAX), 1 << 10).unwrap().is_some());
    assert_eq!(frame(&nested(DEPTH_MAX + 1), 1 << 10), Err(FrameError::TooDeep));
}

#[test]
fn what_is_a_message() {
    let message = |json: Value| Message::from_json(json).is_ok();
    assert!(message(json!({"id": 1, "method": "echo", "params": []})));
    assert!(message(json!({"id": null, "method": "cancel", "params": [1]})));
    assert!(message(json!({"id": "echo", "result": [], "error": null})));
    assert!(message(json!({"id": 1, "error": "no"})));
    assert!(!message(json!({})));
    assert!(!message(json!({"id": 1})));
    assert!(!message(json!({"id": 1, "method": 1, "params": []})));
    assert!(!message(json!({"id": 1, "method": "echo", "params": {}})));
    assert!(!message(json!({"id": 1, "method": "echo", "params": [], "zz": 1})));
    assert!(!message(json!({"id": 1, "method": "echo", "params": [], "result": 1})));
    assert!(!message(json!({"id": null, "result": []})));
}

const SCHEMA: &str = r#"{"name":"F","version":"1.0.0","tables":{
    "T":{"isRoot":true,"columns":{"n":{"type":"integer"},
        "s":{"type":{"key":"string","min":0,"max":"unlimited"}},
        "r":{"type":{"key":{"type":"uuid","refTable":"C"},"min":0,"max":"unlimited"}}}},
    "C":{"columns":{"m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}}}}}}"#;

proptest! {
    /// Whatever the new types are: the rows fit them and go back as they were, or nothing happens.
    #[test]
    fn conversions_fit_or_are_refused(n in 0..9_i64, key in 0..5_usize, min in 0..2_usize, max in 1..4_usize) {
        use weft_ovsdb::methods::convert::convert;
        use weft_ovsdb::{store::database::Database, txn, value::schema::Schema};
        let old = std::sync::Arc::new(Schema::parse(SCHEMA).unwrap());
        let mut db = Database::new(std::sync::Arc::clone(&old));
        let context = txn::Context { owns_lock: &|_| false, waited: std::time::Duration::ZERO };
        let operations = [
            json!({"op": "insert", "table": "C", "uuid-name": "c", "row": {"m": ["map", [["a", n]]]}}),
            json!({"op": "insert", "table": "T", "row":
                {"n": n, "s": ["set", ["x", "y"]], "r": ["named-uuid", "c"]}}),
        ];
        drop(txn::execute(&mut db, &operations, &context, &mut |_| Ok(())));
        let key = ["integer", "real", "string", "boolean", "uuid"][key];
        let mut new: Value = serde_json::from_str(SCHEMA).unwrap();
        new["tables"]["T"]["columns"]["n"] = json!({"type": {"key": key, "min": min, "max": max}});
        let new = std::sync::Arc::new(Schema::from_json(new).unwrap());
        match convert(&db, &new) {
            Ok(converted) => {
                prop_assert!(matches!(key, "integer" | "real"));
                prop_assert_eq!(converted.row_count(), 2);
                if key == "integer" {
                    let back = convert(&converted, &old).unwrap();
                    let value = |db: &Database| db.table_by_name("T").unwrap().rows().values()
                        .next().unwrap().columns.clone();
                    prop_assert_eq!(value(&back), value(&db));
                }
            }
            Err(_) => prop_assert!(!matches!(key, "integer" | "real")),
        }
        prop_assert_eq!(db.row_count(), 2);
    }
}
