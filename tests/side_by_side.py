"""How several workers of pytest-xdist share the tests: what must not run at the same time goes to one of them, and what takes
longest begins first.

Each worker is a process of its own, with servers of its own; what they share is the machine: its Docker engine, its ports
(`deploy/local/ports.py`), its memory file system. xdist's own groups do not know the node ids of pytest 9.2.
"""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ENGINE = "what uses the Docker engine"
SYSTEMS = "tests/acceptance/"
_USES_ENGINE = re.compile(r"docker|container")
_FIRST = (
    SYSTEMS,
    ENGINE,
    "tests/integration/",
    "tests/unit/test_world",
    "tests/world/",
    "tests/contract/",
    "tests/fuzz/",
)


class Sharing(LoadScopeScheduling):
    """Hands out units of tests, each to the next worker that has hardly anything left, in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # by the number of tests, which is not how long they take
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """What is run by one worker, one after the other: the tests of the engine, whole systems, or else a file."""
    if _USES_ENGINE.search(nodeid):
        return ENGINE
    return SYSTEMS if nodeid.startswith(SYSTEMS) else nodeid.partition("::")[0]


def turn_of(nodeid: str) -> int:
    """Lower ones begin earlier."""
    unit = unit_of(nodeid)
    return next((turn for turn, first in enumerate(_FIRST) if unit.startswith(first)), len(_FIRST))
