"""What a shim is told to run."""

from typing import NamedTuple


class Plan(NamedTuple):
    """Travels as JSON on the shim's standard input, never as arguments: `env` is nobody else's business.

    `record`, `stdout`, `stderr` and `log` are files, `shared` and `root` directories, all of this attempt. `owner` is
    the uid and gid that the step runs with, None for those of the agent itself.
    """

    argv: list[str]
    env: dict[str, str]
    owner: tuple[int, int] | None
    record: str
    stdout: str
    stderr: str
    log: str
    shared: str
    root: str
