//! Sends packets: to ports, to controllers, into other bridges.

use crate::action::Controller;
use crate::program::{Context, Punt, Reason, Refused, Step, Target};
use crate::walk::state::Work;
use crate::walk::{DEPTH_MAX, Event, Fact, Note, PortFacts, Sink, Walk, outside};
use crate::{Bits, PortNo, Slot, TableId};

impl<S: Sink> Walk<'_, S> {
    pub(in crate::walk) fn output(&mut self, port: PortNo, max_len: u16, context: Context) {
        let bridge = self.state.tables.bridge();
        match port {
            PortNo::IN_PORT => self.send_to_ingress(context),
            PortNo::TABLE => self.lookup(TableId(0), true, context),
            PortNo::NORMAL => self.send(Target::Normal(bridge)),
            PortNo::FLOOD => {
                self.send(Target::Flood(bridge));
                self.flood_peers(|facts| !facts.no_flood, context);
            }
            PortNo::ALL => {
                self.send(Target::All(bridge));
                self.flood_peers(|_| true, context);
            }
            PortNo::CONTROLLER => {
                let punt = Controller { max_len, reason: u8::MAX, ..Controller::default() };
                self.controller(&punt, context);
            }
            PortNo::ANY | PortNo::UNSET => {}
            port => self.output_to(port, context),
        }
    }

    /// To a port, unless the packet came from there.
    fn output_to(&mut self, port: PortNo, context: Context) {
        if self.is_ingress(port) {
            self.note(Note::Ingress);
        } else {
            self.send_to(port, context);
        }
    }

    fn is_ingress(&mut self, port: PortNo) -> bool {
        self.read(Slot::InPort) == port.0.into()
    }

    fn send_to_ingress(&mut self, context: Context) {
        let _is_read = self.read(Slot::InPort);
        self.send_to(self.state.in_port(), context);
    }

    /// At most so many bytes of the packet.
    pub(in crate::walk) fn output_part(&mut self, port: PortNo, max_len: u32, context: Context) {
        let is_one_port = !port.is_reserved() || port == PortNo::IN_PORT;
        if !is_one_port {
            self.note(Note::NotTruncated(port));
            return;
        }
        let old = self.state.max_len;
        self.state.max_len = old.min(max_len);
        self.output(port, 0, context);
        self.state.max_len = old;
    }

    pub(in crate::walk) fn enqueue(&mut self, port: PortNo, queue: u32, context: Context) {
        let old = self.state.queue;
        self.state.queue = Some(queue);
        self.output(port, 0, context);
        self.state.queue = old;
    }

    /// To a port of this bridge, if it takes packets; behind a patch port is another bridge.
    fn send_to(&mut self, port: PortNo, context: Context) {
        let tables = self.state.tables;
        match self.port(port) {
            None => self.note(Note::NoPort(port)),
            Some(facts) if facts.no_forward => self.note(Note::NotForwarded(port)),
            Some(_) if tables.peer(port).is_some() => self.enter_peer(port, context),
            Some(_) => self.send(Target::Port(tables.bridge(), port)),
        }
    }

    fn send(&mut self, target: Target) {
        self.commit();
        let max_len = self.state.max_len;
        self.builder.push(Step::Send { target, max_len, is_last: false });
    }

    /// The patch ports of a flood.
    fn flood_peers(&mut self, takes: impl Fn(PortFacts) -> bool, context: Context) {
        let tables = self.state.tables;
        self.depends_on(Fact::PatchPorts);
        // What is pushed last is done first.
        for port in tables.patch_ports().iter().rev() {
            let is_taken = self.port(*port).is_some_and(|facts| takes(facts) && !facts.no_forward);
            if is_taken && !self.is_ingress(*port) {
                self.enter_peer(*port, context);
            }
        }
    }

    /// What goes into a patch port goes on in the bridge at its other end, with a copy.
    fn enter_peer(&mut self, port: PortNo, context: Context) {
        let (queue, max_len) = (self.state.queue, self.state.max_len);
        self.work.push(Work::Peer { port, queue, max_len, context });
    }

    /// The same, when its turn has come.
    pub(in crate::walk) fn arrive(&mut self, port: PortNo, depth: u16) -> bool {
        let Some((peer, in_port)) = self.state.tables.peer(port) else { return false };
        self.visited.note(Fact::Port(in_port).bucket(peer.bridge()));
        if depth >= DEPTH_MAX {
            self.fail(Refused::TooDeep);
            return false;
        }
        if peer.port(in_port).is_some_and(|facts| facts.no_receive) || !self.begin_scope() {
            return false;
        }
        self.state.tables = peer;
        self.event(|walk| Event::Bridge(walk.state.tables.bridge()));
        // What the other bridge knew of the packet is gone.
        for slot in (0..16).map(Slot::Reg).chain([Slot::Metadata]) {
            self.write(slot, Bits::new(0, slot.ones()));
        }
        self.clear_tunnel();
        self.clear_connection();
        self.state.set_stack(&[]);
        self.clear_actions();
        self.write(Slot::InPort, Bits::new(in_port.0.into(), Slot::InPort.ones()));
        let context = Context { depth, ..outside(Reason::Action) };
        self.work.push(Work::ActionSet { depth });
        self.work.push(Work::Lookup { table: TableId(0), honors_miss: true, context });
        true
    }

    /// Nothing goes along that says something of tunnels.  Of options, those that this packet lacks
    /// are not written: they are zero already in all that the mask takes, should anybody look.
    fn clear_tunnel(&mut self) {
        self.builder.push(Step::ClearTunnel);
        let options = (0..64).flat_map(|number| (0..8).map(move |word| (number, word)));
        let options = options.map(|(number, word)| Slot::TunMetadata(number, word));
        for slot in options.filter(|slot| self.state.key.get(*slot) != 0).collect::<Vec<_>>() {
            self.write_sent(slot, 0);
        }
        for slot in Slot::TUNNEL {
            self.write_sent(slot, 0);
        }
    }

    pub(in crate::walk) fn controller(&mut self, controller: &Controller, context: Context) {
        let continuation = if controller.pauses {
            self.note(Note::Pauses);
            Some(self.set_aside(None).into())
        } else {
            self.commit();
            None
        };
        let reason = match controller.reason {
            u8::MAX => context.reason as u8,
            reason => reason,
        };
        self.builder.punt(Punt {
            max_len: controller.max_len,
            controller_id: controller.controller_id,
            reason,
            is_miss: context.is_miss && reason == Reason::Action as u8,
            userdata: controller.userdata.clone(),
            meter: controller.meter,
            table: context.table,
            cookie: context.cookie,
            metadata: self.metadata(),
            continuation,
        });
    }

    /// To a controller, for another reason than an action.
    pub(in crate::walk) fn punt_for(
        &mut self,
        reason: Reason,
        controller_id: u16,
        context: Context,
    ) {
        let max_len = u16::MAX;
        let punt =
            Controller { max_len, controller_id, reason: reason as u8, ..Controller::default() };
        self.controller(&punt, context);
    }
}
