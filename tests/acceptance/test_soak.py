"""The soak, beside a system that runs."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sim.chaos.machine import ROOT, Machine, machine

LINES_TOLD = 3


async def test_a_soak_samples_every_program_and_tells_of_one_that_ended(tmp_path: Path) -> None:
    async with machine(tmp_path / "home", edges=2, runtime="simulated") as up:
        quiet = await _soaked(up, tmp_path / "quiet")
        assert quiet["problems"] == []
        await _is_complete(quiet)
        page = (tmp_path / "quiet" / "report.html").read_text()
        assert all(series["name"] in page for series in quiet["series"])

        killed = await _soaked(up, tmp_path / "killed", while_loaded=lambda: up.kill("edge-2"))
        assert "agents edge-2 was started again 1 times" in killed["problems"]


async def test_a_home_where_nothing_runs_is_named(tmp_path: Path) -> None:
    soaking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.soak", "--home", str(tmp_path)), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(soaking.communicate(), 30)
    assert soaking.returncode == 1
    assert f"--home: no system runs in {tmp_path}" in said.decode()


async def _soaked(
    up: Machine, directory: Path, *, while_loaded: Callable[[], Awaitable[None]] | None = None
) -> dict[str, Any]:
    """The result of some seconds. What is to happen meanwhile does when the soak has told of its load a few times, and so has
    seen every program."""
    words = ("--minutes", "0.1", "--warmup-minutes", "0.03", "--rate", "10", "--every", "1")
    soaking = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.soak", "--home", str(up.home), "--directory", str(directory), *words),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert soaking.stderr is not None
    async with asyncio.timeout(60):
        if while_loaded is not None:
            told = 0
            while told < LINES_TOLD:
                line = await soaking.stderr.readline()
                assert line, "the soak ended"
                told += b"arrived" in line
            await while_loaded()
        sys.stderr.write((await soaking.stderr.read()).decode())
        code = await soaking.wait()
    result: dict[str, Any] = json.loads((directory / "result.json").read_bytes())
    assert code == (1 if result["problems"] else 0)
    return result


async def _is_complete(result: dict[str, Any]) -> None:
    series = {found["name"]: found for found in result["series"]}
    programs = ("postgres", "nats-server", "gateway", "reconcilers", "agents edge-1", "agents edge-2")
    for program in programs:
        assert min(series[f"memory: {program}"]["values"]) > 1
        assert min(series[f"memory RSS: {program}"]["values"]) >= min(series[f"memory: {program}"]["values"])
        assert min(series[f"open files: {program}"]["values"]) >= 3
        assert min(series[f"threads: {program}"]["values"]) >= 1
    assert series["log: events"]["values"][-1] > series["log: events"]["values"][0] > 0
    assert series["feed: messages"]["values"][-1] > 0
    assert max(series["rows: live nodes"]["values"]) > 20
    assert {found["verdict"] for found in series.values()} == {"short", "not judged"}, "so few seconds show nothing"
    warming, counted = result["load"]
    assert not warming["counted"]
    assert counted["arrived"] == counted["succeeded"] > 20
    assert series["latency p50: finished"]["values"]
