//! The map of tunnel options.

use crate::make::{Desk, add, command};
use weft_flow::request::{FlowCommand, FlowMod, Refusal};
use weft_flow::tlv::TlvOption;
use weft_flow::{Action, Bits, Field, Match, Slot, TableId};

fn option(kind: u8) -> TlvOption {
    TlvOption { class: 0x102, kind, bytes: 4 }
}

// Stock: a deletion with one field that a flow matches or sets is INVALID_TLV_DEL and takes none out,
// as is clearing; a deletion of a field that stands for nothing is no error.
#[test]
fn fields_that_flows_name_stay() {
    let mut desk = Desk::default();
    let three = [(0, option(0x80)), (1, option(0x81)), (2, option(0x82))];
    desk.bridge.add_options(&three).unwrap();
    let matching: Match = [(Slot::TunMetadata(0, 0), Bits::new(1, 1))].into_iter().collect();
    desk.flow(FlowMod { matching, ..add() }).unwrap();
    let actions =
        Box::new([Action::Clone(Box::new([Action::DeleteField(Field::tun_metadata(1).unwrap())]))]);
    desk.flow(FlowMod { table: TableId(2), actions, ..add() }).unwrap();
    for fields in [&[0][..], &[1], &[2, 0]] {
        assert_eq!(desk.bridge.remove_options(fields), Err(Refusal::TlvInvalidDel));
    }
    assert_eq!(desk.bridge.options().iter().collect::<Vec<_>>(), three);
    desk.bridge.remove_options(&[2]).unwrap();
    desk.bridge.remove_options(&[2]).unwrap();
    assert_eq!(desk.bridge.clear_options(), Err(Refusal::TlvInvalidDel));
    desk.flow(FlowMod { table: TableId::ALL, ..command(FlowCommand::Delete) }).unwrap();
    desk.bridge.clear_options().unwrap();
    assert_eq!(desk.bridge.options().iter().len(), 0);
    let twice = [(0, option(0x80)), (0, option(0x81))];
    assert_eq!(desk.bridge.add_options(&twice), Err(Refusal::TlvAlreadyMapped));
    assert_eq!(desk.bridge.options().iter().len(), 0, "all or none");
}

#[test]
fn a_match_may_ask_for_an_option_without_a_bit_of_it() {
    let mut desk = Desk::default();
    let matching: Match = [(Slot::TunPresent, Bits::new(1 << 5, 1 << 5))].into_iter().collect();
    desk.flow(FlowMod { matching, ..add() }).unwrap();
    assert_eq!(desk.bridge.remove_options(&[5]), Err(Refusal::TlvInvalidDel));
    desk.bridge.remove_options(&[4]).unwrap();
}
