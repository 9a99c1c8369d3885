"""Nobody pays for the client of Kubernetes who does not use it."""

import subprocess
import sys

_PROGRAM = """
import asyncio, pathlib, sys
import agents.__main__
from agents.runtimes.choose import choose

for kind in ("docker", "process", "simulated"):
    asyncio.run(choose(kind, site="s", edges=["e"], state_dir=pathlib.Path("/nowhere")))
print([name for name in sys.modules if name.partition(".")[0] == "kubernetes"])
"""


def test_other_runtimes_do_not_import_it() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
