//! Workers that end or hang, and the daemon that goes on.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use weft_tests::{Host, Switch, can_make_hosts, within};

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A switch with two workers, and four hosts on it, two for each worker.
struct Rig<'h> {
    switch: Switch<'h>,
    guests: Vec<Host>,
}

impl<'h> Rig<'h> {
    fn new(host: &'h Host) -> Self {
        let switch = Switch::start_with(host, "--test-faults");
        switch.vsctl("set open . other_config:pmd-cpu-mask=3 -- add-br br0");
        host.address("br0", "10.0.0.100/24");
        let guests = (1..=4)
            .map(|n| switch.plug("br0", &format!("veth{n}"), &format!("10.0.0.{n}/24")))
            .collect();
        let rig = Self { switch, guests };
        rig.all_reach_all();
        rig
    }

    fn all_reach_all(&self) {
        for guest in &self.guests {
            for n in 1..=4 {
                guest.must_reach(&format!("10.0.0.{n}"));
            }
            guest.must_reach("10.0.0.100");
        }
    }

    /// The guests whose ports other workers have, by number.
    fn guests_beside(&self, worker: u64) -> Vec<usize> {
        let show = self.switch.weft_json("show");
        let ports = show["bridges"][0]["ports"].as_array().unwrap();
        let others = ports.iter().filter(|port| port["worker"][0] != worker);
        let number = |name: &str| name.strip_prefix("veth")?.parse().ok();
        others.filter_map(|port| number(port["name"].as_str()?)).collect()
    }

    fn logs(&self, what: &str) {
        assert!(within(PATIENCE, || self.switch.log().contains(what)), "{}", self.switch.log());
        assert_eq!(self.switch.log().matches(what).count(), 1, "{}", self.switch.log());
    }

    fn has_no_errors(&self) -> bool {
        let errors = self.switch.vsctl("--columns=error --format=csv --no-headings list interface");
        errors.lines().all(|line| line == "[]")
    }

    /// All is as before, but for what the log says.
    fn recovers(&self) {
        assert!(within(PATIENCE, || self.has_no_errors()), "{}", self.switch.vsctl("show"));
        self.all_reach_all();
    }
}

#[test]
fn a_worker_that_panics_is_replaced_alone() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let rig = Rig::new(&host);
    let pid = rig.switch.pid();
    for worker in [1, 0] {
        rig.switch.appctl(&format!("weft/fail-worker {worker} panic"));
        rig.logs(&format!(
            "worker {worker} has ended: a test asked for it: a new one takes its place"
        ));
        rig.recovers();
    }
    assert!(
        rig.switch.log().contains("thread weft-worker-1: panicked at "),
        "{}",
        rig.switch.log()
    );
    assert_eq!(rig.switch.pid(), pid);
    // Those that take the place of a lost one are ordinary workers.
    rig.switch.vsctl("add-port br0 int0 -- set interface int0 type=internal -- del-port veth4");
    host.address("int0", "10.0.1.100/24");
    rig.guests[0].must_reach("10.0.0.2");
    assert!(rig.switch.appctl("coverage/show").contains("worker_replaced"));
}

/// Whether it computes or waits: control goes on, the ports of the other worker and the LOCAL port work,
/// and the NICs of the one that hangs are opened when it moves on.
#[test]
fn a_worker_that_hangs_is_replaced_alone() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let rig = Rig::new(&host);
    let pid = rig.switch.pid();
    for (worker, fault, doing) in [(1, "block 8", "waits"), (0, "spin 4", "computes")] {
        let others = rig.guests_beside(worker);
        rig.switch.appctl(&format!("weft/fail-worker {worker} {fault}"));
        // The database is served, and the control socket, before it is found as after that.
        rig.switch.vsctl("get open . cur_cfg");
        rig.switch.appctl("version");
        rig.logs(&format!(
            "worker {worker} hangs: its loop does not turn, and {doing}: a new one takes its place"
        ));
        assert!(!others.is_empty());
        for guest in &others {
            rig.guests[guest - 1].must_reach(&format!("10.0.0.{}", others[0]));
            rig.guests[guest - 1].must_reach("10.0.0.100");
        }
        rig.recovers();
    }
    let freed = "a worker that hung has ended: its links are opened again";
    assert_eq!(rig.switch.log().matches(freed).count(), 2, "{}", rig.switch.log());
    assert_eq!(rig.switch.pid(), pid);
}
