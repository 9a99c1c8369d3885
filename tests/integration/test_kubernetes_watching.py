"""How the Kubernetes runtime learns of changes and reads logs, from an API server that forgets, breaks off and cuts short."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agents.runtimes.kubernetes.cluster import JOBS, PODS, Cluster
from agents.runtimes.kubernetes.following import Followers
from agents.runtimes.kubernetes.watching import Watch
from agents.runtimes.protocol import LogPage
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.logs import Dropped, Part, Record
from tests.kubernetes_server import JOBS_PATH, NAMESPACE, PODS_PATH, ApiServer, serving
from tests.waiting import until

MINE = {"tendril.site": "attic", "tendril.edge": "edge-1"}


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    async with serving(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
async def cluster(server: ApiServer) -> AsyncIterator[Cluster]:
    cluster = Cluster(NAMESPACE)
    await cluster.open()
    yield cluster
    await cluster.close()


@pytest.fixture
async def told(cluster: Cluster) -> AsyncIterator[list[str]]:
    """What a watch of Jobs tells of."""
    told: list[str] = []
    task = asyncio.create_task(Watch(cluster, JOBS, "attic", {"edge-1"}, told.append).run())
    yield told
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def labels(attempt: str, edge: str = "edge-1") -> dict[str, str]:
    return {**MINE, "tendril.edge": edge, "tendril.attempt": attempt}


def watches(server: ApiServer) -> int:
    return server.asked[f"watch {JOBS_PATH}"]


async def test_what_is_there_and_what_comes_is_told(server: ApiServer, told: list[str]) -> None:
    await server.put(JOBS_PATH, "one", labels("a-1"))
    await until(lambda: "a-1" in told)
    await until(lambda: watches(server) == 1)
    await server.put(JOBS_PATH, "two", labels("a-2"))
    await server.put(JOBS_PATH, "other", labels("b-1", edge="another"))
    await server.put(JOBS_PATH, "one", labels("a-1"), kind="DELETED")
    await until(lambda: told[-2:] == ["a-2", "a-1"])
    assert "b-1" not in told


async def test_a_watch_that_breaks_off_goes_on_where_it_was(server: ApiServer, told: list[str]) -> None:
    await until(lambda: watches(server) == 1)
    await server.put(JOBS_PATH, "one", labels("a-1"))
    await until(lambda: told == ["a-1"])
    version = await server.bookmark(JOBS_PATH)
    await server.put(PODS_PATH, "elsewhere", labels("p-1"))
    await server.put(JOBS_PATH, "two", labels("a-2"))
    await until(lambda: told == ["a-1", "a-2"])
    last = server.objects[JOBS_PATH, "two"]["metadata"]["resourceVersion"]
    server.cut()
    await until(lambda: watches(server) == 2)
    assert server.watched_from[-1] == last
    assert int(last) > int(version)
    await server.put(JOBS_PATH, "three", labels("a-3"))
    await until(lambda: told == ["a-1", "a-2", "a-3"])
    assert server.asked[f"list {JOBS_PATH}"] == 2  # the client's own at its start, and the watch's


async def test_a_bookmark_moves_what_it_goes_on_from(server: ApiServer, told: list[str]) -> None:
    await until(lambda: watches(server) == 1)
    await server.put(JOBS_PATH, "one", labels("a-1"))
    await until(lambda: told == ["a-1"])
    sent = server.sent
    version = await server.bookmark(JOBS_PATH)
    await until(lambda: server.sent == sent + 1)
    server.forgotten = int(version)
    server.cut()
    await until(lambda: watches(server) >= 2)
    assert server.watched_from == [server.watched_from[0], version]
    assert server.asked[f"list {JOBS_PATH}"] == 2


@pytest.mark.parametrize("how", ["refused", "told"])
async def test_what_is_forgotten_is_listed_anew(server: ApiServer, told: list[str], how: str) -> None:
    await until(lambda: watches(server) == 1)
    await server.put(JOBS_PATH, "one", labels("a-1"))
    await server.put(JOBS_PATH, "two", labels("a-2"))
    await until(lambda: told == ["a-1", "a-2"])
    del server.objects[JOBS_PATH, "one"]  # and nobody tells of it
    if how == "refused":
        server.forgotten = 10**6
        server.cut()
    else:
        error = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
        await server.say(JOBS_PATH, error)
    await until(lambda: len(told) == 4)
    server.forgotten = 0
    assert told[2:] == ["a-2", "a-1"]
    assert server.asked[f"list {JOBS_PATH}"] >= 3


async def test_an_event_that_is_none_is_no_end(server: ApiServer, told: list[str]) -> None:
    await until(lambda: watches(server) == 1)
    await server.say(JOBS_PATH, {"nothing": "known"})
    await server.say(JOBS_PATH, {"type": "ERROR", "object": {"code": 500, "message": "etcd"}})
    await server.put(JOBS_PATH, "one", labels("a-1"))
    await until(lambda: "a-1" in told)


def pod(phase: str, state: str, told: str = "0\n") -> dict[str, Any]:
    """`told`: by what stands over the step, with its end."""
    times = {"startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:02Z", "exitCode": 0, "message": told}
    status = {"phase": phase, "initContainerStatuses": [{"name": "step-0", "state": {state: times}}]}
    return {"status": status, "spec": {"nodeName": "n"}}


ENDS = [b"2026-01-01T00:00:05.6Z \x1eend\x1f\n", b"2026-01-01T00:00:05.7Z \x1e2\x1f\x1eend\x1f\n"]


@pytest.mark.parametrize("seen", range(7))
async def test_a_log_that_is_not_whole_at_its_step_s_end_is_read_until_it_is(
    server: ApiServer, cluster: Cluster, tmp_path: Path, seen: int
) -> None:
    """An engine tells of the end of a container before it has written the last of its log."""
    lines = [b"2026-01-01T00:00:0%d.5Z line %d\n" % (number, number) for number in range(1, 6)] + ENDS
    await server.put(PODS_PATH, "pod", labels("a-1"), **pod("Succeeded", "terminated"))

    async def find(attempt: str) -> dict[str, Any] | None:
        return server.objects.get((PODS_PATH, "pod"))

    server.logs.extend([b"".join(lines[:seen]), b"".join(lines[:seen]) + lines[seen][:-3], b"".join(lines)])
    followers = Followers(cluster, tmp_path, find)
    page = await followers.logs("a-1", 0, "", 10**6)
    assert [getattr(part, "data", part) for part in page.parts] == [b"line %d\n" % number for number in range(1, 6)]
    assert len(server.log_queries) == 3
    await followers.close()


@pytest.mark.parametrize(("told", "end"), [("0\n", [Dropped(0, None)]), ("", [])])
async def test_a_log_whose_end_does_not_come_says_so_where_it_should(
    server: ApiServer, cluster: Cluster, tmp_path: Path, told: str, end: list[Part]
) -> None:
    """Where nothing tells how the step ended, either its observation says that the end may be missing, or nobody knows."""
    await server.put(PODS_PATH, "pod", labels("a-1"), **pod("Succeeded", "terminated", told))

    async def find(attempt: str) -> dict[str, Any] | None:
        return server.objects.get((PODS_PATH, "pod"))

    server.logs.append(b"2026-01-01T00:00:01Z line\n2026-01-01T00:00:02Z no newline")
    followers = Followers(cluster, tmp_path, find, settle_s=0.2)
    page = await followers.logs("a-1", 0, "", 10**6)
    assert [getattr(part, "data", part) for part in page.parts] == [b"line\n", b"no newline", *end]
    assert len(server.log_queries) > 1
    assert await followers.logs("a-1", 0, page.cursor, 10**6) == LogPage(page.cursor)
    await followers.close()


async def test_a_log_that_breaks_off_is_read_on_and_nothing_comes_twice(
    server: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    lines = [b"2026-01-01T00:00:0%d.5Z line %d\n" % (number, number) for number in range(1, 6)]
    lines += ENDS
    await server.put(PODS_PATH, "pod", labels("a-1"), **pod("Running", "running"))

    async def find(attempt: str) -> dict[str, Any] | None:
        return server.objects.get((PODS_PATH, "pod"))

    server.logs.extend([b"".join(lines[:2]), b"".join(lines[1:4])[:-5], b"".join(lines)])
    followers = Followers(cluster, tmp_path, find)
    assert (await followers.logs("a-1", 0, "", 10**6)).parts == ()
    await until(lambda: len(server.log_queries) >= 3)
    await server.put(PODS_PATH, "pod", labels("a-1"), **pod("Succeeded", "terminated"))
    page = await followers.logs("a-1", 0, "", 10**6)
    assert b"".join(part.data for part in page.parts if isinstance(part, Record)) == b"".join(
        b"line %d\n" % number for number in range(1, 6)
    )
    assert server.log_queries[-1]["sinceTime"] == "2026-01-01T00:00:05Z"
    asked = len(server.log_queries)
    assert await followers.logs("a-1", 0, "", 10**6) == page
    assert len(server.log_queries) == asked
    await followers.forget("a-1")
    assert not (tmp_path / "a-1").exists()
    await followers.close()


async def test_a_server_that_is_gone_is_transient(server: ApiServer, cluster: Cluster) -> None:
    assert await cluster.find(f"{PODS}/nobody") is None
    server.forgotten = 10**6
    with pytest.raises(Transient):
        async for _ in cluster.stream(JOBS, {"watch": "true", "resourceVersion": "1"}, 5.0):
            pass


async def test_without_a_login_it_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    nowhere = Cluster(NAMESPACE)
    with pytest.raises(Invalid) as raised:
        await nowhere.open()
    assert raised.value.field == "KUBECONFIG"
    await nowhere.close()
