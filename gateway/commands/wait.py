"""`tendril wait`: until nodes are as somebody wants them."""

from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Url
from gateway.commands.conditions import condition_of, default_for
from gateway.commands.deadline import Timeout, deadline
from gateway.commands.failure import Exit, Failure
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Within, Words, targets
from gateway.commands.printing import say
from gateway.commands.progress import until


def wait(
    what: Words,
    /,
    *names: str,
    within: Within = "",
    for_: Annotated[
        str, Parameter(name="--for", help="deleted, finished, a phase, or FIELD=VALUE; else: succeeded.")
    ] = "",
    timeout: Timeout = "",
    url: Url = DEFAULT_URL,
) -> int:
    """Wait until nodes are as they are wanted; the exit code is 1 where they never will be."""
    with Client(url) as client, deadline(timeout):
        found = targets(kinds_of(client), (what, *names), within)
        wanted = [for_ or default_for(target.kind) for target in found]
        if "" in wanted:
            raise Failure("what is waited for is not said", "say --for deleted, or --for FIELD=VALUE")
        conditions = [condition_of(text, target.kind) for text, target in zip(wanted, found, strict=True)]
        for target, text, condition in zip(found, wanted, conditions, strict=True):
            until(client, target, condition)
            say(f"{target.title} {text}")
    return Exit.FINE
