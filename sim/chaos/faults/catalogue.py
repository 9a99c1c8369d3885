"""All faults there are."""

from sim.chaos.faults.clock import JumpedClock
from sim.chaos.faults.clone import ClonedAgent
from sim.chaos.faults.compact import CompactedLog
from sim.chaos.faults.death import Killed, Restarted
from sim.chaos.faults.disk import FullDisk
from sim.chaos.faults.fault import Fault
from sim.chaos.faults.freeze import Frozen
from sim.chaos.faults.herd import Herd
from sim.chaos.faults.hosts import KilledAtSite
from sim.chaos.faults.leaf import KilledLeaf
from sim.chaos.faults.lines import CUT_LEAF, HARMS, HarmedLine
from sim.chaos.faults.restore import RestoredDatabase
from sim.chaos.faults.revocation import RevokedCredential
from sim.chaos.faults.rogue import Rogue
from sim.chaos.faults.victim import PROGRAMS, VICTIMS
from sim.chaos.faults.wipe import WipedFeed
from sim.chaos.sites.site import BEHIND_A_LEAF


def catalogue() -> dict[str, Fault]:
    """One of each by name, for one run."""
    faults: list[Fault] = [kind(victim) for kind in (Killed, Frozen, Restarted) for victim in VICTIMS]
    faults += [WipedFeed(), RestoredDatabase(), CompactedLog(), *(JumpedClock(victim) for victim in PROGRAMS)]
    faults += [*(HarmedLine(harm) for harm in HARMS), HarmedLine(CUT_LEAF, [BEHIND_A_LEAF]), KilledLeaf()]
    faults += [KilledAtSite("kill-site-agent", host=False), KilledAtSite("kill-host", host=True)]
    faults += [FullDisk(), ClonedAgent(), RevokedCredential(), Rogue(), Herd("nats"), Herd("reconcilers")]
    return {fault.name: fault for fault in faults}
