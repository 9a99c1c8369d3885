"""The host ledger: what steps write by themselves is what is read."""

import os
import subprocess
from pathlib import Path

import pytest

from datamodel.errors import Invalid
from datamodel.scheduling.attempts import attempt_name
from sim.chaos.ledger import Line, noting_steps, parse, read

UID = "a" * 32


def run(ledger: Path, shared: Path, *, chunk: int, epoch: int, failing: int = -1) -> list[int]:
    codes = []
    for step in noting_steps(ledger, "job", [0.0, 0.0], failing):
        seen = {"CHUNK_INDEX": str(chunk), "ATTEMPT": attempt_name(UID, chunk, epoch), "SHARED_DIR": str(shared)}
        environment = {"PATH": os.environ["PATH"], **seen, **step["env"]}
        codes.append(subprocess.run(["/bin/sh", "-c", step["script"]], env=environment, check=False).returncode)
        if codes[-1]:
            break
    return codes


def test_steps_note_their_starts_and_ends_and_the_last_leaves_the_result(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    assert run(ledger, tmp_path, chunk=3, epoch=2) == [0, 0]
    here = str(Path("/proc/self/ns/net").readlink())
    found = read(ledger)
    assert [(line.step, line.event, line.result) for line in found] == [
        (1, "start", None), (1, "end", 0), (2, "start", None), (2, "end", 0),
    ]  # fmt: skip
    assert found[0] == Line("job", 3, attempt_name(UID, 3, 2), 2, 1, 2, here, found[0].up_s, "start")
    assert sorted(line.up_s for line in found) == [line.up_s for line in found]
    assert [line.done for line in found] == [False, False, False, True]
    assert found[0].owner == UID
    assert (tmp_path / "result.json").read_text() == '{"indexes": 3, "ran": 1}'


def test_a_flaky_chunk_fails_in_its_first_epoch_only(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    assert run(ledger, tmp_path, chunk=1, epoch=1, failing=1) == [1]
    assert run(ledger, tmp_path, chunk=1, epoch=2, failing=1) == [0, 0]
    assert [line.result for line in read(ledger) if line.event == "end"] == [1, 0, 0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job 1",
        f"job x {UID}-1-1 1 1 1 here 1.5 start",
        f"job 1 {UID}-1-1 1 1 1 here 1.5 middle",
        f"job 1 {UID}-1-1 1 1 1 here 1.5 end 0 0",
        f"job 2 {UID}-1-1 1 1 1 here 1.5 start",
        f"job 1 {UID}-1-2 1 1 1 here 1.5 start",
        "job 1 nobody 1 1 1 here 1.5 start",
        f"job 1 {UID}-1-1 1 1 1 here soon start",
    ],
)
def test_what_no_step_writes_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text)
