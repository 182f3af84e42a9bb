//! How a line of commands comes to its database.

use super::options::Options;
use super::{DATABASE, Failure};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use weft_ovsdb::value::schema::{Schema, VSWITCH_SCHEMA};
use weft_ovsdb::{Client, ClientError, TlsFiles};

/// Between two attempts to connect with `--retry`.
const RETRY: Duration = Duration::from_millis(500);

/// What a database's place begins with; the first three are places to wait at until it comes.
const METHODS: [&str; 6] = ["punix:", "ptcp:", "pssl:", "unix:", "tcp:", "ssl:"];

/// What the server or the way to it refused.
pub fn refused(error: ClientError) -> Failure {
    let plain = |text: String| text.split(" (os error").next().unwrap_or_default().to_owned();
    let failed =
        |target, reason| Failure(format!("{target}: database connection failed ({reason})"));
    match error {
        ClientError::Io { target, source } => failed(target, plain(source.to_string())),
        ClientError::Target(target) => {
            failed(target, "Address family not supported by protocol".to_owned())
        }
        ClientError::Transaction { error, details, .. } => {
            Failure(format!("transaction error: {}", json!({"details": details, "error": error})))
        }
        other => Failure(other.to_string()),
    }
}

/// Connects and reads all tables.
///
/// # Errors
/// None of the places that `--db` names has a database.
pub async fn connect(rundir: &Path, options: &Options) -> Result<Client, Failure> {
    let usual = || format!("unix:{}", rundir.join("db.sock").display());
    let target = options.target.clone().unwrap_or_else(usual);
    let tls = if target.contains("ssl:") {
        let missing = |option| {
            let text = format!("{target}: database connection failed ({option} is missing)");
            Failure(text)
        };
        Some(options.tls_files().map_err(missing)?)
    } else {
        None
    };
    let mut client = loop {
        match first_that_answers(&target, tls.as_ref()).await {
            Err(ClientError::Io { .. } | ClientError::Closed) if options.retries => {
                tokio::time::sleep(RETRY).await;
            }
            Err(ClientError::Closed) => {
                let text = format!("{target}: database connection failed (End of file)");
                return Err(Failure(text));
            }
            result => break result.map_err(refused)?,
        }
    };
    let schema = Schema::parse(VSWITCH_SCHEMA).map_err(|error| Failure(error.to_string()))?;
    let tables: Vec<(&str, &[&str])> =
        schema.tables.iter().map(|table| (table.name.as_ref(), &[][..])).collect();
    client.monitor_all(DATABASE, &tables).await.map_err(refused)?;
    Ok(client)
}

/// Tries places in their order.  The error is that of the last one, under the name of all.
async fn first_that_answers(target: &str, tls: Option<&TlsFiles>) -> Result<Client, ClientError> {
    let mut last = ClientError::Target(target.to_owned());
    for place in places(target) {
        match Client::connect_with(place, tls.cloned()).await {
            Ok(client) => return Ok(client),
            Err(error) => last = error,
        }
    }
    let target = target.to_owned();
    Err(match last {
        ClientError::Io { source, .. } => ClientError::Io { target, source },
        ClientError::Target(_) => ClientError::Target(target),
        other => other,
    })
}

/// Places with commas between them; a comma that none follows belongs to a path.
fn places(target: &str) -> Vec<&str> {
    let mut places = Vec::new();
    let mut rest = target;
    loop {
        let commas = rest.match_indices(',').map(|(at, _)| at);
        let mut splits = commas.filter_map(|at| Some((rest.get(..at)?, rest.get(at + 1..)?)));
        let is_place = |text: &str| METHODS.iter().any(|method| text.starts_with(method));
        let Some((place, others)) = splits.find(|(_, others)| is_place(others)) else {
            places.push(rest);
            return places;
        };
        places.push(place);
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn a_comma_may_belong_to_a_path() {
        assert_eq!(places("unix:/a,b"), ["unix:/a,b"]);
        assert_eq!(
            places("unix:/a,b,tcp:[::1]:6640,ssl:h"),
            ["unix:/a,b", "tcp:[::1]:6640", "ssl:h"]
        );
        assert_eq!(places(""), [""]);
    }
}
