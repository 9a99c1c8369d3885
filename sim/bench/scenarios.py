"""What is measured. Every figure is from the client's request to a durable fact in the database or on the feed."""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from typing import Any

import msgspec

from datamodel.feed.bus import Bus
from datamodel.feed.follow import NatsFeed
from datamodel.ports import FeedItem, Message, Store, Synced
from datamodel.scheduling.jobs import FINISHED
from sim.bench.client import Client
from sim.bench.report import latencies
from sim.bench.waiting import done, until

CONNECTIONS = 64
BATCH = 500
BATCH_CONNECTIONS = 4


class _Phase(msgspec.Struct):
    phase: str = ""


_phase = msgspec.json.Decoder(_Phase).decode


def document(name: str, *, chunks: int = 1, work_ws: float = 0.0) -> dict[str, Any]:
    """A job whose chunks cost the simulated edges `work_ws` watt-seconds in all, and no CPU."""
    return {
        "name": name,
        "chunks": chunks,
        "workWs": work_ws,
        "requests": {"cpu": 0.1, "memoryBytes": 1_048_576, "powerW": 1},
        "steps": [{"name": "work", "image": "busybox:latest", "script": "true"}],
    }


async def one_job(client: Client, store: Store, chunks: int) -> dict[str, float]:
    """One job of many chunks: chunks a second from its submission until the last one is counted, and until the job says so."""
    began = time.perf_counter()
    name = f"one-{time.time_ns()}"
    await client.post("/v1/jobs", document(name, chunks=chunks))
    counted_s = await _counted(store, chunks, began)
    await until(lambda: _has_succeeded(client, name), "the job to succeed")
    return {
        "chunks": chunks,
        "chunksPerS": round(chunks / counted_s, 1),
        "seconds": round(counted_s, 3),
        "succeededAfterS": round(time.perf_counter() - began, 3),
    }


async def many_jobs(client: Client, store: Store, jobs: int) -> dict[str, float]:
    """Many jobs of one chunk, submitted 500 a request on 4 connections: chunks a second from the first submission until the
    last one is counted."""
    documents = _documents("many", jobs)
    requests = (
        client.post("/v1/jobs:batch", {"jobs": documents[first : first + BATCH]}) for first in range(0, jobs, BATCH)
    )
    return {"jobsPerRequest": BATCH, **await _submitted(store, jobs, requests, BATCH_CONNECTIONS)}


async def one_by_one(client: Client, store: Store, jobs: int) -> dict[str, float]:
    """Many jobs of one chunk, submitted with a request each on 64 connections: measured as `many_jobs` is."""
    requests = (client.post("/v1/jobs", job) for job in _documents("single", jobs))
    return {"jobsPerRequest": 1, **await _submitted(store, jobs, requests, CONNECTIONS)}


async def quiet(store: Store) -> None:
    """Returns when every job has finished. Raises `Transient` where that takes too long."""

    async def reached() -> bool:
        return (await store.count_by_phase("Job")).keys() <= FINISHED

    await until(reached, "every job to finish")


async def submit_to_running(client: Client, bus: Bus, *, jobs_per_s: int, seconds: int) -> dict[str, float]:
    """Jobs at a fixed rate that does not wait for answers: from sending the request until the feed shows the job running."""
    submitted: dict[str, float] = {}
    running: dict[str, float] = {}
    synced = asyncio.Event()

    def deliver(item: FeedItem) -> None:
        if isinstance(item, Synced):
            synced.set()
        elif isinstance(item, Message) and _phase(item.status).phase not in ("", "pending"):
            running.setdefault(item.path, time.perf_counter())

    follower = asyncio.create_task(NatsFeed(bus).follow(["/config/job-groups/default/jobs"], deliver))
    try:
        await synced.wait()
        run, tasks = time.time_ns(), []
        began = time.perf_counter()
        for number in range(jobs_per_s * seconds):
            name = f"paced-{run}-{number}"
            await asyncio.sleep(max(0.0, began + number / jobs_per_s - time.perf_counter()))
            submitted[f"/config/job-groups/default/jobs/{name}"] = time.perf_counter()
            tasks.append(asyncio.create_task(client.post("/v1/jobs", document(name, work_ws=2.0))))
        await asyncio.gather(*tasks)
        await until(done(lambda: submitted.keys() <= running.keys()), "every job to run")
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
    return latencies([running[path] - sent for path, sent in submitted.items()])


def _documents(prefix: str, jobs: int) -> list[dict[str, Any]]:
    run = time.time_ns()
    return [document(f"{prefix}-{run}-{number}") for number in range(jobs)]


async def _submitted(store: Store, jobs: int, requests: Iterator[Awaitable[Any]], connections: int) -> dict[str, float]:
    """The figures of so many jobs of one chunk, which these requests submit on so many connections."""
    before = await _succeeded(store)
    began = time.perf_counter()
    await _all(requests, connections)
    accepted_s = time.perf_counter() - began
    counted_s = await _counted(store, before + jobs, began)
    return {
        "jobs": jobs,
        "chunksPerS": round(jobs / counted_s, 1),
        "seconds": round(counted_s, 3),
        "acceptedPerS": round(jobs / accepted_s, 1),
    }


async def _counted(store: Store, chunks: int, began: float) -> float:
    """Seconds since `began` when the ledger has counted so many successes."""

    async def reached() -> bool:
        return await _succeeded(store) >= chunks

    await until(reached, f"{chunks} chunks to be counted")
    return time.perf_counter() - began


async def _succeeded(store: Store) -> int:
    return (await store.sum_totals()).phases.get("succeeded", 0)


async def _has_succeeded(client: Client, name: str) -> bool:
    return bool((await client.get(f"/v1/jobs/default/{name}"))["status"]["phase"] == "succeeded")


async def _all(requests: Iterator[Awaitable[Any]], connections: int) -> None:
    """Sends requests from as many tasks as connections are to be used."""

    async def send() -> None:
        for request in requests:
            await request

    await asyncio.gather(*(send() for _ in range(connections)))
