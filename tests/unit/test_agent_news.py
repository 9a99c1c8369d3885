"""What agents say of their edges that changes: power and images."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agents.__main__ import _news
from agents.introductions import Introductions
from agents.memory_journal import Disk, MemoryJournal
from agents.news import images as image_news
from agents.news.images import ImageHolder, ImageNews
from agents.news.ports import Changes, News, Tell
from agents.news.power import HOLD_S, READ_S, Power, PowerNews
from agents.news.power_file import FILE_LIMIT_BYTES, PowerFile, power_in
from agents.news.supplied import SuppliedPower
from agents.outbox import Outbox
from agents.runtimes.docker.pull import image_names
from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.images import told
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.runtimes.trace import Trace
from agents.settings import Settings
from datamodel.errors import Invalid, Transient
from datamodel.program import read_settings
from datamodel.scheduling.forecasts import FORECAST_LIMIT
from datamodel.scheduling.images import IMAGES_CHARACTERS, IMAGES_LIMIT
from datamodel.scheduling.wire import EdgeReport, Foreseen, decode_report
from sim.world.process import Process
from sim.world.universe import Universe

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def in_time(run: Callable[[Process], Awaitable[None]], until_s: float) -> Universe:
    """Runs it on virtual time, up to then."""
    universe = Universe()
    with universe:
        process = Process(universe, "test")

        async def begin() -> None:
            await run(process)

        process.start(begin)
        universe.run(until_s)
        if process.exception is not None:
            raise process.exception
    return universe


class Source:
    """The power of all edges, one reading after the other; an error where that is none."""

    def __init__(self, *power: Power | str) -> None:
        self.power = list(power)
        self.reads = 0

    async def read(self, edges: Sequence[str]) -> Mapping[str, Power]:
        found = self.power[min(self.reads, len(self.power) - 1)]
        self.reads += 1
        if isinstance(found, str):
            raise Invalid(found)
        return dict.fromkeys(edges, found)


def watts_told(source: Source, until_s: float, declared_w: float = 100.0) -> list[float]:
    """What is told of one edge, the first of it when it registers."""
    watts: list[float] = []

    async def tell(changes: Changes) -> None:
        watts.extend(fields["power_w"] for fields in changes.values())

    async def run(process: Process) -> None:
        news = PowerNews(source, ["e"], declared_w, process.wall)
        await tell(await news.first())
        await news.run(tell)

    in_time(run, until_s)
    return watts


def test_power_is_told_when_it_differs_by_a_step_and_at_the_ends() -> None:
    readings = [Power(watts) for watts in (50.0, 50.9, 51.0, 51.5, 99.5, 100.0, 0.4, 0.0, 0.0)]
    assert watts_told(Source(*readings), 60.0) == [50.0, 51.0, 99.5, 100.0, 0.4, 0.0]


def test_a_reading_holds_for_a_while_and_then_there_is_none() -> None:
    source = Source(Power(50.0), "no such file")
    assert watts_told(source, HOLD_S - READ_S) == [50.0]
    assert watts_told(Source(Power(50.0), "no such file"), HOLD_S + 2 * READ_S) == [50.0, 0.0]


def test_an_edge_whose_power_cannot_be_read_from_the_start_has_none_until_it_can() -> None:
    assert watts_told(Source("no such file", "no such file", Power(7.0)), 30.0) == [0.0, 7.0]


def test_what_is_wrong_is_said_once() -> None:
    with capture_logs() as logs:
        watts_told(Source(Power(5.0), "gone", "gone", "broken", Power(5.0), "gone"), 60.0)
    assert [log.get("error") for log in logs if "known" in log["event"]] == ["gone", "broken", None, "gone"]


def forecasts_told(readings: Sequence[Power], until_s: float) -> list[Any]:
    forecasts: list[Any] = []

    async def tell(changes: Changes) -> None:
        forecasts.extend(fields["forecast"] for fields in changes.values())

    async def run(process: Process) -> None:
        news = PowerNews(Source(*readings), ["e"], 100.0, process.wall)
        await tell(await news.first())
        await news.run(tell)

    in_time(run, until_s)
    return forecasts


def test_a_forecast_is_told_when_it_is_another_and_not_when_time_passes() -> None:
    begin = datetime(2030, 1, 1, tzinfo=UTC)  # as the world's clocks begin
    points = tuple(Foreseen(begin + timedelta(seconds=s), 9.0) for s in (7, 12, 1_000))
    other = (*points[:2], Foreseen(begin + timedelta(seconds=1_000), 3.0))
    readings = [Power(5.0, points)] * 5 + [Power(5.0, other)] * 3 + [Power(5.0)]
    assert forecasts_told(readings, 60.0) == [points, other[2:], None]


def test_once_all_that_was_expected_is_over_the_edge_expects_nothing() -> None:
    points = tuple(Foreseen(datetime(2030, 1, 1, 0, 0, s, tzinfo=UTC), 9.0) for s in (7, 12))
    assert forecasts_told([Power(5.0, points)], 60.0) == [points, None]


def test_what_could_not_be_told_is_told_later() -> None:
    told_at: list[float] = []

    async def tell(_: Changes) -> None:
        told_at.append(asyncio.get_running_loop().time())
        if len(told_at) == 1:
            raise Transient("the outbox is full")

    async def run(process: Process) -> None:
        news = PowerNews(Source(Power(5.0), Power(50.0)), ["e"], 100.0, process.wall)
        await news.first()
        await news.run(tell)

    in_time(run, 30.0)
    assert [after - before for before, after in itertools.pairwise(told_at)] == [READ_S]


@pytest.mark.parametrize(
    ("content", "power"),
    [
        (b'{"availableW": 120}', Power(120.0)),
        (b'{"availableW": 0, "forecast": []}', Power(0.0)),
        (
            b'{"availableW": 1.5, "forecast": [{"at": "2030-01-01T01:00:00+01:00", "powerW": 80}]}',
            Power(1.5, (Foreseen(NOW, 80.0),)),
        ),
    ],
)
async def test_a_file_says_what_there_is(tmp_path: Path, content: bytes, power: Power) -> None:
    (tmp_path / "power.json").write_bytes(content)
    assert await PowerFile(tmp_path / "power.json").read(["e", "f"]) == {"e": power, "f": power}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"\xff", "does not say"),
        (b"[1]", "Expected `object`"),
        (b"{}", "availableW"),
        (b'{"availableW": -1}', "availableW"),
        (b'{"availableW": 1e400}', "availableW|out of range"),
        (b'{"availableW": "12"}', "availableW"),
        (b'{"availableW": 1, "watts": 2}', "watts"),
        (b'{"availableW": 1, "forecast": [{"at": "2030-01-01T00:00:00", "powerW": 1}]}', "forecast"),
        (b'{"availableW": 1, "forecast": [{"at": "2030-01-01T00:00:00Z", "powerW": -1}]}', "forecast"),
        (
            (
                b'{"availableW": 1, "forecast": [{"at": "2030-01-01T00:00:00Z", "powerW": 1},'
                b' {"at": "2029-01-01T00:00:00Z", "powerW": 1}]}'
            ),
            "not in order",
        ),
        (b"[" * 5_000, "does not say"),
        (b" " * FILE_LIMIT_BYTES + b"{}", "more than"),
    ],
)
async def test_a_file_that_does_not_is_told_of_by_name(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "power.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Invalid, match=says) as raised:
        await PowerFile(path).read(["e"])
    assert str(path) in raised.value.message


def test_a_forecast_has_so_many_moments_at_most() -> None:
    points = ",".join(f'{{"at": "2030-01-01T00:{m:02}:00Z", "powerW": 1}}' for m in range(FORECAST_LIMIT + 1))
    with pytest.raises(Invalid, match="forecast"):
        power_in(f'{{"availableW": 1, "forecast": [{points}]}}'.encode())


@given(st.binary(max_size=200))
def test_no_bytes_of_a_file_raise_anything_else(content: bytes) -> None:
    with pytest.raises(Invalid):
        power_in(content)


def test_simulated_edges_tell_what_their_supply_grants_and_what_it_will() -> None:
    found: list[Power] = []

    async def run(process: Process) -> None:
        source = SuppliedPower(Trace((0.0, 10.0), (5.0, 0.0), 20.0), process.wall)
        constant = SuppliedPower(Constant(3.0), process.wall)
        found.append((await constant.read(["e"]))["e"])
        for _ in range(3):
            found.append((await source.read(["e"]))["e"])
            await asyncio.sleep(4.0)

    in_time(run, 20.0)
    begin = datetime(2030, 1, 1, tzinfo=UTC)
    ahead = tuple(Foreseen(begin + timedelta(seconds=10 * n), 5.0 * (n % 2 == 0)) for n in range(1, 7))
    assert found == [Power(3.0), Power(5.0, ahead), Power(5.0, ahead), Power(5.0, ahead)]


def test_images_are_told_in_full_and_the_newest_of_many() -> None:
    assert told(["busybox", "busybox:latest", "a.b/c@sha256:1"]) == (
        "a.b/c@sha256:1",
        "docker.io/library/busybox:latest",
    )
    assert len(told(f"i{number}" for number in range(IMAGES_LIMIT + 9))) == IMAGES_LIMIT
    assert "docker.io/library/i0:latest" in told(f"i{number}" for number in range(IMAGES_LIMIT + 9))
    long = told(f"{'x' * 500}{number}" for number in range(100))
    assert 0 < sum(map(len, long)) <= IMAGES_CHARACTERS


class Holder:
    """An engine whose images come and go."""

    def __init__(self) -> None:
        self.pulled = asyncio.Event()
        self.names: list[str] = []
        self.asked_s: list[float] = []
        self.is_away = False

    async def images(self) -> list[str]:
        self.asked_s.append(asyncio.get_running_loop().time())
        if self.is_away:
            raise Transient("the engine does not answer")
        return self.names


def test_images_are_told_when_they_change_and_soon_after_a_pull() -> None:
    holders: list[Holder] = []
    said: list[Any] = []

    async def tell(changes: Changes) -> None:
        said.append(changes)

    async def run(process: Process) -> None:
        holder = Holder()
        holders.append(holder)
        assert isinstance(holder, ImageHolder)
        async with asyncio.TaskGroup() as group:
            group.create_task(ImageNews(holder, ["e", "f"]).run(tell))
            await asyncio.sleep(100.0)
            holder.names = ["a"]
            holder.pulled.set()
            await asyncio.sleep(1.0)
            holder.is_away = True
            holder.pulled.set()
            await asyncio.sleep(50.0)
            holder.is_away = False
            holder.names = ["a", "b"]

    in_time(run, 180.0)
    name = "docker.io/library/{}:latest".format
    assert [change["e"]["images"] for change in said] == [(), (name("a"),), (name("a"), name("b"))]
    assert all(change["e"] == change["f"] for change in said)
    asked_s = [round(at_s - holders[0].asked_s[0]) for at_s in holders[0].asked_s]
    assert asked_s[:3] == [0, 60, 100]
    assert min(after - before for before, after in itertools.pairwise(asked_s)) >= image_news.SOONEST_S


def test_what_images_there_are_is_said_when_the_edges_register_unless_the_engine_is_busy() -> None:
    found: list[Changes] = []

    class Busy(Holder):
        async def images(self) -> list[str]:
            await asyncio.sleep(1e6)
            return []

    async def run(process: Process) -> None:
        del process
        away, there = Holder(), Holder()
        away.is_away, there.names = True, ["a"]
        found.extend([await ImageNews(holder, ["e"]).first() for holder in (away, Busy(), there)])

    in_time(run, 5.0)
    assert found == [{}, {}, {"e": {"images": ("docker.io/library/a:latest",)}}]


class Said:
    """News that is told when the test says so."""

    def __init__(self, first: Changes) -> None:
        self._first = first
        self.tell: Tell | None = None

    async def first(self) -> Changes:
        return self._first

    async def run(self, tell: Tell) -> None:
        self.tell = tell
        await asyncio.get_running_loop().create_future()


def report(edge: str) -> EdgeReport:
    return EdgeReport(edge, NOW, cpu=1.0, memory_bytes=1, power_w=9.0, runtime="docker", agent_version="1")


def reported(outbox: Outbox) -> list[Mapping[str, Any]]:
    found = [decode_report(body) for _, body in outbox.pending]
    return [
        {"edge": one.edge, "w": one.power_w, "trouble": one.trouble, "images": one.images}
        for one in found
        if isinstance(one, EdgeReport)
    ]


async def test_whoever_tells_keeps_what_others_told_and_a_cut_off_agent_does_not_fill_its_outbox() -> None:
    async with Outbox(MemoryJournal(Disk())) as outbox:
        power, images = Said({"e": {"power_w": 5.0}}), Said({})
        news: list[News] = [power, images]
        introductions = Introductions(outbox, [report("e"), report("f")], news)
        await introductions.begin(not_isolated=("network",))
        assert [one["w"] for one in reported(outbox)] == [5.0, 9.0], "from the first report on"
        running = asyncio.create_task(introductions.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert power.tell is not None
        assert images.tell is not None
        with pytest.raises(Transient):
            await power.tell({"e": {"power_w": 4.0}})
        assert len(outbox.pending) == 2, "the hub has not taken in what there is"
        outbox.committed(2)
        await asyncio.gather(introductions.introduce(trouble="no engine"), introductions.introduce(trouble="no engine"))
        outbox.committed(6)
        await power.tell({"e": {"power_w": 4.0}})
        outbox.committed(7)
        await images.tell({"f": {"images": ("a",)}})
        outbox.committed(8)
        await introductions.introduce()
        assert reported(outbox) == [
            {"edge": "e", "w": 4.0, "trouble": "no engine", "images": None},
            {"edge": "f", "w": 9.0, "trouble": "no engine", "images": ("a",)},
        ]
        running.cancel()


class Listing:
    """As much of an engine's client as lists images."""

    def images(self) -> list[dict[str, Any]]:
        return [
            {"Created": 1, "RepoTags": ["old:1"], "RepoDigests": None},
            {"Created": 3, "RepoTags": ["new:1", "<none>:<none>"], "RepoDigests": ["new@sha256:1", "<none>@<none>"]},
            {"Created": 2, "RepoTags": None},
        ]


def test_an_engine_names_its_newest_images_first() -> None:
    assert image_names(cast("docker.APIClient", Listing())) == ["new:1", "new@sha256:1", "old:1"]


@pytest.mark.parametrize(
    ("told_by", "kinds"),
    [
        ({}, []),
        ({"EDGE_SIMULATED_TELLS_POWER": "1", "EDGE_SIMULATED_IMAGES": "a"}, [PowerNews, ImageNews]),
        ({"EDGE_POWER_FILE": "/dev/null"}, [PowerNews]),
    ],
)
def test_what_is_told_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, told_by: dict[str, str], kinds: list[type[News]]
) -> None:
    monkeypatch.setenv("TENDRIL_NATS_URL", "nats://x")
    for name, value in told_by.items():
        monkeypatch.setenv(name, value)
    runtime = SimulatedRuntime(Constant(1.0))
    assert [type(news) for news in _news(read_settings(Settings), runtime, 1)] == kinds


def test_an_engine_with_images_is_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_NATS_URL", "nats://x")
    runtime = DockerRuntime(site="s", edges=["e"])
    assert isinstance(runtime, ImageHolder)
    assert [type(news) for news in _news(read_settings(Settings), runtime, 1)] == [ImageNews]
