//! Roles of controllers.

use weft_flow::request::{Refusal, Role, RoleRequest};
use weft_ofproto::{ConnectionId, RoleOutcome, Roles};

const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);

fn wants(role: Role, generation: u64) -> RoleRequest {
    RoleRequest { role: Some(role), generation: Some(generation) }
}

#[test]
fn one_is_master() {
    let mut roles = Roles::default();
    assert_eq!(roles.get(A), Role::Equal);
    let reply = roles.request(A, wants(Role::Master, 7)).unwrap();
    assert_eq!(reply, RoleOutcome { role: Role::Master, generation: Some(7), demoted: vec![] });
    let reply = roles.request(B, wants(Role::Master, 7)).unwrap();
    assert_eq!(reply, RoleOutcome { role: Role::Master, generation: Some(7), demoted: vec![A] });
    assert_eq!(roles.check_write(A), Err(Refusal::IsSlave));
    roles.check_write(B).unwrap();
    let asks = RoleRequest { role: None, generation: None };
    assert_eq!(roles.request(A, asks).unwrap().role, Role::Slave);
    assert!(roles.has_master());
    roles.forget(B);
    assert!(!roles.has_master());
    assert_eq!(roles.get(B), Role::Equal);
}

// Stock: equal takes no part in elections; after 7, 2^63+6 is newer and 2^63+8 older.
#[test]
fn older_elections_are_stale() {
    let mut roles = Roles::default();
    roles.request(A, wants(Role::Slave, 7)).unwrap();
    assert_eq!(roles.request(A, wants(Role::Master, 6)), Err(Refusal::Stale));
    assert_eq!(roles.get(A), Role::Slave);
    let equal = roles.request(A, wants(Role::Equal, 3)).unwrap();
    assert_eq!((equal.role, equal.generation), (Role::Equal, Some(7)), "no election");
    let far = wants(Role::Master, (1 << 63) + 8);
    assert_eq!(roles.request(A, far), Err(Refusal::Stale));
    roles.request(A, wants(Role::Master, (1 << 63) + 6)).unwrap();
    assert_eq!(roles.request(A, wants(Role::Master, 7)), Err(Refusal::Stale));
    // Numbers wrap.
    roles.request(A, wants(Role::Master, u64::MAX)).unwrap();
    roles.request(A, wants(Role::Master, 0)).unwrap();
}
