"""`tendril delete`: nodes with everything below them."""

from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Url
from gateway.commands.conditions import Gone
from gateway.commands.deadline import Timeout, deadline
from gateway.commands.failure import Exit, Failure
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Target, Within, Words, targets
from gateway.commands.printing import complain, say
from gateway.commands.progress import until

_PREVIEWED = {
    "deleted": "would go",
    "waiting": "would wait until somebody has cleaned up",
    "unlinked": "would lose a link",
}


def delete(
    what: Words,
    /,
    *names: str,
    within: Within = "",
    preview: Annotated[bool, Parameter(negative="", help="Tell what would go, and delete nothing.")] = False,
    wait: Annotated[bool, Parameter(negative="", help="Until they are gone.")] = False,
    timeout: Timeout = "",
    url: Url = DEFAULT_URL,
) -> int:
    """Delete nodes with everything below them."""
    with Client(url) as client, deadline(timeout):
        code = Exit.FINE
        waited: list[Target] = []
        for target in targets(kinds_of(client), (what, *names), within):
            try:
                if preview:
                    _preview(client, target)
                elif not _is_gone(client, target):
                    waited.append(target)
            except Failure as failure:
                if failure.ends_all:
                    raise
                complain(failure)
                code = code or failure.code
        for target in waited if wait else ():
            until(client, target, Gone())
            say(f"{target.title} deleted")
        return code


def _preview(client: Client, target: Target) -> None:
    found = client.write("DELETE", f"/v1{target.path}", parameters={"preview": "true"}, step=target.step).json()
    for what, told in _PREVIEWED.items():
        for path in found[what]:
            say(f"{path} {told}")


def _is_gone(client: Client, target: Target) -> bool:
    """Deletes it. Whether it is gone at once."""
    answer = client.write("DELETE", f"/v1{target.path}", step=target.step)
    if answer.status_code == 204:
        say(f"{target.title} deleted")
        return True
    owners = answer.json()["metadata"].get("finalizers", ())
    say(f"{target.title} is being deleted{', which waits for: ' + ', '.join(owners) if owners else ''}")
    return False
