"""The command that replays a trace: what it says, and how it refuses."""

import gzip
import json
from pathlib import Path

import pytest

from sim.traces.__main__ import trace, write
from sim.traces.shipped import lines


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.swf.gz"
    path.write_bytes(gzip.compress("\n".join(list(lines("groups"))[:206]).encode()))
    return path


def test_it_tells_of_each_policy_and_order_and_ends_with_json(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trace(small, edges="2x8:64", policy=("bestFit", "spread"), order=("fairShare", "arrival")) == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert sum("spread" in line for line in table) == 2
    result = json.loads(last)
    assert [(run["policy"], run["order"]) for run in result["runs"]] == [
        ("bestFit", "fairShare"),
        ("bestFit", "arrival"),
        ("spread", "fairShare"),
        ("spread", "arrival"),
    ]
    assert {run["jobs"] for run in result["runs"]} == {200}
    assert result["header"]["MaxProcs"] == "384"
    assert (result["whole"], result["leftOut"]) == (True, {})


def test_it_says_that_it_has_not_read_all(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trace(small, jobs=10, together=True, width=4) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["whole"], result["runs"][0]["jobs"]) == (False, 10)


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.swf"
    path.write_text("1 2 3\n")
    empty = tmp_path / "empty.swf"
    empty.write_text("; Version: 2.2\n1 0" + 16 * " -1")
    codes = {trace(path), trace(tmp_path / "none"), trace(empty)}
    codes |= {trace(path, edges="8"), trace(path, width=0), trace(path, jobs=0)}
    assert codes == {2}
    assert capsys.readouterr().err.splitlines() == [
        "traces: line 1: has 3 fields and not 18",
        f"traces: {tmp_path}/none: No such file or directory",
        f"traces: {empty}: has no job that could be replayed, and 1 other lines",
        "traces: '8' is not COUNTxCORES:GIB, as in 16x8:16",
        "traces: --width must be from 1 to 4096, not 0",
        "traces: --jobs must be from 1 to 1000000, not 0",
    ]


def test_a_synthetic_trace_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert write("mixed") == 0
    assert capsys.readouterr().out.splitlines() == list(lines("mixed"))
