"""A run inside of network and mount namespaces of its own: nothing that it makes there outlives its processes, however they
end, and no name there is anybody else's."""

import os
import shutil
import sys
from collections.abc import Sequence

from datamodel.errors import Transient
from sim.chaos.sites.network import run

TOOLS = ("ip", "iptables", "tc", "mount", "nsenter", "unshare")
INSIDE = "TENDRIL_CHAOS_INSIDE"
"""Set for a run that is inside."""
_OWN = ("unshare", "--net", "--mount", "--propagation", "private")


def is_inside() -> bool:
    """Whether this program is there. Its loopback device works from then on."""
    if inside := INSIDE in os.environ:
        run("ip", "link", "set", "lo", "up")
    return inside


def unavailable() -> str | None:
    """Why this run cannot have namespaces of its own; None where it can."""
    if os.geteuid() != 0:
        return "who runs it is not root"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"{', '.join(missing)} not installed"
    try:
        run(*_OWN, "true")
    except Transient as error:
        return error.message
    return None


def enter(module: str, arguments: Sequence[str]) -> None:
    """Becomes the same program inside. Does not return."""
    sys.stdout.flush()
    os.environ[INSIDE] = "1"
    os.execvp(_OWN[0], (*_OWN, sys.executable, "-m", module, *arguments))  # noqa: S606 - no shell sees it
