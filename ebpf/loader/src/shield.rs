//! A program behind the packet taps of a bridge port, on its tc ingress hook, that drops everything.
//!
//! What a port's frames reach packet sockets for must not be answered by the host's stack: taps and sockets
//! see a frame first, and the tc hook comes next. So it is for the TAP of a guest, whose frames a packet
//! socket takes, and for a port that somebody taps, whose sockets are out of the XDP program's map meanwhile.

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions},
};
use rustix::io::Errno;
use weft_ebpf_abi::program;

use crate::{AttachError, Attached, Object, refusal::program_errno};

/// The program on one interface. Dropping it lets the host's stack see frames again.
#[derive(Debug)]
pub struct Shield {
    #[expect(dead_code, reason = "it is held, not used: dropping it detaches")]
    link: SchedClassifierLink,
    is_tcx: bool,
}

impl Shield {
    /// Keeps the frames of an interface of this network namespace from the host's stack.
    ///
    /// # Errors
    /// [`AttachError::Shield`]: what the kernel says.
    pub fn raise(object: &Object, ifname: &str) -> Result<Self, AttachError> {
        object.with_drop(|classifier| attach_drop(classifier, ifname)).map_err(|source| {
            AttachError::Shield { ifname: ifname.to_owned(), source: Box::new(source.into()) }
        })
    }

    /// Whether it ends with the process, however that ends. Without tcx (Linux 6.6) it is a filter of tc, which
    /// a process that is killed leaves behind.
    #[must_use]
    pub const fn is_tcx(&self) -> bool {
        self.is_tcx
    }
}

impl Attached {
    /// From now on what the XDP program passes ends behind the packet taps. A second time is no error. The
    /// shield ends with [`Attached::unshield_host`] or with this value, hence with the process.
    ///
    /// # Errors
    /// [`AttachError::Shield`]: what the kernel says.
    pub fn shield_host(&mut self, ifname: &str) -> Result<(), AttachError> {
        if self.shield.is_none() {
            self.shield = Some(Shield::raise(self.nic.object(), ifname)?);
        }
        Ok(())
    }

    /// What the XDP program passes reaches the host's stack again.
    pub fn unshield_host(&mut self) {
        self.shield = None;
    }
}

fn attach_drop(classifier: &mut SchedClassifier, ifname: &str) -> Result<Shield, ProgramError> {
    match attach_tcx(classifier, ifname) {
        // The word of a kernel that does not know this kind of link.
        Err(error) if program_errno(&error) == Some(Errno::INVAL) => {
            attach_filter(classifier, ifname)
        }
        done => done,
    }
}

fn attach_tcx(classifier: &mut SchedClassifier, ifname: &str) -> Result<Shield, ProgramError> {
    let order = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = classifier.attach_with_options(ifname, TcAttachType::Ingress, order)?;
    Ok(Shield { link: classifier.take_link(id)?, is_tcx: true })
}

fn attach_filter(classifier: &mut SchedClassifier, ifname: &str) -> Result<Shield, ProgramError> {
    // It is there already, or the attachment says what is wrong.
    let _ = tc::qdisc_add_clsact(ifname);
    // One that a process left behind would outlive ours; most often there is none.
    let _ = tc::qdisc_detach_program(ifname, TcAttachType::Ingress, program::DROP);
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let id = classifier.attach_with_options(ifname, TcAttachType::Ingress, options)?;
    Ok(Shield { link: classifier.take_link(id)?, is_tcx: false })
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsFd as _, process::Command};

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    use super::*;

    fn run(command: &str) -> String {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn filters() -> usize {
        let list = run("tc filter show dev v0 ingress");
        list.lines().filter(|line| line.contains(program::DROP)).count()
    }

    /// What kernels before tcx get: one filter, whatever was left behind, and none when it is dropped.
    #[test]
    fn without_tcx_it_is_one_filter() {
        let thread = std::thread::spawn(|| {
            if !rustix::process::geteuid().is_root() {
                assert_ne!(std::env::var("WEFT_REQUIRE_NETNS").as_deref(), Ok("1"), "needs root");
                eprintln!("\n*** SKIPPED: this test needs root ***\n");
                return;
            }
            let netns = format!("weft-shield-{}", std::process::id());
            run(&format!("ip netns add {netns}"));
            let file = std::fs::File::open(format!("/run/netns/{netns}")).unwrap();
            // This thread keeps it.
            run(&format!("ip netns del {netns}"));
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            run("ip link add v0 type veth peer name v1");
            let object = Object::load(false).unwrap();
            let raise = || object.with_drop(|classifier| attach_filter(classifier, "v0")).unwrap();
            let left_behind = raise();
            assert!(!left_behind.is_tcx() && filters() == 1);
            std::mem::forget(left_behind);
            let shield = raise();
            assert_eq!(filters(), 1);
            drop(shield);
            assert_eq!(filters(), 0);
        });
        thread.join().unwrap();
    }
}
