"""The process runtime's files, as a crash or a step may leave them: no attempt's ruin is another's, or the agent's."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.reports import moment
from agents.runtimes.process.directory import AttemptDirectory
from agents.runtimes.process.identity import Identity
from agents.runtimes.process.record import LOST, Record, claim, read, replace
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.process.watch import ExitWatch
from tests.fuzz.budget import budget
from tests.fuzz.documents import anything

ATTEMPT = "a"
_identities = st.lists(st.integers(1, 2**22), min_size=2, max_size=2).map(lambda numbers: [*numbers, "boot"])
_records = st.fixed_dictionaries(
    {
        "shim": _identities,
        "started_s": st.floats(0, 4e9),
        "step": st.none() | _identities,
        "mounted": st.booleans(),
        "finished_s": st.none() | st.floats(0, 4e9),
        "exit_code": st.none() | st.integers(0, 255),
        "reason": st.just(""),
        "message": st.text(max_size=5),
    }
)
_owners = st.fixed_dictionaries({"site": st.just("s"), "edge": st.just("e")})


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    (tmp_path / ATTEMPT).mkdir()
    return tmp_path


@budget(150)
@given(body=anything(_records))
@example(body=b"")
@example(body=b"[]")
@example(body=json.dumps({"shim": [2**70, 1, ""], "step": None, "started_s": 1.0}).encode())
@example(body=json.dumps({"shim": [1, 1, ""], "step": None, "started_s": 1e300}).encode())
async def test_a_step_is_known_by_its_record_or_has_vanished(state_dir: Path, body: bytes) -> None:
    directory = AttemptDirectory(state_dir / ATTEMPT)
    (state_dir / ATTEMPT / "attempt.json").write_text('{"site": "s", "edge": "e"}')
    (state_dir / ATTEMPT / "step-0.json").write_bytes(body)
    record = directory.record(0)
    assert record is not None
    if record != LOST:
        watch = ExitWatch(lambda _: None)
        watch.watch(ATTEMPT, record.shim)
        watch.close()
    observed = directory.observe()
    assert observed is not None
    (step,) = observed.steps
    assert step.phase in ("exited", "vanished")  # nothing runs under any of these numbers
    assert (step.exit_code is not None) == (step.phase == "exited")
    assert step.message.encode() is not None
    assert moment(step.started_s).tzinfo is not None


@budget(80)
@given(body=anything(_owners))
@example(body=b"")
@example(body=b'{"site":1,"edge":[]}')
async def test_an_attempt_whose_owner_cannot_be_read_is_still_found(state_dir: Path, body: bytes) -> None:
    (state_dir / ATTEMPT / "attempt.json").write_bytes(body)
    ended = Record(Identity(2**22, 1, "boot"), 1.0, finished_s=2.0, exit_code=0)
    claim(str(state_dir / ATTEMPT / "step-0.json"), ended)
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=state_dir)
    observed = await runtime.observe(ATTEMPT)
    assert observed is not None
    assert [step.exit_code for step in observed.steps] == [0]
    assert isinstance(observed.site, str)
    assert isinstance(observed.edge, str)
    found = await runtime.discover()
    whose = await asyncio.to_thread(owner, body)  # as the runtime reads it: how deep it can depends on the stack
    assert [one.attempt for one in found] == ([] if whose not in (None, ("s", "e")) else [ATTEMPT])


def owner(body: bytes) -> tuple[str, str] | None:
    """Whose an attempt is, None where it cannot be read."""
    try:
        found = json.loads(body)
        site, edge = found["site"], found["edge"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return (site, edge) if isinstance(site, str) and isinstance(edge, str) and site else None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda place: place.write_bytes(b""),
        lambda place: place.mkdir(),
        lambda place: (place.mkdir(), (place / "attempt.json").mkdir()),
        lambda place: (place.mkdir(), (place / "attempt.json").symlink_to(place / "attempt.json")),
        lambda place: place.symlink_to("nowhere"),
    ],
    ids=["a file", "an empty directory", "a directory for a file", "a link to itself", "a link to nowhere"],
)
async def test_what_is_no_attempt_hides_none(state_dir: Path, spoil: Callable[[Path], Any]) -> None:
    (state_dir / ATTEMPT / "attempt.json").write_text('{"site": "s", "edge": "e"}')
    spoil(state_dir / "b")
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=state_dir)
    assert [found.attempt for found in await runtime.discover() if found.site] == [ATTEMPT]


_whole = st.builds(
    Record,
    shim=st.builds(Identity, st.integers(1, 2**22), st.integers(0, 2**40), st.text(max_size=40)),
    started_s=st.floats(0, 4e9),
    step=st.none() | st.builds(Identity, st.integers(1, 2**22), st.integers(0, 2**40), st.text(max_size=40)),
    mounted=st.booleans(),
    finished_s=st.none() | st.floats(0, 4e9),
    exit_code=st.none() | st.integers(0, 255),
    reason=st.text(max_size=10),
    message=st.text(max_size=10),
)


@budget(60)
@given(first=_whole, second=_whole)
def test_a_record_survives_the_disk(tmp_path: Path, first: Record, second: Record) -> None:
    path = tmp_path / "step-0.json"
    path.unlink(missing_ok=True)
    assert read(str(path)) is None
    assert claim(str(path), first)
    assert not claim(str(path), second)
    assert read(str(path)) == first
    replace(str(path), second)
    assert read(str(path)) == second
