"""The job requester, against a running system."""

import asyncio
import os
import sys
from pathlib import Path

from sim.chaos.machine import ROOT, machine


async def test_the_requester_asks_for_as_many_jobs_as_told_and_cleans_up(tmp_path: Path) -> None:
    async with machine(tmp_path / "home", edges=2, runtime="simulated") as up:
        knobs = {
            "TENDRIL_URL": f"http://127.0.0.1:{up.port}",
            "MAXJOBS": "12",
            "JOB_MINPOWER": "0.5",
            "JOB_MAXPOWER": "2",
            "JOB_PENDING": "3",
            "MAX_ACTIVE_JOBS": "6",
        }
        requester = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sim", "--chunks", "2"),
            cwd=ROOT,
            env={**os.environ, **knobs},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(requester.communicate(), 60)
        last = output.decode().splitlines()[-1]
        assert requester.returncode == 0, output.decode()
        assert "submitted 12" in last
        assert "finished 12" in last
        assert "failed 0" in last
        left = (await up.ask("GET", "/v1/jobs", params={"group": "sim"})).json()["items"]
        assert all(job["metadata"].get("deletionRequestedAt") for job in left)


async def test_a_wrong_knob_is_named() -> None:
    environment = {**os.environ, "JOB_MINPOWER": "9", "JOB_MAXPOWER": "3"}
    requester = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim"), cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(requester.communicate(), 30)
    assert requester.returncode == 2
    assert "JOB_MINPOWER" in said.decode()
