"""Network namespaces in tests, and `python -m tests.namespaces`: what goes through a line as it is harmed and healed.

The program needs a network namespace of its own, which `unshare --net` gives it. It prints a document, then waits to be killed.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable

import pytest

from sim.chaos.entering import unavailable
from sim.chaos.sites.network import Line, Namespace, run

PORT = 7000
SENT = 200
"""Fewer than a socket holds by default."""
_SEND = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as site:
    for _ in range(int(sys.argv[3])):
        site.sendto(b"x" * 100, (sys.argv[1], int(sys.argv[2])))
"""
_QUIET_S = 0.3


def need_namespaces() -> None:
    """Skips the test where namespaces cannot be made, or fails it where the run must have them."""
    if reason := unavailable():
        if os.environ.get("TENDRIL_REQUIRE_NAMESPACES") == "1":
            pytest.fail(f"TENDRIL_REQUIRE_NAMESPACES=1, and there are none: {reason}")
        pytest.skip(f"no network namespaces; run this as root, with iproute2 and iptables: {reason}")


def main() -> None:
    run("ip", "link", "set", "lo", "up")
    namespace = Namespace()
    line = Line.laid(namespace)
    found = {"whole": _arrived(line)}
    harms: dict[str, Callable[[], None]] = {
        "up": lambda: line.cut("up"),
        "down": lambda: line.cut("down"),
        "lossy": lambda: line.lose(0.3),
        "slow": lambda: line.slow(64_000),
    }
    for name, harm in harms.items():
        harm()
        found[name] = _arrived(line)
        line.heal()
    found |= {"healed": _arrived(line), "dropped": line.dropped, "delayed": line.delayed, "keeper": namespace.pid}
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()
    time.sleep(60)


def _arrived(line: Line) -> int:
    """How many datagrams of those that a site sends get to the hub."""
    with socket.socket(type=socket.SOCK_DGRAM) as hub:
        hub.bind((line.hub, PORT))
        line.namespace.run(sys.executable, "-c", _SEND, line.hub, str(PORT), str(SENT))
        hub.settimeout(_QUIET_S)
        count = 0
        try:
            while hub.recv(200):
                count += 1
        except TimeoutError:
            return count
    raise AssertionError("an empty datagram")


if __name__ == "__main__":
    main()
