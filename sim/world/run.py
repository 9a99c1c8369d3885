"""Runs a script's world, with the programs' logs: what they log as errors is a violation. That something is made good which a
feed missed is none where the script has some of it swallowed."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.typing import EventDict, WrappedLogger

from agents.comparing import MADE_GOOD as AT_AGENT
from reconcilers.digests import MADE_GOOD as AT_HUB
from sim.world.script import Script, Swallow
from sim.world.world import Outcome, World


def run(script: Script, *, lines: list[str] | None = None) -> Outcome:
    """What became of a world. `lines` gets what its programs log, with the virtual time."""
    world = World(script)
    with _listening(world, lines):
        return world.run()


@contextmanager
def _listening(world: World, lines: list[str] | None) -> Iterator[None]:
    swallows = any(isinstance(action, Swallow) for action in world.outcome.script.actions)

    def hear(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
        who = getattr(asyncio.get_running_loop(), "name", "")
        error = event.pop("exc_info", None)
        said = " ".join([str(event.pop("event")), *(f"{name}={value}" for name, value in sorted(event.items()))])
        if lines is not None:
            lines.append(f"{world.now_s:10.3f} {who}: {level}: {said}")
        if level in ("error", "critical") and not (swallows and said.startswith((AT_AGENT, AT_HUB))):
            world.outcome.broken.append(f"{who} logged: {said}{f': {error!r}' if error else ''}")
        raise structlog.DropEvent

    level = logging.INFO if lines is not None else logging.ERROR
    structlog.configure(
        processors=[structlog.processors.ExceptionRenderer(), hear],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
