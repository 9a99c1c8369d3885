"""The disk that an engine keeps everything on."""

import os
from pathlib import Path

import docker

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
