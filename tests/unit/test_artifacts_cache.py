"""The cache of inputs: whole files only, what was begun is gone on with, and never more than its bound."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from agents.artifacts.cache import Cache
from agents.artifacts.carrier import Carrier
from agents.artifacts.fetching import Fetcher
from agents.artifacts.sending import send_file
from agents.runtimes.protocol import Input, Refusal, Step, Work
from agents.runtimes.simulated import SimulatedFile
from datamodel.artifacts.memory import MemoryPieces
from datamodel.artifacts.pieces import PIECE_BYTES
from datamodel.errors import Transient

MIB = 2**20


class Counted(MemoryPieces):
    """Counts what is asked for, and answers so often."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = 0, 10**6

    async def get(self, key: str, number: int) -> bytes | None:
        if self.answers <= 0:
            raise Transient("cut")
        self.answers -= 1
        self.asked += 1
        return await super().get(key, number)


@pytest.fixture
def pieces() -> Counted:
    return Counted()


async def kept(pieces: MemoryPieces, name: str, size: int) -> Input:
    """A file that the hub has."""
    content = hashlib.sha256(name.encode()).digest() * (size // 32 + 1)
    sha256 = await send_file(pieces, name, SimulatedFile(content[:size]))
    return Input(name, size, sha256, name)


def work(attempt: str, *inputs: Input) -> Work:
    return Work("s", "e", attempt, (Step("s", "i"),), {}, inputs=inputs)


def present(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.iterdir()}


def fetched(found: tuple[Input, ...] | Refusal) -> list[str]:
    assert isinstance(found, tuple), found
    for one in found:
        assert hashlib.sha256(Path(one.source).read_bytes()).hexdigest() == one.sha256
    return [Path(one.source).name for one in found]


async def test_what_is_here_is_not_fetched_again(pieces: Counted, tmp_path: Path) -> None:
    wanted = [await kept(pieces, "a", 3 * PIECE_BYTES + 1), await kept(pieces, "b", 0)]
    fetcher = Fetcher(pieces, Cache(tmp_path / "inputs"))
    many = await asyncio.gather(*(fetcher.fetch(work(f"t-{k}", *wanted)) for k in range(5)))
    assert [fetched(found) for found in many] == [[one.sha256 for one in wanted]] * 5
    assert pieces.asked == 4
    fetched(await Fetcher(pieces, Cache(tmp_path / "inputs")).fetch(work("t-9", *wanted)))
    assert pieces.asked == 4


async def test_what_was_begun_is_gone_on_with(pieces: Counted, tmp_path: Path) -> None:
    wanted = await kept(pieces, "a", 20 * PIECE_BYTES + 5)
    pieces.answers = 12
    with pytest.raises(Transient):
        await Fetcher(pieces, Cache(tmp_path)).fetch(work("t", wanted))
    part = tmp_path / f"{wanted.sha256}.part"
    assert part.stat().st_size >= 8 * PIECE_BYTES
    with part.open("ab") as file:
        file.write(b"torn")
    pieces.asked, pieces.answers = 0, 10**6
    fetched(await Fetcher(pieces, Cache(tmp_path)).fetch(work("t", wanted)))
    assert pieces.asked <= 13
    assert not part.exists()


async def test_a_beginning_that_is_another_file_s_is_found_out_and_fetched_anew(
    pieces: Counted, tmp_path: Path
) -> None:
    wanted = await kept(pieces, "a", 4 * PIECE_BYTES)
    (tmp_path / f"{wanted.sha256}.part").write_bytes(bytes(2 * PIECE_BYTES))
    fetcher = Fetcher(pieces, Cache(tmp_path))
    with pytest.raises(Transient):
        await fetcher.fetch(work("t", wanted))
    fetched(await fetcher.fetch(work("t", wanted)))


async def test_what_the_hub_has_not_or_has_otherwise_is_refused(pieces: Counted, tmp_path: Path) -> None:
    wanted = await kept(pieces, "a", 2 * PIECE_BYTES)
    fetcher = Fetcher(pieces, Cache(tmp_path))
    pieces.drop("a", 1)
    gone = await fetcher.fetch(work("t", wanted))
    pieces.add("a", 1, b"x")
    broken = await fetcher.fetch(work("t", wanted))
    assert [found.reason for found in (gone, broken) if isinstance(found, Refusal)] == ["InputGone", "InputBroken"]


async def test_the_bound_holds_and_who_holds_files_keeps_them(pieces: Counted, tmp_path: Path) -> None:
    files = [await kept(pieces, f"f{k}", MIB) for k in range(5)]
    fetcher = Fetcher(pieces, Cache(tmp_path, limit_bytes=3 * MIB))
    for number, file in enumerate(files):
        fetched(await fetcher.fetch(work(f"t-{number}", file)))
        if number:
            fetcher.release(f"t-{number}")
        assert sum(present(tmp_path).values()) <= 3 * MIB
        assert (tmp_path / files[0].sha256).exists(), "the first holds its own"
    assert present(tmp_path).keys() == {files[k].sha256 for k in (0, 3, 4)}
    with pytest.raises(Transient):
        await fetcher.fetch(work("t-x", *files[1:4]))
    fetcher.release("t-0")
    fetched(await fetcher.fetch(work("t-x", *files[1:4])))
    assert present(tmp_path).keys() == {file.sha256 for file in files[1:4]}
    refused = await fetcher.fetch(work("t-y", *files[:4]))
    assert isinstance(refused, Refusal)
    assert refused.reason == "InputTooLarge"


async def test_what_was_used_last_stays(pieces: Counted, tmp_path: Path) -> None:
    files = [await kept(pieces, f"f{k}", MIB) for k in range(3)]
    fetcher = Fetcher(pieces, Cache(tmp_path, limit_bytes=2 * MIB))
    for number, file in enumerate((files[0], files[1], files[0], files[2])):
        fetched(await fetcher.fetch(work(f"t-{number}", file)))
        fetcher.release(f"t-{number}")
        if number < 2:
            os.utime(tmp_path / file.sha256, (number + 1, number + 1))
    assert present(tmp_path).keys() == {files[0].sha256, files[2].sha256}


async def test_what_was_begun_stays_for_whoever_holds_it(pieces: Counted, tmp_path: Path) -> None:
    begun, other = await kept(pieces, "a", 16 * PIECE_BYTES), await kept(pieces, "b", 4 * PIECE_BYTES)
    fetcher = Fetcher(pieces, Cache(tmp_path, limit_bytes=20 * PIECE_BYTES))
    pieces.answers = 12
    with pytest.raises(Transient):
        await fetcher.fetch(work("t-0", begun))
    pieces.answers = 10**6
    fetched(await fetcher.fetch(work("t-1", other)))
    pieces.asked = 0
    fetched(await fetcher.fetch(work("t-0", begun)))
    assert pieces.asked <= 9


async def test_who_is_refused_or_has_begun_leaves_the_room_to_others(pieces: Counted, tmp_path: Path) -> None:
    files = [await kept(pieces, f"f{k}", MIB) for k in range(3)]
    cache = Cache(tmp_path, limit_bytes=MIB)
    pieces.drop("f0", 0)
    assert isinstance(await Fetcher(pieces, cache).fetch(work("t-0", files[0])), Refusal)
    runtime: Any = None
    carrier = Carrier(runtime, pieces, cache)
    news: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(carrier.run(news.put_nowait))
    for attempt, file in (("t-1", files[1]), ("t-2", files[2])):
        async with asyncio.timeout(30):
            while (prepared := carrier.prepared(work(attempt, file))) is None:
                await news.get()
        assert isinstance(prepared, Work)
        fetched(prepared.inputs)
        carrier.begun(attempt)
    running.cancel()
