"""Which program a fault is done to."""

from sim.chaos.faults.fault import System

PROGRAMS = ("agent", "reconcilers", "gateway")
"""Those that are Python."""
VICTIMS = (*PROGRAMS, "nats", "postgres")


def chosen(victim: str, system: System) -> str:
    """The program's name at the machine: of the agents, one at random."""
    return system.random.choice(system.machine.edges) if victim == "agent" else victim
