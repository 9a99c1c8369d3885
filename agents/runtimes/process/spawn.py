"""Starting the small programs beside the agent: the shim, and the question what this kernel allows."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import agents
from agents.runtimes.process.bubblewrap import Sandbox, failure, host_entries, sandboxed
from agents.runtimes.process.owner import Owner
from agents.runtimes.process.plan import Plan
from datamodel.errors import Transient

_TIMEOUT_S = 30.0
_ROOT = str(Path(agents.__file__).parent.parent)
_SHIM = "from agents.runtimes.process.shim import main; main()"
_PROBE = "from agents.runtimes.process.sandbox import probe; probe(sys.argv[2])"


def spawn_shim(plan: Plan) -> None:
    """Returns when the shim has recorded how the step's start went; by then it is no child of ours.

    Raises `Transient` where it does not come that far.
    """
    try:
        shim = _run(_SHIM, given=json.dumps(plan._asdict()))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Transient(f"no shim: {error}") from error
    if shim.returncode != 0:
        raise Transient(f"the shim failed: {shim.stderr.strip()[-500:]}")


def can_mount() -> bool:
    """Whether a step can be shown its shared directory at `/shared`."""
    with tempfile.TemporaryDirectory() as directory:
        return _run(_PROBE, directory).returncode == 0


def refusal(sandbox: Sandbox, owner: Owner) -> str:
    """Why no step of `owner` can be run in a sandbox here; empty where it can."""
    command = sandboxed(sandbox, ["/bin/sh", "-c", ":"], shared="/usr", entries=host_entries())
    uid, gid = owner or (None, None)
    try:
        done = subprocess.run(  # noqa: S603
            command,
            cwd="/",
            env={},
            user=uid,
            group=gid,
            extra_groups=[] if owner is not None else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return failure(done.stderr)[1] if done.returncode != 0 else ""


def _run(program: str, *args: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    # `-I` and `-S`: neither the environment nor site packages, which would double the time of a start.
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, sys.argv[1]); {program}",
        _ROOT,
        *args,
    ]
    return subprocess.run(  # noqa: S603
        command, input=given, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
