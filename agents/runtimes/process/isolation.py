"""What keeps a step from the host and from the other steps, and what does not."""

from pathlib import Path

from agents.runtimes.process.owner import Owner


def not_isolated(*, sandboxed: bool, limited: bool) -> tuple[str, ...]:
    """What a step has in common with its host, as a list for people."""
    missing = ["image"]
    if not sandboxed:
        missing += ["files", "network", "processes"]
    if not limited:
        missing += ["cpu, memory and process limits"]
    return tuple(missing)


def hidden_from(owner: Owner, state_dir: Path) -> tuple[str, ...]:
    """The directories that a step in a sandbox sees empty, beside those that every sandbox has for itself.

    A step of the agent's own user could read the agent's files and those of all attempts; another user can not.
    """
    directories = [Path("/var/tmp")]  # noqa: S108 - the step gets one of its own
    if owner is None:
        directories += [Path.home(), state_dir]
    return tuple(str(directory.resolve()) for directory in directories if directory.is_dir())
