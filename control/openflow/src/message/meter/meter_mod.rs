//! Requests that change meters, as messages, and what replies say of how meters are made.

use crate::message::wire::{Done, Layout, Width, Wire};
use weft_flow::request::{Band, MeterCommand, MeterFlags, MeterMod, Refusal};
use weft_flow::{Meter, MeterId};

fn flags(wire: &mut Wire<'_>, flags: &mut MeterFlags) -> Done {
    let mut rows = [
        (1, &mut flags.kbps),
        (1 << 1, &mut flags.pktps),
        (1 << 2, &mut flags.burst),
        (1 << 3, &mut flags.stats),
    ];
    wire.flags(Width::U16, &mut rows, Some(Refusal::MeterBadFlags))
}

const DROP: u16 = 1;
const DSCP_REMARK: u16 = 2;

impl Layout for Band {
    fn blank() -> Self {
        Self::Drop { rate: 0, burst: 0 }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let (mut kind, mut rate, mut burst, mut levels) = match *self {
            Self::Drop { rate, burst } => (DROP, rate, burst, 0),
            Self::DscpRemark { rate, burst, levels } => (DSCP_REMARK, rate, burst, levels),
        };
        wire.block(2, |wire| {
            wire.u16(&mut kind)?;
            wire.length()?;
            wire.u32(&mut rate)?;
            wire.u32(&mut burst)?;
            match kind {
                DROP => wire.pad(4)?,
                DSCP_REMARK => {
                    wire.u8(&mut levels)?;
                    wire.pad(3)?;
                }
                _ => return Err(Refusal::BadBand),
            }
            Ok(())
        })?;
        *self = if kind == DROP {
            Self::Drop { rate, burst }
        } else {
            Self::DscpRemark { rate, burst, levels }
        };
        Ok(())
    }
}

impl Layout for MeterMod {
    fn blank() -> Self {
        let (command, flags) = (MeterCommand::Add, MeterFlags::default());
        Self { command, id: MeterId(0), flags, bands: Box::default() }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        use MeterCommand::{Add, Delete, Modify};
        let rows = [(0, Add), (1, Modify), (2, Delete)];
        wire.choice(Width::U16, &mut self.command, &rows, Refusal::MeterBadCommand)?;
        if wire.is_reading() && self.command == Delete {
            // Whatever else it says.
            wire.pad(2)?;
            wire.u32(&mut self.id.0)?;
            wire.skip_rest();
            return Ok(());
        }
        flags(wire, &mut self.flags)?;
        wire.u32(&mut self.id.0)?;
        wire.boxed(&mut self.bands)?;
        if wire.is_reading() { check(self) } else { Ok(()) }
    }
}

/// What must be true of a request whatever meters there are.
fn check(request: &MeterMod) -> Done {
    let special = match request.id {
        MeterId::SLOWPATH | MeterId::CONTROLLER => true,
        id => id > MeterId(0) && id <= MeterId::MAX,
    };
    if !special {
        return Err(Refusal::InvalidMeter);
    }
    if request.flags.kbps && request.flags.pktps {
        return Err(Refusal::MeterBadFlags);
    }
    Ok(())
}

/// A meter as a reply describes it.
pub(crate) struct Config(pub(crate) Meter);

impl Layout for Config {
    fn blank() -> Self {
        Self(Meter { id: MeterId(0), flags: MeterFlags::default(), bands: Box::default() })
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let meter = &mut self.0;
        wire.block(0, |wire| {
            wire.length()?;
            flags(wire, &mut meter.flags)?;
            wire.u32(&mut meter.id.0)?;
            wire.boxed(&mut meter.bands)
        })
    }
}
