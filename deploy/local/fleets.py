"""What is wanted of agents beyond those that `tendril up` starts by itself, and how far it is: two files in its directory.

`fleets.json` is written by `tendril agents scale` and read by `tendril up`, which writes `run/fleets.json`. So what is wanted
outlives both, and an `up` that is started again goes on from it.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from datamodel.errors import Conflict

COUNT_LIMIT = 100
"""Agents of one site, on one machine."""
GROUP_LIMIT = 10_000
GRACE_LIMIT_S = 30 * 86_400


class Fleet(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """So many agents of a site, `agents-0` and on, and so many edges of each. What runs on those that go may go on for
    `grace_s` before it is moved elsewhere."""

    count: Annotated[int, msgspec.Meta(ge=0, le=COUNT_LIMIT)]
    runtime: Literal["auto", "docker", "kubernetes", "process", "simulated"] = "simulated"
    group_size: Annotated[int, msgspec.Meta(ge=1, le=GROUP_LIMIT)] = 1
    grace_s: Annotated[int, msgspec.Meta(ge=0, le=GRACE_LIMIT_S)] = 0

    def edges(self, number: int) -> list[str]:
        """Names of the edges of one of its agents, as that names them itself."""
        name = agent_name(number)
        return [name] if self.group_size == 1 else [f"{name}-{index}" for index in range(self.group_size)]


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """How far a fleet is: agents whose edges are all online, and agents that are about to go. `wanted` is what it was told, and
    `drained` are the numbers of agents that went, or are to go: their edges are drained until they come again. `begun` are
    those of agents that run; of an `up` that was killed, those that ran then."""

    wanted: Fleet
    online: int = 0
    leaving: int = 0
    drained: tuple[int, ...] = ()
    begun: tuple[int, ...] = ()

    @property
    def is_reached(self) -> bool:
        return self.online == self.wanted.count and not self.leaving


Fleets = dict[str, Fleet]
"""By site."""

_fleets = msgspec.json.Decoder(Fleets).decode
_standings = msgspec.json.Decoder(dict[str, Standing]).decode


def agent_name(number: int) -> str:
    return f"agents-{number}"


def wanted_fleets(home: Path) -> Fleets:
    """What is wanted. Raises `Conflict` where the file is no such thing."""
    try:
        return _fleets(_wanted(home).read_bytes())
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise Conflict(f"{_wanted(home)} says nothing that can be wanted of agents: {error}") from error


def want(home: Path, site: str, fleet: Fleet) -> None:
    """Has a fleet be so from now on. Raises `Conflict` where nothing is up in the directory, or the groups of agents that there
    are would get another size or runtime: an agent's edges are its own."""
    if not is_up(home):
        raise Conflict(f"nothing is up in {home}: run `tendril up`, or set TENDRIL_HOME to its directory")
    with (home / "fleets.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fleets = wanted_fleets(home)
        before = fleets.get(site)
        if before is not None and before.count and fleet.count and _kind(before) != _kind(fleet):
            raise Conflict(
                f"the agents of {site} have {before.group_size} edges each, {before.runtime}: scale it to 0 before they change"
            )
        if before is not None and not fleet.count:
            fleet = msgspec.structs.replace(before, count=0, grace_s=fleet.grace_s)
        _write(_wanted(home), {**fleets, site: fleet})


def tell(home: Path, standings: Mapping[str, Standing]) -> None:
    """Says how far all fleets are."""
    _write(home / "run" / "fleets.json", standings)


def told(home: Path) -> dict[str, Standing]:
    """What was said last."""
    try:
        return _standings((home / "run" / "fleets.json").read_bytes())
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}


def is_up(home: Path) -> bool:
    """Whether `tendril up` runs in the directory: then it has its lock."""
    try:
        with (home / "lock").open("r", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _kind(fleet: Fleet) -> tuple[str, int]:
    return fleet.runtime, fleet.group_size


def _wanted(home: Path) -> Path:
    return home / "fleets.json"


def _write(path: Path, content: object) -> None:
    """Whoever reads it meanwhile reads the one before."""
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(content))
    os.replace(new, path)  # noqa: PTH105 - over what is there
