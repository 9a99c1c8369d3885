"""Lines to sites: what is cut does not go through, what is healed does, and nothing of it is left by a run that is killed."""

import asyncio
import json
import os
import sys

from sim.chaos.machine import ROOT
from tests.namespaces import SENT, need_namespaces
from tests.waiting import until


async def test_lines_are_harmed_as_it_is_said_and_gone_with_who_has_made_them() -> None:
    need_namespaces()
    argv = ("unshare", "--net", sys.executable, "-m", "tests.namespaces")
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        found = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        assert (found["whole"], found["healed"]) == (SENT, SENT)
        assert found["up"] == 0
        assert found["down"] == SENT  # the other way
        assert SENT * 0.55 < found["lossy"] < SENT * 0.85
        assert found["slow"] < SENT / 2
        assert found["dropped"] == 2 * SENT - found["up"] - found["lossy"]
        assert found["delayed"] > 0
        os.kill(found["keeper"], 0)
    finally:
        process.kill()
        await process.wait()

    def is_gone() -> bool:
        try:
            os.kill(found["keeper"], 0)
        except ProcessLookupError:
            return True
        return False

    await until(is_gone)
