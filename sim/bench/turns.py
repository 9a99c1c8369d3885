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

from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.report import latencies, rotated, spread

CLIENTS = (1, 8, 64)
ROUNDS = 5
TURN_S = 1.0
READY = 200
"""Requests that are made before a turn, and sent again and again."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, each time of another node, and how many of the floor's requests a second the gateway is to answer."""

    request: Callable[[Client, random.Random], bytes]
    aim_percent: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What one server carried."""

    per_s: float
    p99_ms: float


async def compared(
    question: Question, ports: Mapping[str, int], *, rounds: int = ROUNDS, turn_s: float = TURN_S
) -> dict[str, Any]:
    """Of the first server, beside the others: requests a second and p99, medians over the rounds with the least and the most;
    and of the others' rates the first one's in the same round, in percent."""
    figures: dict[str, Any] = {}
    for clients in CLIENTS:
        figures[f"at{clients}"] = await _compared(question, ports, clients, rounds, turn_s)
    return figures


async def _compared(
    question: Question, ports: Mapping[str, int], clients: int, rounds: int, turn_s: float
) -> dict[str, Any]:
    for port in ports.values():
        await turn(question, port, clients, turn_s / 3)  # the first requests cost more
    turns: dict[str, list[Turn]] = {name: [] for name in ports}
    for number in range(rounds):
        for name in rotated(list(ports), number):
            turns[name].append(await turn(question, ports[name], clients, turn_s))
    measured, *floors = turns.values()
    figures: dict[str, Any] = {}
    for name, taken in turns.items():
        figures[f"{name}PerS"] = spread([one.per_s for one in taken])
        figures[f"{name}P99Ms"] = spread([one.p99_ms for one in taken])
    for floor in floors:
        part = [100 * mine.per_s / its.per_s for mine, its in zip(measured, floor, strict=True)]
        figures |= {"percent": spread(part), "aim": question.aim_percent}
        figures["held"] = statistics.median(part) >= question.aim_percent
    return figures


async def turn(question: Question, port: int, clients: int, seconds: float) -> Turn:
    """So many clients for so long."""
    client, took_s = Client(HOST, port), list[float]()
    dice = random.Random(clients)  # noqa: S311 - of which nodes are asked for
    ready = [question.request(client, dice) for _ in range(READY)]

    async def ask() -> None:
        while (sent := time.perf_counter()) < end:
            await client.send(ready[len(took_s) % READY])
            took_s.append(time.perf_counter() - sent)

    await client.open(clients)
    with contextlib.closing(client):
        began = time.perf_counter()
        end = began + seconds
        await asyncio.gather(*(ask() for _ in range(clients)))
        return Turn(len(took_s) / (time.perf_counter() - began), latencies(took_s)["p99"])
