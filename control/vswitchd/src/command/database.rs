//! The commands of `ovs-appctl -t ovsdb-server`: for the embedded database.

use super::{check, general, listing, unknown};
use crate::engine::Engine;
use crate::store::Store;
use crate::unixctl::Answer;

type Reply = tokio::sync::oneshot::Sender<Answer>;

/// With `--ovsdb` there is no embedded database.
const FOREIGN: &str = "the database server is another process\n";

const COMMANDS: [(&str, &str, [usize; 2]); 15] = [
    ("coverage/show", "", [0, 0]),
    ("exit", "", [0, 0]),
    ("list-commands", "", [0, 0]),
    ("memory/show", "", [0, 0]),
    ("ovsdb-server/add-remote", "REMOTE", [1, 1]),
    ("ovsdb-server/compact", "", [0, 1]),
    ("ovsdb-server/list-dbs", "", [0, 0]),
    ("ovsdb-server/list-remotes", "", [0, 0]),
    ("ovsdb-server/remove-remote", "REMOTE", [1, 1]),
    ("ovsdb-server/sync-status", "", [0, 0]),
    ("version", "", [0, 0]),
    ("vlog/close", "", [0, 0]),
    ("vlog/list", "", [0, 0]),
    ("vlog/reopen", "", [0, 0]),
    ("vlog/set", "{spec | PATTERN:destination:pattern}", [1, usize::MAX]),
];

/// Compacts the file; the answer comes when that is done, and nobody waits for it meanwhile.
pub(super) fn compact(store: &Store, args: &[String], reply: Reply) {
    let compaction = check("ovsdb-server/compact", [0, 1], args).and_then(|()| {
        let server = store.server.as_ref().ok_or(FOREIGN)?;
        Ok(server.compact(args.first().map(String::as_str)))
    });
    tokio::task::spawn_local(async move {
        let answer = match compaction {
            Ok(compaction) => compaction.await.map_err(|error| format!("{error}\n")),
            Err(error) => Err(error),
        };
        // Whoever asked may be gone.
        let _ = reply.send(answer.map(|()| String::new()));
    });
}

/// Runs one command.
pub(super) fn run(store: &Store, engine: &mut Engine, method: &str, args: &[String]) -> Answer {
    let known = COMMANDS.iter().find(|(name, _, _)| *name == method);
    let (_, _, count) = known.ok_or_else(|| unknown(method))?;
    check(method, *count, args)?;
    let server = store.server.as_ref().ok_or(FOREIGN)?;
    let first = args.first().map_or("", String::as_str);
    let lines =
        |names: Vec<String>| names.iter().fold(String::new(), |text, name| text + name + "\n");
    match method {
        "list-commands" => {
            Ok(listing(COMMANDS.iter().map(|(name, usage, _)| (*name, *usage)).collect()))
        }
        "version" => Ok(general::version("ovsdb-server")),
        "ovsdb-server/list-dbs" => Ok(lines(server.list_dbs())),
        "ovsdb-server/list-remotes" => Ok(lines(server.list_remotes())),
        "ovsdb-server/add-remote" => {
            server.add_remote(first).map(|()| String::new()).map_err(|error| format!("{error}\n"))
        }
        "ovsdb-server/remove-remote" => {
            if server.remove_remote(first) {
                Ok(String::new())
            } else {
                Err("no such remote\n".to_owned())
            }
        }
        "ovsdb-server/sync-status" => Ok("state: active\n".to_owned()),
        "memory/show" => {
            let memory = server.memory();
            Ok(format!(
                "atoms:{} backlog:{} cells:{} file-bytes:{} monitors:{} sessions:{}\n",
                memory.atoms,
                memory.backlog_bytes,
                memory.rows,
                memory.file_bytes,
                memory.monitors,
                memory.sessions,
            ))
        }
        _ => super::run(engine, method, args),
    }
}
