"""Where in the kernel's unified hierarchy (cgroup v2) this agent may make groups for its steps."""

import os
from pathlib import Path
from typing import NamedTuple

_NEEDED = ("cpu", "memory", "pids")
_AGENT = "agent"
_TOP = "tendril"


class Delegation(NamedTuple):
    """`group` is the directory to make groups in, `reason` says why there is none."""

    group: Path | None
    reason: str = ""


class Place(NamedTuple):
    """A group of the unified hierarchy, below the `top` of what is mounted of it."""

    top: Path
    group: Path


def delegate() -> Delegation:
    """Finds and prepares the directory.

    That is the group that this process is in, where it is alone there and may write (a unit with `Delegate=yes`): then it moves
    into `agent` below, since a group that divides its resources holds no processes. Root makes `tendril` at the top otherwise.
    An agent that is started again finds the same.
    """
    place = place_of(_text("/proc/self/cgroup"), _text("/proc/self/mountinfo"))
    if place is None:
        return Delegation(None, "no cgroup v2 hierarchy is mounted")
    missing = missing_controllers(_text(place.top / "cgroup.controllers"))
    if missing:
        return Delegation(None, f"cgroup v2 has no controller for {missing} here: the host uses cgroup v1, or both")
    try:
        return Delegation(_prepared(place))
    except OSError as error:
        return Delegation(None, f"no cgroup of this agent's own: {error.strerror} ({error.filename})")


def place_of(cgroup: str, mountinfo: str) -> Place | None:
    """Where a process is, by its `/proc/self/cgroup` and `/proc/self/mountinfo` (proc(5)); None where nothing of the unified
    hierarchy is mounted that it is in."""
    groups = [line[3:] for line in cgroup.splitlines() if line.startswith("0::/")]
    for fields, kind in (line.split(" - ", 1) for line in mountinfo.splitlines() if " - cgroup2 " in line):
        _, _, _, root, mount, *_ = fields.split(" ")
        for group in groups:
            if kind.startswith("cgroup2 ") and Path(group).is_relative_to(root) and ".." not in Path(group).parts:
                return Place(Path(mount), Path(mount) / Path(group).relative_to(root))
    return None


def missing_controllers(controllers: str) -> str:
    """Those that limits need and a `cgroup.controllers` file does not name, as a list for people."""
    return ", ".join(name for name in _NEEDED if name not in controllers.split())


def _prepared(place: Place) -> Path:
    if place.group.name == _AGENT and place.group != place.top:
        group = place.group.parent
    elif place.group != place.top and _text(place.group / "cgroup.procs").split() == [str(os.getpid())]:
        group = place.group
        (group / _AGENT).mkdir(exist_ok=True)
        (group / _AGENT / "cgroup.procs").write_text("0", encoding="ascii")
    else:
        group = place.top / _TOP
        _divide(place.top)
        group.mkdir(exist_ok=True)
    _divide(group)
    return group


def _divide(group: Path) -> None:
    control = group / "cgroup.subtree_control"
    if missing_controllers(_text(control)):
        control.write_text(" ".join(f"+{name}" for name in _NEEDED), encoding="ascii")


def _text(path: Path | str) -> str:
    return Path(path).read_text(encoding="utf-8")
