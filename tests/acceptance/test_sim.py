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


async def test_chunks_fail_where_their_edges_are_told_so(tmp_path: Path) -> None:
    always = {"EDGE_SIMULATED_FAILING": "1", "EDGE_SIMULATED_FAIL_CODE": "9", "EDGE_SIMULATED_FAIL_AT": "0.5"}
    async with machine(tmp_path / "home", edges=1, runtime="simulated", **always) as up:
        job = {"name": "doomed", "workWs": 1.0, "retries": 1, "steps": [{"name": "s", "image": "i"}]}
        assert (await up.ask("POST", "/v1/jobs", json=job)).status_code == 202
        async with asyncio.timeout(60):
            while True:
                status = (await up.ask("GET", "/v1/jobs/default/doomed")).json()["status"]
                if status["phase"] in {"succeeded", "failed"}:
                    break
                await asyncio.sleep(0.1)
        assert status["phase"] == "failed"


async def test_a_wrong_knob_is_named() -> None:
    environment = {**os.environ, "JOB_MINPOWER": "9", "JOB_MAXPOWER": "3"}
    requester = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim"), cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(requester.communicate(), 30)
    assert requester.returncode == 2
    assert "JOB_MINPOWER" in said.decode()
