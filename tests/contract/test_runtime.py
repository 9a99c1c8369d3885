"""One suite for every runtime: what the protocol promises, on the real thing."""

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.process.spawn import can_mount
from agents.runtimes.protocol import LogPage, Observed, Runtime, Step, Work
from agents.runtimes.reasons import CANNOT_START
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.work import desired_of
from datamodel.errors import Invalid, Transient
from datamodel.feed.message import decode
from datamodel.scheduling.logs import Dropped, Part, Record
from tests.kubernetes_cluster import KubernetesCluster
from tests.services import IMAGE

EXAMPLES = Path(__file__).parents[2] / "examples"
EDGE = "edge-1"
WAIT_S = 60.0
SEEN = "echo $CHUNK_INDEX of $CHUNK_COUNT $CHUNK_SHARE $CHUNK_WORK_WS $CHUNK_EPOCH $ARRAY_INDEX $ATTEMPT"


@dataclass
class Rig:
    """A runtime, opened, and what it told. Every rig has a site of its own, so that no other test's work is seen."""

    make: Callable[[str], Runtime]
    site: str = field(default_factory=lambda: f"site-{uuid.uuid4().hex[:8]}")
    told: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    image: str = IMAGE

    async def open(self) -> Runtime:
        self.runtime = self.make(self.site)
        await self.runtime.open(self.told.put_nowait)
        return self.runtime

    async def reopen(self) -> Runtime:
        """Another instance, as after the agent's restart."""
        await self.runtime.close()
        return await self.open()

    def work(self, *scripts: str, **fields: Any) -> Work:
        steps = tuple(Step(f"step-{index}", self.image, script) for index, script in enumerate(scripts))
        attempt = f"{self.site}-{next(self.numbers)}"
        return replace(Work(self.site, EDGE, attempt, steps, {"CHUNK_INDEX": "3"}), **fields)

    async def until(self, attempt: str, holds: Callable[[Observed], bool]) -> Observed:
        """Looks again whenever the runtime says that something changed, as an agent does."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = await self.runtime.observe(attempt)
                if found is not None and holds(found):
                    return found
                await self.told.get()

    async def start(self, work: Work, index: int) -> None:
        """As an agent: again whenever there is news, until the step has begun. An engine may take a while for that."""
        async with asyncio.timeout(WAIT_S):
            while True:
                await self.runtime.start_step(work, index)
                found = await self.runtime.observe(work.attempt)
                if found is not None and len(found.steps) > index:
                    return
                await self.told.get()

    async def ended(self, work: Work, index: int) -> Observed:
        """Returns once the step is over; an engine may have begun the next one then."""
        return await self.until(work.attempt, lambda found: found.steps[index].phase != "running")

    async def run(self, work: Work) -> Observed:
        """The whole sequence; stops at the first step that fails."""
        for index in range(len(work.steps)):
            await self.start(work, index)
            found = await self.ended(work, index)
            if found.steps[index].exit_code != 0:
                break
        return found

    async def output(self, attempt: str, index: int, after: str = "") -> list[Record]:
        """All that a step wrote behind a cursor, of which nothing may be dropped."""
        found: list[Record] = []
        page = LogPage(after, more=True)
        while page.more:
            page = await self.runtime.logs(attempt, index, page.cursor, 512)
            for part in page.parts:
                assert isinstance(part, Record)
                found.append(part)
        return found

    async def first_output(self, attempt: str) -> LogPage:
        async with asyncio.timeout(WAIT_S):
            while not (page := await self.runtime.logs(attempt, 0, "", 1)).parts:  # noqa: ASYNC110 - as at the end
                await asyncio.sleep(0.01)
        return page

    async def clean(self) -> None:
        for found in await self.runtime.discover():
            await self.runtime.remove(found.attempt)
        await self.runtime.close()


REAL = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("kubernetes", marks=pytest.mark.kubernetes),
    "process",
    "process in a sandbox",
    "process within limits",
]


@pytest.fixture(params=REAL)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """The runtimes that run something."""
    async with _opened(request, tmp_path) as rig:
        yield rig


@pytest.fixture(params=[*REAL, "simulated"])
async def any_rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """All runtimes, the one that runs nothing too."""
    async with _opened(request, tmp_path) as rig:
        yield rig


@asynccontextmanager
async def _opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "docker":
        request.getfixturevalue("docker_engine")
        rig = Rig(lambda site: DockerRuntime(site=site, edges=[EDGE]))
    elif request.param == "kubernetes":
        cluster: KubernetesCluster = request.getfixturevalue("kubernetes_cluster")
        rig = Rig(lambda site: cluster.runtime(site, [EDGE], tmp_path / "state"), image=cluster.image)
    elif request.param == "process":
        rig = Rig(lambda site: ProcessRuntime(site=site, edges=[EDGE], state_dir=tmp_path / "state"))
    elif request.param == "process in a sandbox":
        bwrap = request.getfixturevalue("bubblewrap")
        rig = Rig(lambda site: ProcessRuntime(site=site, edges=[EDGE], state_dir=tmp_path / "state", bwrap=bwrap))
    elif request.param == "process within limits":
        groups = request.getfixturevalue("groups")
        rig = Rig(lambda site: ProcessRuntime(site=site, edges=[EDGE], state_dir=tmp_path / "state", groups=groups))
    else:
        rig = Rig(lambda _: SimulatedRuntime(Constant(37.0)))
    await rig.open()
    yield rig
    await rig.clean()


async def test_an_attempt_runs_is_told_of_and_is_removed(any_rig: Rig) -> None:
    work = any_rig.work("sleep 0.2", work_ws=7.0, uid="f" * 32)
    assert await any_rig.runtime.observe(work.attempt) is None
    await any_rig.start(work, 0)
    running = await any_rig.runtime.observe(work.attempt)
    assert running is not None
    assert (running.site, running.edge, running.attempt, running.uid) == (any_rig.site, EDGE, work.attempt, work.uid)
    found = await any_rig.until(work.attempt, lambda found: found.steps[0].phase == "exited")
    (step,) = found.steps
    assert step.exit_code == 0
    assert step.finished_s is not None
    assert step.started_s <= step.finished_s
    assert [one.attempt for one in await any_rig.runtime.discover()] == [work.attempt]
    await any_rig.runtime.remove(work.attempt)
    assert await any_rig.runtime.observe(work.attempt) is None
    assert await any_rig.runtime.discover() == []


async def test_a_stopped_attempt_has_ended_when_stop_returns(any_rig: Rig) -> None:
    work = any_rig.work("sleep 1000", work_ws=1e9)
    await any_rig.start(work, 0)
    await any_rig.runtime.stop(work.attempt, 20.0)
    found = await any_rig.runtime.observe(work.attempt)
    assert found is not None
    assert [(step.phase, step.exit_code) for step in found.steps] == [("exited", 143)]


async def test_it_is_well_and_says_what_it_does_not_keep_apart(any_rig: Rig) -> None:
    await any_rig.runtime.check()
    not_isolated = any_rig.runtime.not_isolated
    assert ("image" in not_isolated) == (any_rig.runtime.name == "process")
    assert all(not_isolated)


async def test_unknown_attempts_are_fine(any_rig: Rig) -> None:
    await any_rig.runtime.stop("nobody-knows", 0.1)
    await any_rig.runtime.remove("nobody-knows")
    assert await any_rig.runtime.result("nobody-knows") is None
    assert await any_rig.runtime.observe("nobody-knows") is None


async def test_steps_share_a_directory_and_the_last_leaves_the_result(rig: Rig) -> None:
    work = rig.work(
        "echo $CHUNK_INDEX > ${SHARED_DIR:-/shared}/a",
        'echo "{\\"n\\": $(cat $SHARED_DIR/a)}" > $SHARED_DIR/result.json',
    )
    assert [step.exit_code for step in (await rig.run(work)).steps] == [0, 0]
    assert await rig.runtime.result(work.attempt) == b'{"n": 3}\n'


async def test_a_directory_is_seen_at_shared(rig: Rig) -> None:
    if rig.runtime.name == "process" and not await asyncio.to_thread(can_mount):
        pytest.skip("needs a kernel that allows mounts of one's own: user namespaces, or root with CAP_SYS_ADMIN")
    work = rig.work('test "$SHARED_DIR" = /shared && echo {} > /shared/result.json')
    assert (await rig.run(work)).steps[0].exit_code == 0
    assert await rig.runtime.result(work.attempt) == b"{}\n"


async def test_an_exit_code_is_reported(rig: Rig) -> None:
    found = await rig.run(rig.work("exit 7"))
    assert found.steps[0].exit_code == 7
    assert found.steps[0].reason == ""


async def test_a_step_killed_by_a_signal_has_its_code(rig: Rig) -> None:
    found = await rig.run(rig.work("kill -9 $$; sleep 1000"))
    assert found.steps[0].exit_code == 137


async def test_starting_twice_runs_once(rig: Rig) -> None:
    work = rig.work("echo x >> $SHARED_DIR/result.json; sleep 0.5")
    starts = (rig.runtime.start_step(work, 0) for _ in range(3))
    outcomes = await asyncio.gather(*starts, return_exceptions=True)
    # One that comes in the midst of another may find the engine undecided.
    assert all(outcome is None or isinstance(outcome, Transient) for outcome in outcomes)
    await rig.start(work, 0)
    await rig.until(work.attempt, lambda found: found.steps[0].phase == "exited")
    await rig.start(work, 0)
    assert await rig.runtime.result(work.attempt) == b"x\n"


async def test_a_step_sees_its_chunk_its_share_and_its_try(rig: Rig) -> None:
    attempt = f"{uuid.uuid4().hex}-2-3"
    spec = {
        "index": 2,
        "count": 8,
        "arrayIndex": 40,
        "workWs": 12.5,
        "requests": {"cpu": 0.1, "memoryBytes": 64 * 2**20, "powerW": 1},
        "steps": [
            {"name": "a", "image": rig.image, "script": f"{SEEN} > $SHARED_DIR/result.json"},
            {"name": "b", "image": rig.image, "script": f"{SEEN} >> $SHARED_DIR/result.json"},
        ],
    }
    path = f"/desired-config/sites/{rig.site}/edges/{EDGE}/attempts/{attempt}"
    body = {"path": path, "uid": "u", "kind": "Attempt", "version": 1, "spec": spec, "status": {}}
    work = desired_of(decode(msgspec.json.encode(body)), "pending", None).work
    assert [step.exit_code for step in (await rig.run(work)).steps] == [0, 0]
    assert (await rig.runtime.result(attempt) or b"").decode() == f"2 of 8 0.125 12.5 3 40 {attempt}\n" * 2


async def test_an_environment_of_the_step_goes_before_that_of_all(rig: Rig) -> None:
    script = 'echo "$CHUNK_INDEX $MINE" > $SHARED_DIR/result.json'
    work = rig.work(steps=(Step("env", rig.image, script, env={"CHUNK_INDEX": "9", "MINE": "m"}),))
    await rig.run(work)
    assert await rig.runtime.result(work.attempt) == b"9 m\n"


async def test_a_command_is_an_argv(rig: Rig) -> None:
    command = ("/bin/sh", "-c", 'echo "$1" > $SHARED_DIR/result.json', "sh", "a  b")
    work = rig.work(steps=(Step("argv", rig.image, command=command),))
    await rig.run(work)
    assert await rig.runtime.result(work.attempt) == b"a  b\n"


async def test_a_command_that_does_not_exist_is_an_end_with_a_reason(rig: Rig) -> None:
    found = await rig.run(rig.work(steps=(Step("none", rig.image, command=("/no/such/thing",)),)))
    assert (found.steps[0].exit_code, found.steps[0].reason) == (127, CANNOT_START)
    assert "/no/such/thing" in found.steps[0].message


async def test_a_result_has_a_limit(rig: Rig) -> None:
    sizes = (65536, 65537, 10**7)
    fits, large, huge = (rig.work(f"head -c {size} /dev/zero > $SHARED_DIR/result.json") for size in sizes)
    for work in (fits, large, huge):
        await rig.run(work)
    assert await rig.runtime.result(fits.attempt) == bytes(65536)
    for work in (large, huge):
        with pytest.raises(Invalid):
            await rig.runtime.result(work.attempt)


@pytest.mark.parametrize("make", ["true", "ln -s /etc/passwd", "mkdir", "mkfifo"])
async def test_what_is_no_file_is_no_result(rig: Rig, make: str) -> None:
    work = rig.work(f"{make} $SHARED_DIR/result.json")
    assert (await rig.run(work)).steps[0].exit_code == 0
    assert await rig.runtime.result(work.attempt) is None


async def test_term_is_enough_for_whom_it_is(rig: Rig) -> None:
    work = rig.work("trap 'exit 5' TERM; echo; while :; do sleep 0.05; done")
    await rig.start(work, 0)
    await rig.first_output(work.attempt)
    await rig.runtime.stop(work.attempt, 20.0)
    found = await rig.runtime.observe(work.attempt)
    assert found is not None
    assert found.steps[0].exit_code == 5


async def test_who_ignores_term_is_killed_after_the_grace(rig: Rig) -> None:
    work = rig.work("trap '' TERM; echo; while :; do sleep 0.05; done")
    await rig.start(work, 0)
    await rig.first_output(work.attempt)
    await rig.runtime.stop(work.attempt, 0.3)
    found = await rig.runtime.observe(work.attempt)
    assert found is not None
    assert [(step.phase, step.exit_code) for step in found.steps] == [("exited", 137)]


async def test_a_new_instance_adopts_what_runs_and_what_ended(rig: Rig) -> None:
    ended = rig.work("exit 4", uid="e" * 32)
    runs = rig.work("trap 'exit 6' TERM; echo; while :; do sleep 0.05; done", uid="f" * 32)
    await rig.run(ended)
    await rig.start(runs, 0)
    await rig.first_output(runs.attempt)
    adopter = await rig.reopen()
    discovered = await adopter.discover()
    assert {one.attempt: one.uid for one in discovered} == {ended.attempt: ended.uid, runs.attempt: runs.uid}
    found = {one.attempt: one.steps[0] for one in discovered}
    assert found[ended.attempt].exit_code == 4
    assert found[runs.attempt].phase == "running"
    await adopter.start_step(runs, 0)
    await adopter.stop(runs.attempt, 20.0)
    last = await rig.until(runs.attempt, lambda found: all(step.phase == "exited" for step in found.steps))
    assert [step.exit_code for step in last.steps] == [6]


async def test_only_the_attempts_of_its_own_edges_are_discovered(rig: Rig) -> None:
    mine, others = rig.work("true"), rig.work("true", edge="edge-2")
    await rig.runtime.start_step(others, 0)
    await rig.run(mine)
    assert [found.attempt for found in await rig.runtime.discover()] == [mine.attempt]
    await rig.runtime.remove(others.attempt)


async def test_removing_ends_what_runs(rig: Rig) -> None:
    work = rig.work("mkdir -p $SHARED_DIR/a/b; chmod 0 $SHARED_DIR/a; sleep 1000")
    await rig.start(work, 0)
    await rig.runtime.remove(work.attempt)
    assert await rig.runtime.observe(work.attempt) is None


async def test_what_a_step_wrote_is_read_from_both_streams_with_its_times(rig: Rig) -> None:
    before_ns = time.time_ns()
    work = rig.work("echo out; sleep 0.1; echo err >&2; sleep 0.1; printf more", "printf '\\303\\251\\0\\n'")
    await rig.run(work)
    first, second = [await rig.output(work.attempt, index) for index in (0, 1)]
    assert [(part.step, part.stream, part.data) for part in first] == [
        (0, "stdout", b"out\n"),
        (0, "stderr", b"err\n"),
        (0, "stdout", b"more"),
    ]
    assert [(part.step, part.stream, part.data) for part in second] == [(1, "stdout", b"\xc3\xa9\0\n")]
    times = [part.at_ns for part in (*first, *second)]
    assert before_ns <= times[0] < times[1] < times[2] < times[3] <= time.time_ns()


async def test_what_a_step_writes_is_read_on_from_any_cursor_while_it_runs_and_after_a_restart(rig: Rig) -> None:
    work = rig.work("i=0; echo begin; sleep 0.2; while test $i -lt 200; do echo line $i; i=$((i+1)); done; echo end")
    await rig.start(work, 0)
    live: list[Record] = []
    cursor = ""
    async with asyncio.timeout(WAIT_S):
        while not any(part.data.endswith(b"end\n") for part in live):
            page = await rig.runtime.logs(work.attempt, 0, cursor, 256)
            live += [part for part in page.parts if isinstance(part, Record)]
            cursor = page.cursor
            await asyncio.sleep(0 if page.more else 0.01)
    wanted = b"begin\n" + b"".join(b"line %d\n" % number for number in range(200)) + b"end\n"
    assert b"".join(part.data for part in live) == wanted
    await rig.reopen()
    assert (await rig.runtime.logs(work.attempt, 0, cursor, 256)).parts == ()
    assert b"".join(part.data for part in await rig.output(work.attempt, 0)) == wanted
    page = await rig.runtime.logs(work.attempt, 0, "", 1)
    assert len(page.parts) == 1
    assert page.more
    assert (await rig.runtime.logs(work.attempt, 0, "", 1)).parts == page.parts
    rest = await rig.output(work.attempt, 0, page.cursor)
    assert b"".join(part.data for part in (*page.parts, *rest) if isinstance(part, Record)) == wanted


async def test_nothing_is_written_by_what_never_ran(any_rig: Rig) -> None:
    assert (await any_rig.runtime.logs("nobody-knows", 0, "", 4096)).parts == ()
    work = any_rig.work("true")
    await any_rig.start(work, 0)
    assert (await any_rig.runtime.logs(work.attempt, 1, "", 4096)).parts == ()


async def test_a_flood_is_bounded_and_what_is_lost_stands_in_its_place(rig: Rig) -> None:
    lines = 200_000  # more than any runtime keeps
    work = rig.work(f"echo first; seq {lines}; echo last")
    await rig.start(work, 0)
    begun = await rig.first_output(work.attempt)
    await rig.until(work.attempt, lambda found: found.steps[-1].phase != "running")
    page, parts = begun, list[Part](begun.parts)
    while page.parts:
        page = await rig.runtime.logs(work.attempt, 0, page.cursor, 64 * 1024)
        parts += page.parts
    head = parts[0]  # which an engine may have dropped before it was first read
    assert isinstance(head, Dropped) or head.data.startswith(b"first\n")
    assert any(isinstance(part, Dropped) for part in parts)
    text = b"".join(part.data for part in parts if isinstance(part, Record))
    assert len(text) < 4 * 1024 * 1024
    # The engine of a cluster loses the end where it gets no time.
    if rig.runtime.name == "kubernetes" and parts[-1] == Dropped(0, None):
        return
    assert text.endswith(b"last\n")
    assert text.split(b"\n").count(b"%d" % lines) == 1


@pytest.mark.parametrize(
    ("example", "outputs"),
    [("primes", {"primes": 664579}), ("pipeline", {"squares": 3000, "total": 9004500500})],
)
async def test_an_example_gives_what_it_says(rig: Rig, example: str, outputs: dict[str, int]) -> None:
    job = json.loads((EXAMPLES / example / "job.json").read_text())
    steps = tuple(Step(step["name"], rig.image, step["script"]) for step in job["steps"])
    assert set(job["outputs"].values()) == {"sum"}
    total = dict.fromkeys(outputs, 0)
    for chunk in range(job["chunks"]):
        env = {"CHUNK_INDEX": str(chunk), "CHUNK_COUNT": str(job["chunks"])}
        work = rig.work(steps=steps, env=env, memory_bytes=job["requests"]["memoryBytes"])
        found = await rig.run(work)
        assert [step.exit_code for step in found.steps] == [0] * len(steps), found
        result = json.loads(await rig.runtime.result(work.attempt) or b"{}")
        if example == "primes":  # whoever tries that first looks at its log
            written = b"".join(part.data for part in await rig.output(work.attempt, 0))
            assert written.decode() == f"chunk {chunk} of {job['chunks']}: {result['primes']} primes\n"
        total = {name: total[name] + result[name] for name in outputs}
    assert total == outputs
