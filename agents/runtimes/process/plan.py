"""What a shim is told to run."""

from collections.abc import Sequence
from typing import NamedTuple


class Plan(NamedTuple):
    """Travels as JSON on the shim's standard input, never as arguments: `env` is nobody else's business.

    `record`, `output` and `log` are files, `shared` and `root` directories, all of this attempt. `owner` is
    the uid and gid that the step runs with, None for those of the agent itself. `cgroup` is the step's group, made already
    and empty for none; `sandbox` what bubblewrap is told, None to do without. `secrets` is a directory of files for the step,
    empty for none, and `masked` is what must not be in its output, byte for letter (latin-1). `lease` is a file that says until
    when the step may run; empty where it may for ever.
    """

    argv: list[str]
    env: dict[str, str]
    owner: tuple[int, int] | None
    record: str
    output: str
    log: str
    shared: str
    root: str
    cgroup: str = ""
    sandbox: tuple[str, Sequence[str]] | None = None
    secrets: str = ""
    masked: Sequence[str] = ()
    lease: str = ""
