"""What programs hold of this machine's memory, and what of its cores they use."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import psutil

from deploy.local.supervisor import Supervisor


def held(supervisor: Supervisor) -> dict[str, int]:
    """Bytes by child, its own children included: proportional set sizes, so that pages which several share are counted once in
    all, and files that are only cached not at all. Children that do not run hold nothing."""
    return {name: sum(map(_pss, family)) for name, family in _families(supervisor).items()}


def used_s(supervisor: Supervisor) -> dict[str, float]:
    """Seconds of a core by child since its start."""
    used: dict[str, float] = {}
    for name, family in _families(supervisor).items():
        used[name] = 0.0
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used[name] += times.user + times.system
    return used


def _families(supervisor: Supervisor) -> Mapping[str, list[psutil.Process]]:
    found: dict[str, list[psutil.Process]] = {}
    for name in supervisor.names:
        pid = supervisor.pid(name)
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid) if pid is not None else None
            found[name] = [parent, *parent.children(recursive=True)] if parent is not None else []
    return found


def _pss(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
