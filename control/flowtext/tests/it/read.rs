//! What is printed is read again.

use crate::generate;
use proptest::prelude::*;
use weft_flow::{PortNo, Slot, TableId};
use weft_flowtext::read::{ReadError, match_from, port_from};
use weft_flowtext::{Names, Numbers, print};

/// One port with a name that could be read as something else.
struct OnePort;

impl Names for OnePort {
    fn port(&self, port: PortNo) -> Option<&str> {
        (port == PortNo(5)).then_some("p,5")
    }

    fn port_number(&self, name: &str) -> Option<PortNo> {
        (name == "p,5").then_some(PortNo(5))
    }

    fn table(&self, _: TableId) -> Option<&str> {
        None
    }
}

#[test]
fn what_is_printed_is_read_again() {
    for of in generate::matches(2000) {
        let text = print::match_text(&of, &Numbers);
        assert_eq!(match_from(&text, &Numbers).as_ref(), Ok(&of), "{text}");
    }
}

#[test]
fn ports_have_names_and_numbers() {
    assert_eq!(port_from("LOCAL", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("local", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("65534", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("0xfffffffe", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("70000", &Numbers), None);
    assert_eq!(port_from("\"p,5\"", &OnePort), Some(PortNo(5)));
    assert_eq!(print::port_text(PortNo(5), &OnePort), "\"p,5\"");
}

#[test]
fn errors_name_what_cannot_be_read() {
    for (text, error) in [
        ("foo=3", "unknown keyword foo"),
        ("ip,nw_src=1.2.3", "1.2.3: invalid IP address"),
        ("dl_src=1:2", "1:2: invalid Ethernet address"),
        ("reg0=0x1ffffffff", "0x1ffffffff: value too large for 4-byte field reg0"),
        ("dl_vlan=99999", "99999: value too large for 2-byte field dl_vlan"),
        ("in_port=nope", "nope: invalid or unknown port for in_port"),
        ("tcp,tcp_flags=foo", "foo: unknown TCP flag(s)"),
        ("ct_state=+foo", "foo: unknown ct_state flag(s)"),
    ] {
        let read = match_from(text, &Numbers).expect_err(text);
        assert_eq!(read.to_string(), error);
    }
    assert!(matches!(match_from("tp_src=5", &Numbers), Err(ReadError::UnknownKeyword(_))));
    assert!(matches!(match_from("tcp_src=5", &Numbers), Err(ReadError::MissingPrerequisite(_))));
}

#[test]
fn long_options_are_one_number() {
    let text = format!("tun_metadata3=0x1{:032x}", 5);
    let of = match_from(&text, &Numbers).expect("read");
    assert_eq!(of.slot(Slot::TunMetadata(3, 1)).value, 1);
    assert_eq!(print::match_text(&of, &Numbers), text);
    assert!(match_from(&format!("tun_metadata3=0x{}", "f".repeat(257)), &Numbers).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}", name in "[a-z_0-9]{1,12}") {
        let _ = match_from(&text, &Numbers);
        let _ = match_from(&format!("ip,{name}={text}"), &Numbers);
        for field in weft_flow::Field::all() {
            let _ = match_from(&format!("tcp,{}={text}", field.name()), &Numbers);
        }
    }
}
