//! IGMP and MLD as scapy builds them: we read what it meant, and would have written the same bytes.
#![expect(clippy::unwrap_used, reason = "a test")]

use serde_json::{Value, json};
use std::process::Command;
use weft_wire::group_record::{GroupAddress, Records};
use weft_wire::{EtherType, Igmp, IpProtocol, Ipv4Header, Ipv6Header, Mld, parse_l2};

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

fn records<A: GroupAddress + ToString>(records: Records<'_, A>) -> Vec<Value> {
    let sources = |mut bytes: &[u8]| {
        let mut all = Vec::new();
        while let Some((source, rest)) = A::take(bytes) {
            all.push(source.to_string());
            bytes = rest;
        }
        all
    };
    let one = |record: weft_wire::group_record::Record<'_, A>| {
        json!([record.kind.0, record.group.to_string(), sources(record.sources)])
    };
    records.iter().map(one).collect()
}

fn read_igmp(bytes: &[u8]) -> Value {
    let message = Igmp::parse(bytes).unwrap();
    let mut again = vec![0xee; bytes.len()];
    assert_eq!(message.write(&mut again), Ok(bytes.len()));
    // Bits beside the robustness variable are zero; scapy sets none.
    assert_eq!(again, bytes, "{message:?}");
    let plain =
        |kind: &str, group: std::net::Ipv4Addr| json!({"is": kind, "group": group.to_string()});
    match message {
        Igmp::Query { group, v3: Some(v3), .. } => json!({
            "is": "query3", "group": group.to_string(), "sources": v3.sources.len() / 4, "qqic": v3.qqic,
        }),
        Igmp::Query { group, .. } => plain("query", group),
        Igmp::ReportV1 { group } => plain("report1", group),
        Igmp::ReportV2 { group } => plain("report2", group),
        Igmp::Leave { group } => plain("leave", group),
        Igmp::ReportV3(all) => json!({"is": "report3", "records": records(all)}),
        Igmp::Other { kind } => json!(kind),
    }
}

fn read_mld(bytes: &[u8], pseudo: u64) -> Value {
    let message = Mld::parse(bytes, pseudo).unwrap().unwrap();
    let mut again = vec![0xee; bytes.len()];
    assert_eq!(message.write(&mut again, pseudo), Ok(bytes.len()));
    assert_eq!(again, bytes, "{message:?}");
    let plain =
        |kind: &str, group: std::net::Ipv6Addr| json!({"is": kind, "group": group.to_string()});
    match message {
        Mld::Query { group, v2: Some(v2), .. } => json!({
            "is": "mld query2", "group": group.to_string(), "sources": v2.sources.len() / 16, "qqic": v2.qqic,
        }),
        Mld::Query { group, .. } => plain("mld query", group),
        Mld::Report { group } => plain("mld report", group),
        Mld::Done { group } => plain("mld done", group),
        Mld::ReportV2(all) => json!({"is": "mld report2", "records": records(all)}),
    }
}

#[test]
fn reads_what_scapy_meant() {
    // Debian's own interpreter is the one that Debian's python3-scapy is for.
    let python = std::env::var("WEFT_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scapy_groups.py");
    let output = Command::new(python).args([script, "20261121", "400"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_demanded = std::env::var("WEFT_REQUIRE_NETNS").is_ok_and(|value| value == "1");
    if error.contains("No module named 'scapy'") && !is_demanded {
        eprintln!("SKIPPED, nothing was compared: no scapy (Debian: python3-scapy)");
        return;
    }
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut kinds = std::collections::BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let frame = unhex(line["hex"].as_str().unwrap());
        let l2 = parse_l2(&frame).unwrap();
        let l3 = &frame[l2.l3_offset..];
        let reading = if l2.ethertype == EtherType::IPV4 {
            read_igmp(Ipv4Header::parse(l3).unwrap().1)
        } else {
            let (header, payload) = Ipv6Header::parse(l3).unwrap();
            let walk = header.walk(payload).unwrap();
            assert_eq!(walk.extensions_bytes, 8, "the router alert");
            let len = u32::try_from(walk.payload.len()).unwrap();
            read_mld(walk.payload, header.pseudo_sum(IpProtocol::ICMPV6, len))
        };
        assert_eq!(reading, line["reading"]);
        *kinds.entry(reading["is"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(kinds.len(), 11, "{kinds:?}");
}
