"""The open-loop generator against a whole small system."""

import asyncio
import itertools
import json
import sys

from deploy.local.ports import HOST
from sim.bench.stack import stack
from sim.chaos.machine import ROOT


async def test_the_generator_sees_every_job_that_it_sent_to_its_end() -> None:
    async with stack(edges=4) as system:
        url = f"http://{HOST}:{system.port}"
        words = ("--url", url, "--rate", "10", "--seconds", "8", "--warmup", "2", "--keep", "1", "--window", "2")
        load = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sim.load", *words), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(load.communicate(), 60)
        assert load.returncode == 0, output.decode()
        warming, counted = json.loads(output.decode().splitlines()[-1])["phases"]
        assert not warming["counted"]
        assert counted["arrived"] == counted["accepted"] == counted["succeeded"] > 40
        assert counted["errors"] == {}
        found = counted["latencyMs"]
        moments = ("sent", "accepted", "running", "finished")
        assert {found[moment]["count"] for moment in moments} == {counted["arrived"]}
        assert all(found[a]["p50"] <= found[b]["p50"] for a, b in itertools.pairwise(moments))
        assert [window["fromS"] for window in counted["windows"]] == [2.0, 4.0, 6.0, 8.0]


async def test_a_wrong_flag_is_named() -> None:
    load = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sim.load", "--rate", "0"), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(load.communicate(), 30)
    assert load.returncode == 2
    assert "--rate" in said.decode()
