//! Which parts of the engine go to whom: one entry for each family of commands, and for each errand.

use crate::command::{
    absent, datapath, fault, fdb, flows, general, mdb, metrics, net, pmd, stp, tnl, trace, weft,
};
use crate::engine::Engine;
use crate::engine::count;
use crate::engine::errand::{Counters, Counting};
use crate::engine::moving;
use crate::engine::parts::Lend;
use crate::engine::probing;
use crate::lower::publish::Publisher;
use crate::report::seen::Seen;
use crate::trace::explain::Source;

impl Lend<Counting> for Engine {
    fn lend(&mut self) -> Counters<'_> {
        Counters { ids: &self.lower.ids, workers: &mut self.lower.workers }
    }
}

impl Lend<count::Statistics> for Engine {
    fn lend(&mut self) -> count::Parts<'_> {
        let Self { config, plan, host, underlay, lower, protocols, reported, views, .. } = self;
        count::Parts {
            written: &mut reported.counters,
            rates: &mut views.rates,
            seen: Seen::of(config, plan, host, underlay, protocols),
            ids: &lower.ids,
            workers: &mut lower.workers,
        }
    }
}

impl Lend<probing::Probing> for Engine {
    fn lend(&mut self) -> probing::Parts<'_> {
        probing::Parts { probe: &mut self.underlay.hop_probe, kernel: &mut self.host.kernel }
    }
}

impl Lend<moving::Moving> for Engine {
    fn lend(&mut self) -> Publisher<'_> {
        self.publisher()
    }
}

impl Lend<general::General> for Engine {
    fn lend(&mut self) -> general::Parts<'_> {
        general::Parts {
            vlog: &mut self.daemon.vlog,
            coverage: &self.views.coverage,
            plan: &self.plan,
            links: &self.host.links,
            workers: &mut self.lower.workers,
        }
    }
}

impl Lend<fdb::Fdb> for Engine {
    fn lend(&mut self) -> fdb::Parts<'_> {
        fdb::Parts {
            desired: &self.config.desired,
            plan: &self.plan,
            ids: &self.lower.ids,
            workers: &mut self.lower.workers,
        }
    }
}

impl Lend<mdb::Groups> for Engine {
    fn lend(&mut self) -> mdb::Parts<'_> {
        mdb::Parts {
            desired: &self.config.desired,
            plan: &self.plan,
            ids: &self.lower.ids,
            snooping: &mut self.protocols.snooping,
        }
    }
}

impl Lend<datapath::Datapaths> for Engine {
    fn lend(&mut self) -> datapath::Parts<'_> {
        datapath::Parts {
            desired: &self.config.desired,
            plan: &self.plan,
            links: &self.host.links,
            ids: &self.lower.ids,
            workers: &mut self.lower.workers,
        }
    }
}

impl Lend<metrics::Metrics> for Engine {
    fn lend(&mut self) -> metrics::Parts<'_> {
        metrics::Parts {
            desired: &self.config.desired,
            plan: &self.plan,
            kernel: &self.host.kernel,
            links: &self.host.links,
            ids: &self.lower.ids,
            workers: &mut self.lower.workers,
            epoch: self.lower.epoch,
            turns: &self.views.turns,
        }
    }
}

impl Lend<net::Net> for Engine {
    fn lend(&mut self) -> net::Parts<'_> {
        net::Parts { kernel: &mut self.host.kernel, paths: &self.underlay.paths }
    }
}

impl Lend<stp::Trees> for Engine {
    fn lend(&mut self) -> stp::Parts<'_> {
        stp::Parts { spanning: &mut self.protocols.spanning }
    }
}

impl Lend<tnl::Tunnels> for Engine {
    fn lend(&mut self) -> tnl::Parts<'_> {
        let Self { config, plan, host, lower, protocols, views, .. } = self;
        tnl::Parts {
            kernel: &host.kernel,
            publisher: Publisher {
                desired: &config.desired,
                plan,
                gates: &protocols.spanning,
                links: &mut host.links,
                lower,
                coverage: &mut views.coverage,
            },
        }
    }
}

impl Lend<pmd::Threads> for Engine {
    fn lend(&mut self) -> pmd::Parts<'_> {
        let Self { config, plan, host, lower, protocols, views, .. } = self;
        pmd::Parts {
            cleared: &mut views.cleared,
            publisher: Publisher {
                desired: &config.desired,
                plan,
                gates: &protocols.spanning,
                links: &mut host.links,
                lower,
                coverage: &mut views.coverage,
            },
        }
    }
}

impl Lend<flows::Flows> for Engine {
    fn lend(&mut self) -> flows::Parts<'_> {
        flows::Parts {
            source: Source {
                desired: &self.config.desired,
                plan: &self.plan,
                links: &self.host.links,
                ids: &self.lower.ids,
                spanning: &self.protocols.spanning,
                snapshot: &self.lower.snapshot,
            },
            workers: &mut self.lower.workers,
            bridges_since: &self.lower.bridges_since,
        }
    }
}

impl Lend<trace::Trace> for Engine {
    fn lend(&mut self) -> trace::Parts<'_> {
        trace::Parts {
            source: Source {
                desired: &self.config.desired,
                plan: &self.plan,
                links: &self.host.links,
                ids: &self.lower.ids,
                spanning: &self.protocols.spanning,
                snapshot: &self.lower.snapshot,
            },
            snooping: &self.protocols.snooping,
            workers: &mut self.lower.workers,
        }
    }
}

impl Lend<absent::Absent> for Engine {
    fn lend(&mut self) -> absent::Parts<'_> {
        absent::Parts { desired: &self.config.desired, plan: &self.plan }
    }
}

impl Lend<fault::Faults> for Engine {
    fn lend(&mut self) -> fault::Parts<'_> {
        fault::Parts { workers: &self.lower.workers }
    }
}

impl Lend<weft::Weft> for Engine {
    fn lend(&mut self) -> weft::Parts<'_> {
        let Self { config, plan, host, underlay, lower, protocols, views, daemon, .. } = self;
        weft::Parts {
            seen: Seen::of(config, plan, host, underlay, protocols),
            paths: &underlay.paths,
            ids: &lower.ids,
            workers: &mut lower.workers,
            epoch: lower.epoch,
            snooping: &protocols.snooping,
            rates: &mut views.rates,
            turns: &views.turns,
            storage: &daemon.storage,
        }
    }
}
