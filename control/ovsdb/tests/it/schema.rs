//! The built-in schema is the one that clients expect.

use weft_ovsdb::value::atom::AtomType;
use weft_ovsdb::value::schema::{SERVER_SCHEMA, Schema, VSWITCH_SCHEMA};

#[test]
fn has_19_tables_and_184_columns() {
    let schema = Schema::parse(VSWITCH_SCHEMA).unwrap();
    assert_eq!((schema.version.as_str(), schema.cksum.as_str()), ("8.3.1", "3012963480 26720"));
    assert_eq!(schema.tables.len(), 19);
    assert_eq!(schema.tables.iter().map(|table| table.columns.len()).sum::<usize>(), 184);
    let roots: Vec<&str> =
        schema.tables.iter().filter(|table| table.is_root).map(|table| &*table.name).collect();
    assert_eq!(roots, ["Open_vSwitch", "QoS", "Queue", "Flow_Sample_Collector_Set"]);
    let limited: Vec<(&str, usize)> = schema
        .tables
        .iter()
        .filter(|table| table.max_rows != usize::MAX)
        .map(|table| (&*table.name, table.max_rows))
        .collect();
    assert_eq!(limited, [("Open_vSwitch", 1), ("SSL", 1)]);
}

#[test]
fn knows_indexes_immutable_and_ephemeral_columns() {
    let schema = Schema::parse(VSWITCH_SCHEMA).unwrap();
    let named = |table: &str| {
        let table = schema.table(table).unwrap();
        let names = |columns: &Vec<usize>| {
            columns.iter().map(|index| table.columns[*index].name.to_string()).collect::<Vec<_>>()
        };
        table.indexes.iter().map(names).collect::<Vec<_>>()
    };
    for table in ["Bridge", "Port", "Interface"] {
        assert_eq!(named(table), [["name"]]);
        assert!(!schema.table(table).unwrap().column("name").unwrap().mutable);
    }
    assert_eq!(named("Manager"), [["target"]]);
    assert_eq!(named("Flow_Sample_Collector_Set"), [["id", "bridge"]]);
    let ephemeral = |table: &str| {
        let table = schema.table(table).unwrap();
        let mut names: Vec<&str> =
            table.columns.iter().filter(|column| column.ephemeral).map(|c| &*c.name).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(ephemeral("Open_vSwitch"), ["statistics"]);
    assert_eq!(ephemeral("Bridge"), ["datapath_id", "rstp_status", "status"]);
    assert_eq!(ephemeral("Port"), ["rstp_statistics", "rstp_status", "statistics", "status"]);
    assert_eq!(ephemeral("Interface").len(), 17);
    assert_eq!(ephemeral("Manager"), ["is_connected", "status"]);
    let tag = &schema.table("Port").unwrap().column("tag").unwrap().ty;
    assert!(tag.is_optional_scalar() && tag.key.ty == AtomType::Integer);
}

#[test]
fn equals_the_installed_one() {
    let path = "/usr/share/openvswitch/vswitch.ovsschema";
    let Ok(stock) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: {path} is not there");
        return;
    };
    let stock: serde_json::Value = serde_json::from_str(&stock).unwrap();
    let ours: serde_json::Value = serde_json::from_str(VSWITCH_SCHEMA).unwrap();
    if stock["version"] == ours["version"] {
        assert!(stock == ours, "not equal as JSON");
        let order = |json: &serde_json::Value| {
            let tables = json["tables"].as_object().unwrap().iter();
            tables
                .map(|(name, table)| {
                    let columns = table["columns"].as_object().unwrap();
                    (name.clone(), columns.keys().cloned().collect::<Vec<_>>())
                })
                .collect::<Vec<_>>()
        };
        assert!(order(&stock) == order(&ours), "order of tables or columns");
    } else {
        eprintln!("SKIPPED: {path} has version {}", stock["version"]);
    }
}

#[test]
fn server_schema_is_whole() {
    let schema = Schema::parse(SERVER_SCHEMA).unwrap();
    assert_eq!((schema.version.as_str(), schema.cksum.as_str()), ("1.2.0", "3009684573 744"));
    let table = schema.table("Database").unwrap();
    assert_eq!(table.columns.len(), 8);
    assert!(table.is_root, "a schema without isRoot has only root tables");
}

#[test]
fn bad_schemas_are_refused_with_their_place() {
    let cases = [
        ("{}", "has no valid name"),
        (r#"{"name":"x"}"#, "x: has no tables"),
        (r#"{"name":"x","tables":{"t":{}}}"#, "x.t: has no columns"),
        (r#"{"name":"x","tables":{"t":{"columns":{"c":{}}}}}"#, "x.t.c: has no type"),
        (r#"{"name":"x","tables":{"t":{"columns":{"c":{"type":"z"}}}}}"#, "unknown atomic type"),
        (
            r#"{"name":"x","tables":{"t":{"columns":{"c":{"type":{"key":"string","min":2}}}}}}"#,
            "neither 0 nor 1",
        ),
        (
            r#"{"name":"x","tables":{"t":{"columns":{"c":{"type":{"key":
                {"type":"uuid","refTable":"q"}}}}}}}"#,
            "unknown table \"q\"",
        ),
        (
            r#"{"name":"x","tables":{"t":{"columns":{"c":{"type":"string"}},"indexes":[["d"]]}}}"#,
            "indexes an unknown column",
        ),
    ];
    for (text, expected) in cases {
        let error = Schema::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
