"""The disk that an engine keeps everything on."""

import os
from pathlib import Path

import docker
from msgspec.structs import replace

from agents.runtimes.protocol import Observed

_LEAST_BYTES = 64 * 1024
"""With less, an engine that is not the disk's favoured user can write next to nothing."""


def disk_of(client: docker.APIClient) -> Path | None:
    """Where the engine keeps what it has; None where that is another host's. Blocks."""
    if client.base_url != "http+docker://localhost":  # the package's word for a socket of this host
        return None
    told = client.info().get("DockerRootDir")
    return Path(told) if told else None


def is_full(disk: Path) -> bool:
    """Whether next to nothing can be written there. Where nobody can tell, it is not. Blocks."""
    try:
        found = os.statvfs(disk)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _LEAST_BYTES


class Shortages:
    """Which steps may have written something while the disk was full. An engine drops that, and may keep nothing more of
    theirs once there is room again."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()

    def add(self, attempt: str, index: int) -> None:
        """The disk was found full when the output of a step was read."""
        self._seen.add((attempt, index))

    def told(self, found: Observed) -> Observed:
        """The attempt, whose output may be cut in such steps that have ended."""
        steps = enumerate(found.steps)
        cut = [step.phase == "exited" and (found.attempt, index) in self._seen for index, step in steps]
        if not any(cut):
            return found
        pairs = zip(found.steps, cut, strict=True)
        return replace(found, steps=tuple(replace(step, is_cut=True) if is_cut else step for step, is_cut in pairs))

    def forget(self, attempt: str) -> None:
        self._seen = {one for one in self._seen if one[0] != attempt}
