"""How the command line starts: with nothing of what serves the API."""

import subprocess
import sys

HEAVY = (
    "fastapi",
    "starlette",
    "sqlalchemy",
    "strawberry",
    "pydantic",
    "asyncpg",
    "nats",
    "datamodel",
    "yaml",
    "uvicorn",
)
_TRIED = """
import sys
from gateway.cli import run
code = run(["get", "jobs", "--url", "http://127.0.0.1:9"])
print(code, *sorted(name for name in {found.partition(".")[0] for found in sys.modules} if name in sys.argv[1:]))
"""


def test_a_list_imports_nothing_that_it_does_not_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TRIED, *HEAVY], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "5\n"
