"""Servers that take turns at the same requests, since hours of a machine differ by more than they do: each turn is compared
with the others of its round only.

The load is closed: so many clients each send as soon as they were answered.
"""

import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.report import latencies, rotated, spread

CLIENTS = (1, 8, 64)
ROUNDS = 10
TURN_S = 0.5
READY = 200
"""Requests that are made before a turn, and sent again and again."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, each time of another node, and how many of the floor's requests a second the gateway is to answer, where
    that is said."""

    request: Callable[[Client, random.Random], bytes]
    aim_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A server of one process, and where it listens. One that speaks otherwise than what it stands beside says how it is asked,
    and what the other's answer would be for one of its own."""

    port: int
    pid: int
    request: Callable[[Client, random.Random], bytes] | None = None
    as_others: Callable[[Any], Any] = lambda answer: answer

    def cpu_s(self) -> float:
        """What the process has spent so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one server carried, and what its process spent on a request."""

    per_s: float
    p99_ms: float
    cpu_us: float


async def compared(
    question: Question, servers: Mapping[str, Served], *, rounds: int = ROUNDS, turn_s: float = TURN_S
) -> dict[str, Any]:
    """Of the first server and of what stands beside it: requests a second, p99, and CPU of the process for a request, medians
    over the rounds with the least and the most; and what part of the other's rate is the first one's in the same round, in
    percent. CPU differs least where other work runs on the machine."""
    figures: dict[str, Any] = {}
    for clients in CLIENTS:
        figures[f"at{clients}"] = await _compared(question, servers, clients, rounds, turn_s)
    return figures


async def _compared(
    question: Question, servers: Mapping[str, Served], clients: int, rounds: int, turn_s: float
) -> dict[str, Any]:
    for server in servers.values():
        await turn(question, server, clients, turn_s / 3)  # the first requests cost more
    turns: dict[str, list[Turn]] = {name: [] for name in servers}
    for number in range(rounds):
        for name in rotated(list(servers), number):
            turns[name].append(await turn(question, servers[name], clients, turn_s))
    measured, floor = turns.values()
    figures: dict[str, Any] = {}
    for name, taken in turns.items():
        figures[f"{name}PerS"] = spread([one.per_s for one in taken])
        figures[f"{name}P99Ms"] = spread([one.p99_ms for one in taken])
        figures[f"{name}CpuUs"] = spread([one.cpu_us for one in taken])
    part = [100 * mine.per_s / its.per_s for mine, its in zip(measured, floor, strict=True)]
    figures["percent"] = spread(part)
    if question.aim_percent is not None:
        figures |= {"aim": question.aim_percent, "held": statistics.median(part) >= question.aim_percent}
    return figures


async def turn(question: Question, server: Served, clients: int, seconds: float) -> Turn:
    """So many clients for so long."""
    client, took_s = Client(HOST, server.port), list[float]()
    dice = random.Random(clients)  # noqa: S311 - of which nodes are asked for
    request = server.request or question.request
    ready = [request(client, dice) for _ in range(READY)]

    async def ask() -> None:
        while (sent := time.perf_counter()) < end:
            await client.send(ready[len(took_s) % READY])
            took_s.append(time.perf_counter() - sent)

    await client.open(clients)
    with contextlib.closing(client):
        began, spent_s = time.perf_counter(), server.cpu_s()
        end = began + seconds
        await asyncio.gather(*(ask() for _ in range(clients)))
        lasted_s, spent_s = time.perf_counter() - began, server.cpu_s() - spent_s
    return Turn(len(took_s) / lasted_s, latencies(took_s)["p99"], spent_s / len(took_s) * 1e6)
