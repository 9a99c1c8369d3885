"""How programs are run in pods: what they are given, what they write, and how it can fail."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.runtimes.kubernetes.cluster import Cluster
from agents.runtimes.kubernetes.files import READ_BYTES, PodFile, open_pod_file
from datamodel.errors import Invalid, Transient
from tests.kubernetes_server import NAMESPACE, ApiServer, serving

DONE = b'\3{"status": "Success"}'
FAILED = b'\3{"status": "Failure", "message": "command terminated with exit code 2"}'


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


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for part in given:
        yield part


async def test_a_program_reads_what_it_is_given_and_says_what_it_wrote(server: ApiServer, cluster: Cluster) -> None:
    server.frames = [b"\1some", b"\2noise", b"\1thing", DONE]
    command = ("sh", "-c", "a b%/;&?+$1", "é\n")
    said = await cluster.run("p", "c", command, parts(b"x" * 40_000, b"", b"y"), limit_bytes=9)
    assert said == b"something"
    assert server.given == b"x" * 40_000 + b"y"
    assert server.runs == [
        ({"container": "c", "stdin": "true", "stdout": "true", "stderr": "true"}, list(command)),
    ]


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([b"\2tar: short read\n", FAILED], "exit code 2 tar: short read"),
        ([b"\1more than that", DONE], "more than 9 bytes"),
        ([b"\1some"], "the connection ended"),
        ([b"\3{"], "JSON"),
        ([b"\3[]"], "a program in a pod"),
    ],
)
async def test_what_does_not_end_well_is_tried_again(
    server: ApiServer, cluster: Cluster, frames: list[bytes], told: str
) -> None:
    server.frames = frames
    with pytest.raises(Transient, match=told):
        await cluster.run("p", "c", ("true",), limit_bytes=9)


async def test_who_may_not_run_programs_is_told_so(cluster: Cluster) -> None:
    with pytest.raises(Invalid, match="pods/exec"):
        await cluster.run("p", "c", ("true",))


async def test_a_file_is_read_in_parts_and_never_taken_for_whole_too_early(server: ApiServer, cluster: Cluster) -> None:
    file = PodFile(cluster, "p", "a b", READ_BYTES + 3)
    server.frames = [*[b"\1" + b"x" * (READ_BYTES // 64)] * 64, DONE]
    assert await file.read(10) == b"x" * 10
    assert len(await file.read(10**9)) == READ_BYTES - 10
    server.frames = [b"\1yy", DONE]
    with pytest.raises(Transient, match="not read whole"):
        await file.read(10)
    server.frames = [b"\1yyy", DONE]
    assert await file.read(10) == b"yyy"
    assert await file.read(10) == b""
    assert [command[-2:] for _, command in server.runs] == [["/shared/a b", "0"], *[["/shared/a b", "64"]] * 2]


@pytest.mark.parametrize("said", [b"", b"12 3", b"sh: out of memory"])
async def test_what_is_no_answer_about_a_file_says_nothing(server: ApiServer, cluster: Cluster, said: bytes) -> None:
    server.frames = [b"\1" + said, DONE]
    with pytest.raises(Transient):
        await open_pod_file(cluster, "p", "a")
