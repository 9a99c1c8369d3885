"""Asking something of one node after the other: what one refuses keeps no other from it."""

from collections.abc import Iterable, Mapping

from gateway.commands.client import Client
from gateway.commands.failure import Exit, Failure
from gateway.commands.names import Target
from gateway.commands.printing import complain, say


def ask_each(
    client: Client, asked: Iterable[tuple[Target, str]], done: str, parameters: Mapping[str, str] | None = None
) -> int:
    """Posts to the address of each; `done` says of it what it is then. The exit code, of the first that is refused. Raises
    `Failure` where nobody answers."""
    code = Exit.FINE
    for target, address in asked:
        try:
            client.write("POST", address, parameters=parameters, step=target.step)
        except Failure as failure:
            if failure.ends_all:
                raise
            complain(failure)
            code = code or failure.code
        else:
            say(f"{target.title} {done}")
    return code
