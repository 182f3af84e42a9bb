//! The file: what stock tools read, torn records, kills, compaction, symlinks, locks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use weft_ovsdb::store::database::Database;
use weft_ovsdb::store::log::{Log, LogError};
use weft_ovsdb::store::record::{load, read_record, record};
use weft_ovsdb::txn::{Context, Execution, execute};
use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};

use crate::client::block_on;
use crate::harness::{Weft, installed, run, try_run};

/// A database with its file, without a server.
struct Store {
    log: Log,
    db: Database,
}

impl Store {
    fn open(path: &Path) -> Self {
        let (log, db) = Log::open(path, VSWITCH_SCHEMA).unwrap();
        Self { log, db }
    }

    fn transact(&mut self, operations: &Value) -> Vec<Value> {
        let context = Context { owns_lock: &|_| false, waited: std::time::Duration::ZERO };
        let schema = std::sync::Arc::clone(self.db.schema());
        let log = &mut self.log;
        let mut persist = |commit: &weft_ovsdb::store::Commit| {
            log.append(&schema, commit).unwrap();
            Ok(())
        };
        let operations = operations.as_array().unwrap();
        match execute(&mut self.db, operations, &context, &mut persist) {
            Execution::Done { results, commit } => {
                assert!(commit.is_some(), "{results}");
                serde_json::from_str(&results.to_string()).unwrap()
            }
            Execution::Wait { .. } => panic!("no wait here"),
        }
    }

    fn text(&self) -> String {
        dump(&self.db)
    }

    /// What a file holds that somebody may have open.
    fn text_of(path: &Path) -> String {
        let bytes = std::fs::read(path).unwrap();
        let (db, end) = load(path, &bytes).unwrap();
        assert_eq!(end, bytes.len());
        dump(&db)
    }
}

/// Everything that belongs on disk, in one canonical text.
fn dump(db: &Database) -> String {
    let schema = db.schema();
    let mut text = String::new();
    for (index, table) in schema.tables.iter().enumerate() {
        for (uuid, row) in db.table(index).unwrap().rows() {
            write!(text, "{} {uuid}", table.name).unwrap();
            for (number, column) in table.columns.iter().enumerate().filter(|(_, c)| !c.ephemeral) {
                write!(text, " {}={}", column.name, row.get(number).unwrap()).unwrap();
            }
            text += "\n";
        }
    }
    text
}

/// A few transactions that use every kind of change; the dump after each.
fn fill(store: &mut Store) -> Vec<String> {
    let mut dumps = vec![store.text()];
    let steps = [
        json!([{"op": "insert", "table": "Open_vSwitch", "row": {"external_ids": ["map", [["é", "\n\"1\""], ["b", "2"]]]}}]),
        json!([
            {"op": "insert", "table": "Interface", "row": {"name": "i"}, "uuid-name": "i"},
            {"op": "insert", "table": "Port", "row": {"name": "p", "interfaces": ["named-uuid", "i"],
                "trunks": ["set", [1, 2, 3]]}, "uuid-name": "p"},
            {"op": "insert", "table": "Bridge", "row": {"name": "b", "ports": ["named-uuid", "p"]}, "uuid-name": "b"},
            {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["bridges", "insert", ["named-uuid", "b"]]]},
            {"op": "comment", "comment": "one"}, {"op": "comment", "comment": "two"},
            {"op": "commit", "durable": true}
        ]),
        json!([
            {"op": "mutate", "table": "Port", "where": [], "mutations": [["trunks", "delete", 2], ["trunks", "insert", 9]]},
            {"op": "update", "table": "Port", "where": [], "row": {"tag": 7, "statistics": ["map", [["x", 1]]]}},
            {"op": "mutate", "table": "Open_vSwitch", "where": [],
                "mutations": [["external_ids", "delete", ["set", ["b"]]], ["external_ids", "insert", ["map", [["b", "3"]]]]]}
        ]),
        json!([{"op": "update", "table": "Port", "where": [], "row": {"tag": ["set", []]}}]),
        json!([{"op": "update", "table": "Bridge", "where": [], "row": {"ports": ["set", []]}}]),
    ];
    for step in &steps {
        store.transact(step);
        dumps.push(store.text());
    }
    dumps
}

#[test]
fn what_was_written_is_read_back() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let mut store = Store::open(&path);
    let dumps = fill(&mut store);
    drop(store);
    assert_eq!(Store::open(&path).text(), *dumps.last().unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("statistics\":[\"map\",[[\"x\""), "an ephemeral column was written");
    assert!(text.contains("\"_comment\":\"one\\ntwo\""));
    // A set that lost 2 and gained 9 is written as that difference.
    assert!(text.contains("\"trunks\":[\"set\",[2,9]]"));
}

#[test]
fn only_ephemeral_changes_write_nothing() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(&dir.path().join("conf.db"));
    fill(&mut store);
    let size = store.log.size();
    store.transact(&json!([{"op": "update", "table": "Open_vSwitch", "where": [],
        "row": {"statistics": ["map", [["a", "b"]]]}}, {"op": "comment", "comment": "no"}]));
    assert_eq!(store.log.size(), size);
}

/// Cut at every byte of the last three records, and with every byte of the last one damaged.
#[test]
fn a_torn_tail_is_cut_off_at_every_byte() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let mut store = Store::open(&path);
    let dumps = fill(&mut store);
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    let mut ends = Vec::new();
    let mut offset = 0;
    while let Some((_, length)) = read_record(&bytes[offset..]) {
        offset += length;
        ends.push(offset);
    }
    assert_eq!((ends.len(), offset), (dumps.len(), bytes.len()));
    let whole = |length: usize| ends.iter().filter(|end| **end <= length).count();
    for length in ends[ends.len() - 4]..=bytes.len() {
        let (db, good) = load(&path, &bytes[..length]).unwrap();
        assert_eq!(dump(&db), dumps[whole(length) - 1], "cut to {length}");
        assert_eq!(good, ends[whole(length) - 1]);
    }
    let last = ends[ends.len() - 2];
    for at in last..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        let (db, good) = load(&path, &damaged).unwrap();
        let lost = good == last && dump(&db) == dumps[dumps.len() - 2];
        // Letter case in the hash is the one thing that may not matter.
        assert!(lost || good == bytes.len(), "damaged at {at}");
    }
    // Opening repairs the file itself, and writing goes on from there.
    for length in [last + 1, last + 30, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let mut store = Store::open(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), last as u64);
        store.transact(&json!([{"op": "insert", "table": "Queue", "row": {"dscp": 1}}]));
        let text = store.text();
        drop(store);
        assert_eq!(Store::open(&path).text(), text);
    }
    assert!(!PathBuf::from(format!("{}.torn", path.display())).exists());
}

#[test]
fn more_than_one_lost_record_is_kept_beside_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let mut store = Store::open(&path);
    fill(&mut store);
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    let (_, schema) = read_record(&bytes).unwrap();
    bytes[schema + 70] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(Store::open(&path).text(), "");
    let torn = std::fs::read(format!("{}.torn", path.display())).unwrap();
    assert_eq!(torn, bytes[schema..]);
}

#[test]
fn garbage_is_no_database() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    for bytes in [&b"hello"[..], b"OVSDB JSON 5 x\n", b"OVSDB JSON 99999999999999999999 x\n", b"\n"]
    {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Log::open(&path, VSWITCH_SCHEMA), Err(LogError::NotADatabase(_))));
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "left as it was");
    }
    let mut bytes = record(VSWITCH_SCHEMA.trim());
    bytes.extend(record(r#"{"Nope":{}}"#));
    std::fs::write(&path, &bytes).unwrap();
    // A record that fits no table, and whatever follows it, is left out and kept beside the file.
    let schema = record(VSWITCH_SCHEMA.trim()).len();
    bytes.extend(record(r#"{"Queue":{"00000000-0000-0000-0000-000000000001":{"dscp":1}}}"#));
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(Store::open(&path).text(), "");
    assert_eq!(std::fs::read(&path).unwrap(), bytes[..schema]);
    assert_eq!(std::fs::read(format!("{}.torn", path.display())).unwrap(), bytes[schema..]);
    // An empty file is as good as none.
    std::fs::write(&path, b"").unwrap();
    assert_eq!(Store::open(&path).text(), "");
}

/// What a client is told while the disk takes nothing, and that reading goes on.
fn serves_for_reading_alone(server: &Weft, text: &str) {
    let insert = json!([{"op": "insert", "table": "Queue", "row": {"dscp": 1}}]);
    let mut client = server.connect();
    let refused = client.transact(&insert);
    assert_eq!(refused[1]["error"], "I/O error");
    assert_eq!(refused[1]["io-error"], text, "{refused}");
    let queues = json!([{"op": "select", "table": "Queue", "where": [], "columns": ["dscp"]}]);
    assert_eq!(client.transact(&queues), json!([{"rows": [{"dscp": 9}]}]));
    let ephemeral = json!([{"op": "update", "table": "Open_vSwitch", "where": [],
        "row": {"statistics": ["map", [["a", "b"]]]}}]);
    assert_eq!(client.transact(&ephemeral), json!([{"count": 1}]), "it needs no disk");
    let status = |server: &weft_ovsdb::Server| server.storage_error("Open_vSwitch");
    assert!(server.with(status).unwrap().unwrap().contains(text));
    assert!(server.with(|server| server.fault_handle().get()).is_some());
}

/// After the obstacle is gone it is written again without a word to anybody.
fn writes_again(server: &Weft) {
    let status = |server: &weft_ovsdb::Server| server.storage_error("Open_vSwitch").unwrap();
    crate::harness::wait_for("the file to be written again", || server.with(status).is_none());
    let insert = json!([{"op": "insert", "table": "Queue", "row": {"dscp": 2}},
        {"op": "commit", "durable": true}]);
    assert!(server.connect().transact(&insert)[1].as_object().unwrap().is_empty());
    assert!(server.log().contains("can be written again"), "{}", server.log());
}

/// A file with one row of `Open_vSwitch` and one of Queue.
fn with_a_queue(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("conf.db");
    let mut store = Store::open(&path);
    store.transact(&json!([{"op": "insert", "table": "Queue", "row": {"dscp": 9}},
        {"op": "insert", "table": "Open_vSwitch", "row": {}}]));
    path
}

#[test]
fn without_its_lock_file_it_is_read_and_not_written() {
    let dir = TempDir::new().unwrap();
    let path = with_a_queue(&dir);
    // Nobody can open a directory for writing, not even root.
    let lock = dir.path().join(".conf.db.~lock~");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let server = Weft::start_in(dir, &path, |config| config);
    serves_for_reading_alone(&server, "Is a directory");
    assert_eq!(server.log().matches("can be read and not changed").count(), 1, "said once");
    std::fs::remove_dir(&lock).unwrap();
    writes_again(&server);
    let dir = server.stop();
    assert!(Store::text_of(&path).contains("dscp=2"));
    drop(dir);
}

/// Who had no lock does not write over what somebody else has written since.
#[test]
fn a_file_that_changed_while_it_was_not_locked_stays_as_it_is() {
    let dir = TempDir::new().unwrap();
    let path = with_a_queue(&dir);
    let lock = dir.path().join(".conf.db.~lock~");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let server = Weft::start_in(dir, &path, |config| config);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(record(r#"{"Queue":{"00000000-0000-0000-0000-000000000001":{"dscp":1}}}"#));
    std::fs::write(&path, &bytes).unwrap();
    std::fs::remove_dir(&lock).unwrap();
    let status = |server: &weft_ovsdb::Server| server.storage_error("Open_vSwitch").unwrap();
    let is_seen = || server.with(status).is_some_and(|text| text.contains("somebody else"));
    crate::harness::wait_for("the change to be seen", is_seen);
    serves_for_reading_alone(&server, "a restart reads it anew");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_tail_that_cannot_be_kept_is_not_cut_off() {
    let dir = TempDir::new().unwrap();
    let path = with_a_queue(&dir);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(record(r#"{"Nope":{}}"#));
    bytes.extend(record(r#"{"Queue":{}}"#));
    std::fs::write(&path, &bytes).unwrap();
    let torn = dir.path().join("conf.db.torn");
    std::fs::create_dir(&torn).unwrap();
    let server = Weft::start_in(dir, &path, |config| config);
    serves_for_reading_alone(&server, "Is a directory");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    std::fs::remove_dir(&torn).unwrap();
    writes_again(&server);
    assert!(torn.is_file());
}

#[test]
fn both_forms_of_records_are_read() {
    let uuid = "00000000-0000-0000-0000-000000000001";
    let port = |trunks: Value, tag: Value| json!({uuid: {"trunks": trunks, "tag": tag}});
    let file = |second: Value| {
        let mut bytes = record(VSWITCH_SCHEMA.trim());
        bytes.extend(record(&json!({"Port": port(json!(["set", [1, 2]]), json!(5))}).to_string()));
        bytes.extend(record(&second.to_string()));
        let (db, _) = load(Path::new("x"), &bytes).unwrap();
        dump(&db)
    };
    let full = file(json!({"Port": port(json!(["set", [2, 3]]), json!(6))}));
    let diff = file(json!({"_is_diff": true, "Port": port(json!(["set", [1, 3]]), json!(6))}));
    assert_eq!(full, diff);
    assert!(full.contains("trunks=[2, 3]") && full.contains("tag=6"), "{full}");
    assert_eq!(file(json!({"Port": {uuid: null}})), "");
}

#[test]
fn compaction_keeps_the_rows_and_follows_the_symlink() {
    let dir = TempDir::new().unwrap();
    let real = dir.path().join("var");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("conf.db");
    std::os::unix::fs::symlink("var/conf.db", &link).unwrap();
    let mut store = Store::open(&link);
    fill(&mut store);
    assert!(real.join("conf.db").is_file() && real.join(".conf.db.~lock~").is_file());
    let (before, size) = (store.text(), store.log.size());
    let compaction = store.log.start_compaction(&store.db).unwrap();
    assert!(store.log.start_compaction(&store.db).is_none(), "one at a time");
    // What happens meanwhile is in both files, whether the new one has been told already or not.
    let queue = |dscp: u8| json!([{"op": "insert", "table": "Queue", "row": {"dscp": dscp}}]);
    store.transact(&queue(11));
    let mut new = std::thread::spawn(|| compaction.write()).join().unwrap().unwrap();
    new.append(&store.log.take_tail()).unwrap();
    store.transact(&queue(12));
    assert_ne!(store.text(), before);
    let before = store.text();
    assert_eq!(Store::text_of(&link), before);
    store.log.put_in_place(new).unwrap();
    assert_eq!(Store::text_of(&link), before);
    assert!(store.log.size() < size + 1000);
    assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
    store.transact(&json!([{"op": "insert", "table": "Queue", "row": {"dscp": 1}}]));
    let after = store.text();
    assert_ne!(after, before);
    drop(store);
    assert_eq!(Store::open(&link).text(), after);
}

#[test]
fn a_compaction_that_comes_to_nothing_leaves_the_old_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let mut store = Store::open(&path);
    fill(&mut store);
    let text = store.text();
    let compaction = store.log.start_compaction(&store.db).unwrap();
    store.log.give_up_compaction();
    assert!(store.log.start_compaction(&store.db).is_none(), "its file may still be written");
    let new = compaction.write().unwrap();
    assert!(store.log.put_in_place(new).is_err());
    assert_eq!(Store::text_of(&path), text);
    // The same when everything is replaced meanwhile.
    let compaction = store.log.start_compaction(&store.db).unwrap();
    store.log.replace_with(&store.db, "all anew").unwrap();
    let new = compaction.write().unwrap();
    assert!(store.log.put_in_place(new).is_err());
    store.transact(&json!([{"op": "insert", "table": "Queue", "row": {"dscp": 1}}]));
    assert_eq!(Store::text_of(&path), store.text());
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".conf.db.~lock~", "conf.db"]);
}

#[test]
fn one_user_at_a_time() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let store = Store::open(&path);
    assert!(matches!(Log::open(&path, VSWITCH_SCHEMA), Err(LogError::Locked(_))));
    if installed("ovsdb-tool") {
        let (ok, _, error) = try_run("ovsdb-tool", &["compact", path.to_str().unwrap()]);
        assert!(!ok && error.contains("already locked"), "{error}");
    }
    drop(store);
    drop(Store::open(&path));
}

#[test]
fn stock_tool_reads_our_file_and_we_read_its() {
    if !installed("ovsdb-tool") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let file = path.to_str().unwrap();
    let mut store = Store::open(&path);
    fill(&mut store);
    drop(store);
    assert_eq!(run("ovsdb-tool", &["db-version", file]).trim(), "8.3.1");
    assert_eq!(run("ovsdb-tool", &["db-cksum", file]).trim(), "3012963480 26720");
    let log = run("ovsdb-tool", &["show-log", "-m", file]);
    assert!(log.contains("record 5:") && log.contains("\"one"), "{log}");
    let query = r#"["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["external_ids"]}]"#;
    let rows: Value = serde_json::from_str(&run("ovsdb-tool", &["query", file, query])).unwrap();
    let expected = json!({"external_ids": ["map", [["b", "3"], ["é", "\n\"1\""]]]});
    assert_eq!(rows[0]["rows"][0], expected);
    // It writes and compacts, and we go on with what it wrote.
    let insert = r#"["Open_vSwitch",{"op":"insert","table":"Queue","row":{"dscp":9}}]"#;
    run("ovsdb-tool", &["transact", file, insert]);
    run("ovsdb-tool", &["compact", file]);
    assert!(Store::open(&path).text().contains("dscp=9"));
}

/// Whatever prefix of the file a kill leaves, the server starts, and durable transactions are there.
#[test]
fn a_kill_at_any_moment_loses_nothing_durable() {
    let server = Weft::start();
    let mut client = server.connect();
    client.transact(&json!([{"op": "insert", "table": "Open_vSwitch", "row": {}}]));
    let mut sizes = Vec::new();
    for n in 1..=40 {
        let result = client.transact(&json!([
            {"op": "update", "table": "Open_vSwitch", "where": [], "row": {"next_cfg": n}},
            {"op": "commit", "durable": true}
        ]));
        assert_eq!(result, json!([{"count": 1}, {}]));
        // The reply is here, so the record is: nothing buffered in the process.
        sizes.push(std::fs::metadata(server.db()).unwrap().len());
    }
    let bytes = std::fs::read(server.db()).unwrap();
    let dir = server.stop();
    let path = dir.path().join("copy.db");
    let start = usize::try_from(sizes[0]).unwrap();
    for length in (start..bytes.len()).step_by(37) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let store = Store::open(&path);
        let n = sizes.iter().filter(|size| **size <= length as u64).count();
        assert!(store.text().contains(&format!(" next_cfg={n} ")), "prefix of {length}");
    }
}

#[test]
fn schema_of_the_file_wins() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("conf.db");
    let small = r#"{"name":"Open_vSwitch","version":"1.2.3","cksum":"1 2","tables":{"T":{"columns":{"c":{"type":"string"}}}}}"#;
    drop(Log::open(&path, small).unwrap());
    let (_, db) = Log::open(&path, VSWITCH_SCHEMA).unwrap();
    assert_eq!(db.schema().version, "1.2.3");
    assert_eq!(db.schema().json(), Schema::parse(small).unwrap().json());
}

/// A file whose database has `version` of the built-in schema, made and filled by the stock tool.
fn of_release(dir: &TempDir, version: &str) -> PathBuf {
    let mut schema: Value = serde_json::from_str(VSWITCH_SCHEMA).unwrap();
    schema["version"] = json!(version);
    schema["cksum"] = json!("1234 5678");
    schema["tables"]["Queue"]["columns"].as_object_mut().unwrap().remove("dscp");
    let (path, text) = (dir.path().join("conf.db"), dir.path().join("schema"));
    std::fs::write(&text, schema.to_string()).unwrap();
    run("ovsdb-tool", &["create", path.to_str().unwrap(), text.to_str().unwrap()]);
    let insert = r#"["Open_vSwitch",{"op":"insert","table":"Queue","row":{"external_ids":["map",[["a","b"]]]}}]"#;
    run("ovsdb-tool", &["transact", path.to_str().unwrap(), insert]);
    path
}

#[test]
fn a_file_of_an_older_release_is_converted_and_kept_as_it_was() {
    if !installed("ovsdb-tool") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = of_release(&dir, "7.15.1");
    let before = std::fs::read(&path).unwrap();
    let server = Weft::start_in(dir, &path, |config| config);
    let query = json!([{"op": "select", "table": "Queue", "where": [], "columns": ["external_ids", "dscp"]}]);
    let rows = server.connect().transact(&query);
    let row = json!({"external_ids": ["map", [["a", "b"]]], "dscp": ["set", []]});
    assert_eq!(rows, json!([{"rows": [row]}]));
    let dir = server.stop();
    assert_eq!(run("ovsdb-tool", &["db-version", path.to_str().unwrap()]).trim(), "8.3.1");
    assert_eq!(std::fs::read(dir.path().join("conf.db.backup7.15.1-1234")).unwrap(), before);
}

#[test]
fn an_upgrade_that_cannot_be_written_is_served_and_tried_again() {
    if !installed("ovsdb-tool") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = of_release(&dir, "7.15.1");
    let before = std::fs::read(&path).unwrap();
    // The new file cannot be made, the old one can be read.
    let obstacle = dir.path().join("conf.db.tmp");
    std::fs::create_dir(&obstacle).unwrap();
    let server = Weft::start_in(dir, &path, |config| config);
    let query = json!([{"op": "select", "table": "Queue", "where": [], "columns": ["dscp"]}]);
    assert_eq!(server.connect().transact(&query), json!([{"rows": [{"dscp": ["set", []]}]}]));
    let insert = json!([{"op": "insert", "table": "Queue", "row": {}}]);
    assert_eq!(server.connect().transact(&insert)[1]["error"], "I/O error");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::remove_dir(&obstacle).unwrap();
    writes_again(&server);
    let dir = server.stop();
    assert_eq!(run("ovsdb-tool", &["db-version", path.to_str().unwrap()]).trim(), "8.3.1");
    assert_eq!(std::fs::read(dir.path().join("conf.db.backup7.15.1-1234")).unwrap(), before);
}

#[test]
fn a_file_of_a_newer_release_stays_as_it_is() {
    if !installed("ovsdb-tool") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let path = of_release(&dir, "8.10.0");
    let dir = Weft::start_in(dir, &path, |config| config).stop();
    assert_eq!(run("ovsdb-tool", &["db-version", path.to_str().unwrap()]).trim(), "8.10.0");
    let backups = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert!(!backups.into_iter().any(|file| file.file_name().to_string_lossy().contains("backup")));
}

#[test]
fn files_that_cannot_be_served_say_what_they_are() {
    if !installed("ovsdb-tool") {
        return;
    }
    let dir = TempDir::new().unwrap();
    let (other, text) = (dir.path().join("other.db"), dir.path().join("schema"));
    std::fs::write(&text, r#"{"name":"Other","version":"1.2.3","tables":{}}"#).unwrap();
    run("ovsdb-tool", &["create", other.to_str().unwrap(), text.to_str().unwrap()]);
    let member = dir.path().join("member.db");
    let address = "tcp:127.0.0.1:6644";
    run(
        "ovsdb-tool",
        &["create-cluster", member.to_str().unwrap(), text.to_str().unwrap(), address],
    );
    for (path, said) in [
        (other, "a database of Other, not of Open_vSwitch"),
        (member, "of a clustered database: `ovsdb-tool cluster-to-standalone`"),
    ] {
        let before = std::fs::read(&path).unwrap();
        let server = weft_ovsdb::Server::start(weft_ovsdb::ServerConfig::new(&path));
        let error = block_on(server).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
