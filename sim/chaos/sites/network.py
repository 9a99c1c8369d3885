"""Network namespaces and the lines between them. The run's own namespace is the hub's; all go with the run."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Literal, Self

from datamodel.errors import Transient
from deploy.local import tether

Direction = Literal["up", "down"]
"""Up is from the site to the hub."""
DEVICE = "wan"
"""The line's end in a site."""
_DELAYED = re.compile(r"overlimits (\d+)")
_LINES = range(1, 255)
_numbers = iter(_LINES)
_TIMEOUT_S = 10.0
_BURST_BYTES = 4096
_QUEUE_MS = 400


def addresses() -> list[str]:
    """All at which the hub may be found from somewhere."""
    return [f"10.77.{number}.1" for number in _LINES]


def own_place() -> str:
    """What /proc/self/ns/net is for this program."""
    return str(Path("/proc/self/ns/net").readlink())


def run(*argv: str) -> str:
    """What a command prints. Raises `Transient` with what it complains of where it fails."""
    done = subprocess.run(  # noqa: S603 - no shell sees it
        argv, capture_output=True, check=False, text=True, timeout=_TIMEOUT_S
    )
    if done.returncode:
        raise Transient(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Namespace:
    """One that lives for as long as its keeper, a process of ours that dies with us, or anything else in it."""

    def __init__(self) -> None:
        tethered = (sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(int(SIGKILL)))
        self._keeper = subprocess.Popen(  # noqa: S603 - no shell sees it
            (*tethered, "unshare", "--net", "sh", "-c", "echo made; exec sleep infinity"), stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None, "it is piped"
        if self._keeper.stdout.readline() != b"made\n":
            raise Transient("no network namespace was made")
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> int:
        """Of a process in it."""
        return self._keeper.pid

    @property
    def place(self) -> str:
        """What /proc/self/ns/net is for everything in it."""
        return str(Path(f"/proc/{self.pid}/ns/net").readlink())

    @property
    def inside(self) -> tuple[str, ...]:
        """What stands before a command to have it run here."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    def run(self, *argv: str) -> str:
        return run(*self.inside, *argv)

    def close(self) -> None:
        self._keeper.kill()
        self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()


@dataclass(slots=True)
class Line:
    """Between the hub and a namespace, each with one end. Packets are dropped where they arrive, so that no sender knows."""

    namespace: Namespace
    device: str
    hub: str
    """The hub's address there."""
    dropped: int = 0
    """Packets that were, since the line was laid; counted when it is healed."""
    delayed: int = 0
    """How often one had to wait for its turn, since then; counted when it is healed."""

    @classmethod
    def laid(cls, namespace: Namespace) -> Self:
        """A new one. Raises `Transient` where it cannot be, `StopIteration` beyond the last."""
        number = next(_numbers)
        line = cls(namespace, f"line-{number}", f"10.77.{number}.1")
        run("ip", "link", "add", line.device, "type", "veth", "peer", "name", DEVICE, "netns", str(namespace.pid))
        run("ip", "address", "add", f"{line.hub}/24", "dev", line.device)
        run("ip", "link", "set", line.device, "up")
        namespace.run("ip", "address", "add", f"10.77.{number}.2/24", "dev", DEVICE)
        namespace.run("ip", "link", "set", DEVICE, "up")
        for direction, device in (("up", line.device), ("down", DEVICE)):
            chain = line._chain(direction)
            line._at(direction, "iptables", "-w", "-N", chain)
            line._at(direction, "iptables", "-w", "-A", "INPUT", "-i", device, "-j", chain)
        return line

    @property
    def hindered(self) -> int:
        """Packets that did not go through at once, if at all."""
        return self.dropped + self.delayed

    def cut(self, *directions: Direction) -> None:
        """Nothing goes through any more."""
        for direction in directions:
            self._at(direction, "iptables", "-w", "-A", self._chain(direction), "-j", "DROP")

    def lose(self, share: float) -> None:
        """Both ways, this share of all packets is lost, whichever it hits."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", str(share))
        for direction in ("up", "down"):
            self._at(direction, "iptables", "-w", "-A", self._chain(direction), *chance, "-j", "DROP")

    def slow(self, bits_per_s: int) -> None:
        """Both ways, no more than that goes through."""
        rate = ("tbf", "rate", f"{bits_per_s}bit", "burst", str(_BURST_BYTES), "latency", f"{_QUEUE_MS}ms")
        run("tc", "qdisc", "replace", "dev", self.device, "root", *rate)
        self.namespace.run("tc", "qdisc", "replace", "dev", DEVICE, "root", *rate)

    def heal(self) -> None:
        """All goes through again."""
        for direction in ("up", "down"):
            chain = self._chain(direction)
            counted = self._at(direction, "iptables", "-w", "-nvxL", chain).splitlines()[2:]
            self.dropped += sum(int(rule.split()[0]) for rule in counted)
            self._at(direction, "iptables", "-w", "-F", chain)
        for at, device in ((run, self.device), (self.namespace.run, DEVICE)):
            self.delayed += sum(map(int, _DELAYED.findall(at("tc", "-s", "qdisc", "show", "dev", device))))
            at("tc", "qdisc", "replace", "dev", device, "root", "pfifo_fast")

    def _at(self, direction: str, *argv: str) -> str:
        return run(*argv) if direction == "up" else self.namespace.run(*argv)

    def _chain(self, direction: str) -> str:
        return f"{direction}-{self.device}"
