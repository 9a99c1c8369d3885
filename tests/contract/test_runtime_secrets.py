"""One suite for every runtime that is given secrets: what a step sees of them, and what nobody else does."""

import asyncio
import base64
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from nacl.public import PublicKey, SealedBox

from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.process.owner import step_owner
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Artifact, Limits, Observed, Runtime, SecretUse, Step, Work
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.secrets.asking import Asking
from agents.secrets.runtime import SecretRuntime
from agents.secrets.strongbox import MEMORY, Held, Strongbox
from datamodel.errors import Invalid
from datamodel.feed.memory import MemoryMessages
from datamodel.scheduling.handover import Answer, Ask, Handed, answer_subject, ask_subject, decode_ask, encode
from datamodel.scheduling.logs import Dropped, Record
from tests.contract.test_runtime import EDGE, REAL, WAIT_S
from tests.kubernetes_cluster import KubernetesCluster
from tests.services import IMAGE

VALUE = "c0rrect h0rse/battery+staple"
USES = (SecretUse("database", "value", env="PASSWORD"), SecretUse("database", "value", file="password"))
SITE = "site-secrets"


@dataclass
class Hub:
    """Answers what it has, for as long as it is there."""

    messages: MemoryMessages
    secrets: dict[str, dict[str, str]] = field(default_factory=lambda: {"database": {"value": VALUE}})
    public_key: str = ""
    asks: list[Ask] = field(default_factory=list)
    there: bool = True

    async def listen(self) -> None:
        await self.messages.subscribe(ask_subject(SITE, EDGE), self._on_ask)

    def tell(self, answer: Answer) -> None:
        for received in self.messages.listeners(answer_subject(SITE, EDGE)):
            received("", encode(answer))

    def sealed(self, attempt: str, nonce: str) -> Answer:
        box = SealedBox(PublicKey(base64.b64decode(self.public_key)))
        return Answer(attempt, nonce, box.encrypt(encode(Handed(attempt, nonce, self.secrets))))

    def _on_ask(self, _: str, body: bytes) -> None:
        ask = decode_ask(body)
        self.asks.append(ask)
        if not self.there:
            return
        if self.secrets:
            self.tell(self.sealed(ask.attempt, ask.nonce))
        else:
            self.tell(Answer(ask.attempt, ask.nonce, reason="SecretMissing", message="it is gone"))


@dataclass
class Rig:
    make: Callable[[], Runtime]
    home: Path
    contained: bool
    image: str = IMAGE
    messages: MemoryMessages = field(default_factory=MemoryMessages)
    told: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def open(self) -> SecretRuntime:
        self.hub = Hub(self.messages)
        await self.hub.listen()
        await self.reopen()
        return self.runtime

    async def reopen(self) -> None:
        """As a restarted agent, with another key."""
        asking = Asking(self.messages, SITE, EDGE)
        self.hub.public_key = asking.public_key
        owner = None if self.contained else step_owner("nobody")
        self.strongbox = Strongbox(self.home, owner=owner, contained=self.contained)
        self.runtime = SecretRuntime(self.make(), self.strongbox, asking)
        await self.runtime.open(self.told.put_nowait)

    def work(self, *scripts: str, attempt: str = "attempt-secrets") -> Work:
        steps = tuple(Step(f"step-{at}", self.image, script, secrets=USES) for at, script in enumerate(scripts))
        return Work(SITE, EDGE, attempt, steps, {}, artifacts=(Artifact("left", "plain"),))

    async def run(self, work: Work, index: int = 0) -> Observed:
        """Starts a step as an agent does: again whenever it is told, until it is there; then until it has ended."""
        await self.runtime.start_step(work, index)
        async with asyncio.timeout(WAIT_S):
            while True:
                found = await self.runtime.observe(work.attempt)
                if found is not None and len(found.steps) > index and found.steps[index].phase != "running":
                    return found
                await self.told.get()
                if found is None or len(found.steps) <= index:
                    await self.runtime.start_step(work, index)

    async def output(self, attempt: str, index: int = 0) -> str:
        text, after, more = b"", "", True
        while more:
            page = await self.runtime.logs(attempt, index, after, 64)
            text += b"".join(part.data for part in page.parts if isinstance(part, Record))
            after, more = page.cursor, page.more
        return text.decode()

    async def clean(self) -> None:
        for found in await self.runtime.discover():
            await self.runtime.remove(found.attempt)
        await self.runtime.close()


@pytest.fixture(params=REAL[:4])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    state_dir = tmp_path / "state"
    if request.param == "docker":
        request.getfixturevalue("docker_engine")
        rig = Rig(lambda: DockerRuntime(site=SITE, edges=[EDGE]), tmp_path, contained=True)
    elif request.param == "kubernetes":
        cluster: KubernetesCluster = request.getfixturevalue("kubernetes_cluster")
        copies = tmp_path / "copies"  # of what the node's kubelet has on its disk too
        make = partial(cluster.runtime, SITE, [EDGE], copies)
        rig = Rig(make, tmp_path / "home", contained=True, image=cluster.image)
    else:
        bwrap = request.getfixturevalue("bubblewrap") if request.param == "process in a sandbox" else None
        rig = Rig(
            lambda: ProcessRuntime(site=SITE, edges=[EDGE], state_dir=state_dir, bwrap=bwrap), tmp_path, contained=False
        )
    await rig.open()
    yield rig
    await rig.clean()


async def test_a_step_reads_it_and_nobody_else_does(rig: Rig) -> None:
    script = (
        f'test "$PASSWORD" = "{VALUE}" && test "$(cat $SECRETS_DIR/password)" = "{VALUE}" || exit 3;'
        " touch $SECRETS_DIR/more 2>/dev/null && exit 4; ulimit -c | grep -qx 0 || exit 5;"
        " echo out $PASSWORD; cat $SECRETS_DIR/password >&2"
    )
    found = await rig.run(rig.work(script))
    assert found.steps[0].exit_code == 0, found
    text = await rig.output("attempt-secrets")
    assert "out ***" in text
    assert VALUE not in text
    assert text.count("***") == 2
    assert not _holding(rig.home, VALUE)
    kept = rig.strongbox._directory / "attempt-secrets"
    assert stat.S_IMODE((kept / "values").stat().st_mode) == 0o600
    await rig.runtime.remove("attempt-secrets")
    assert rig.strongbox.attempts() == []
    assert not kept.exists()
    await rig.runtime.close()
    assert not kept.parent.exists()
    await rig.reopen()


async def test_a_hub_that_is_away_is_asked_again(rig: Rig) -> None:
    rig.hub.there = False
    work = rig.work("true")
    await rig.runtime.start_step(work, 0)
    await rig.runtime.start_step(work, 0)
    assert len(rig.hub.asks) == 2
    assert await rig.runtime.observe(work.attempt) is None
    assert await rig.runtime.discover() == []
    rig.hub.there = True
    assert (await rig.run(work)).steps[0].exit_code == 0


async def test_what_is_no_answer_to_the_question_changes_nothing(rig: Rig) -> None:
    rig.hub.there = False
    work = rig.work("true")
    await rig.runtime.start_step(work, 0)
    former = rig.hub.public_key
    rig.hub.tell(rig.hub.sealed(work.attempt, "0" * 32))
    rig.hub.tell(rig.hub.sealed("another", "0" * 32))
    rig.hub.tell(Answer(work.attempt, "0" * 32, reason="SecretMissing"))
    for received in rig.messages.listeners(answer_subject(SITE, EDGE)):
        received("", b"{")
    assert await rig.runtime.observe(work.attempt) is None
    assert rig.strongbox.attempts() == []
    rig.hub.public_key = Asking(MemoryMessages(), SITE, EDGE).public_key
    rig.hub.there = True
    await rig.runtime.start_step(work, 0)
    assert await rig.runtime.observe(work.attempt) is None
    rig.hub.public_key = former
    assert (await rig.run(work)).steps[0].exit_code == 0


async def test_a_secret_that_is_gone_is_an_end_with_a_reason(rig: Rig) -> None:
    rig.hub.secrets = {}
    found = await rig.run(rig.work("true"))
    assert [(step.exit_code, step.reason, step.message) for step in found.steps] == [
        (125, "SecretMissing", "it is gone")
    ]
    await rig.runtime.remove("attempt-secrets")
    assert await rig.runtime.observe("attempt-secrets") is None


async def test_what_was_handed_outlives_the_agent_and_the_secret(rig: Rig) -> None:
    work = rig.work("echo one $PASSWORD", "echo two $PASSWORD; cat $SECRETS_DIR/password")
    await rig.run(work)
    await rig.runtime.close()
    await rig.reopen()
    rig.hub.secrets = {}
    assert [found.attempt for found in await rig.runtime.discover()] == [work.attempt]
    found = await rig.run(work, 1)
    assert found.steps[1].exit_code == 0
    assert (await rig.output(work.attempt), await rig.output(work.attempt, 1)) == ("one ***\n", "two ***\n***")


async def test_values_that_nothing_was_made_of_are_found_and_removed(rig: Rig) -> None:
    rig.hub.there = False
    work = rig.work("true")
    await rig.runtime.start_step(work, 0)
    rig.hub.tell(rig.hub.sealed(work.attempt, rig.hub.asks[-1].nonce))
    await rig.runtime.close()
    await rig.reopen()
    (found,) = await rig.runtime.discover()
    assert (found.site, found.edge, found.attempt, found.steps) == (SITE, EDGE, work.attempt, ())
    await rig.runtime.remove(work.attempt)
    assert await rig.runtime.discover() == []


async def test_what_a_host_forgot_is_not_shown(rig: Rig) -> None:
    """It was started again: the log is still on its disk, and nobody knows what to take out of it."""
    work = rig.work('echo $PASSWORD; echo "{}" > $SHARED_DIR/result.json')
    await rig.run(work)
    await rig.runtime.close()
    (rig.strongbox._directory / work.attempt / "values").unlink()
    await rig.reopen()
    page = await rig.runtime.logs(work.attempt, 0, "", 1024)
    assert page.parts == (Dropped(0, None),)
    assert (await rig.runtime.logs(work.attempt, 0, page.cursor, 1024)).parts == ()
    with pytest.raises(Invalid, match="forgotten"):
        await rig.runtime.result(work.attempt)


@pytest.mark.parametrize("written", ["$PASSWORD", "c0rrect\\\\u0020h0rse/battery+staple"])
async def test_a_result_that_holds_a_value_is_none(rig: Rig, written: str) -> None:
    work = rig.work(f'printf "%s" "[\\"{written}\\"]" > $SHARED_DIR/result.json')
    await rig.run(work)
    with pytest.raises(Invalid, match="holds the value of a secret"):
        await rig.runtime.result(work.attempt)


async def test_an_artifact_that_holds_a_value_is_not_opened(rig: Rig) -> None:
    work = rig.work('printf "before %s after" "$PASSWORD" > $SHARED_DIR/told; echo harmless > $SHARED_DIR/plain')
    await rig.run(work)
    with pytest.raises(Invalid, match="/shared/told holds the value of a secret"):
        await rig.runtime.open_file(work.attempt, "told")
    plain = await rig.runtime.open_file(work.attempt, "plain")
    assert plain is not None
    assert await plain.read(1024) == b"harmless\n"
    await plain.close()


async def test_without_secrets_nothing_is_asked(rig: Rig) -> None:
    work = replace(rig.work("echo plain"), steps=(Step("step-0", rig.image, "echo plain"),), limits=Limits())
    assert (await rig.run(work)).steps[0].exit_code == 0
    assert await rig.output(work.attempt) == "plain\n"
    assert rig.hub.asks == []
    assert rig.strongbox.attempts() == []


async def test_a_host_without_memory_for_them_refuses(tmp_path: Path) -> None:
    inner = ProcessRuntime(site=SITE, edges=[EDGE], state_dir=tmp_path / "state")
    on_disk = Strongbox(tmp_path, Path("/var/tmp"))
    runtime = SecretRuntime(inner, on_disk, Asking(MemoryMessages(), SITE, EDGE))
    await runtime.open(lambda _: None)
    step = Step("step-0", IMAGE, "true", secrets=USES)
    refusal = runtime.refuses(Work(SITE, EDGE, "a", (step,), {}))
    assert refusal is not None
    assert refusal.reason == "Unsupported"
    assert runtime.refuses(Work(SITE, EDGE, "a", (Step("step-0", IMAGE, "true"),), {})) is None
    await runtime.close()


async def test_a_runtime_that_gives_none_refuses(tmp_path: Path) -> None:
    asking = Asking(MemoryMessages(), SITE, EDGE)
    runtime = SecretRuntime(SimulatedRuntime(Constant(37.0)), Strongbox(tmp_path), asking)
    await runtime.open(lambda _: None)
    refusal = runtime.refuses(Work(SITE, EDGE, "a", (Step("step-0", IMAGE, "true", secrets=USES),), {}))
    assert refusal is not None
    assert "simulated" in refusal.message
    await runtime.close()


async def test_a_directory_of_somebody_elses_is_not_used(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("run the tests as root to make a directory of somebody else's")
    memory = MEMORY / f"tendril-test-{os.getpid()}"
    theirs = memory / "tendril-0"
    theirs.mkdir(parents=True)
    try:
        os.chown(theirs, 65534, 65534)
        assert "somebody else's" in Strongbox(tmp_path, memory).open()
    finally:
        theirs.rmdir()
        memory.rmdir()


def test_what_a_killed_agent_left_goes_once_nobody_can_ask_for_it(memory: Path, tmp_path: Path) -> None:
    def agent(name: str) -> Strongbox:
        strongbox = Strongbox(tmp_path / name, memory)
        assert strongbox.open() == ""
        return strongbox

    def killed(name: str) -> None:
        """Its steps have files of their own."""
        strongbox = agent(name)
        strongbox.put("attempt", Held("s", "e", {"a": {"b": f"value of {name}"}}))
        strongbox.show("attempt", 0, {"file": f"value of {name}"})
        assert strongbox._in_use is not None
        os.close(strongbox._in_use)

    running = agent("running")
    running.put("attempt", Held("s", "e", {"a": {"b": "value of running"}}))
    killed("restarted")
    killed("gone")
    shutil.rmtree(tmp_path / "gone")
    shutil.rmtree(tmp_path / "running")  # as an agent looks whose disks are others
    other = agent("other")
    assert not _holding(memory, "value of gone")
    assert _holding(memory, "value of running")
    assert _holding(memory, "value of restarted")
    assert agent("restarted").get("attempt") is not None
    shutil.rmtree(tmp_path / "restarted")
    again = agent("restarted")
    assert not _holding(memory, "value of restarted"), "a home of the same name that knows nothing of it"
    assert again.attempts() == []
    for strongbox in (running, other):
        strongbox.remove("attempt")
        strongbox.close()
    assert [path for path in memory.rglob("*") if path.is_file()] == []


def test_agents_may_come_while_others_leave(memory: Path, tmp_path: Path) -> None:
    """The last that leaves takes the directory of all of them away."""

    def come_and_leave(name: str) -> set[str]:
        strongbox, said = Strongbox(tmp_path / name, memory), set()
        for _ in range(500):
            said.add(strongbox.open())
            strongbox.close()
        return said

    with ThreadPoolExecutor(3) as agents:
        assert set().union(*agents.map(come_and_leave, ("one", "another", "third"))) == {""}
    assert list(memory.iterdir()) == []


def test_an_agent_of_containers_leaves_the_way_open_to_the_steps_of_processes(memory: Path, tmp_path: Path) -> None:
    for name, contained in (("processes", False), ("containers", True)):
        assert Strongbox(tmp_path / name, memory, contained=contained).open() == ""
    (top,) = memory.iterdir()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in top.iterdir() if not path.is_symlink()}
    assert (stat.S_IMODE(top.stat().st_mode), modes) == (0o711, {0o711, 0o700})


@pytest.fixture
def memory() -> Iterator[Path]:
    """A place of this test's own."""
    memory = Path(tempfile.mkdtemp(prefix="tendril-test-", dir=MEMORY))
    yield memory
    shutil.rmtree(memory)


def _holding(directory: Path, value: str) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]
