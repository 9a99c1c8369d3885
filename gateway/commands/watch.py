"""`tendril watch`: what there is, and then each change as it comes."""

import json
import sys
from datetime import UTC, datetime

from gateway.address import DEFAULT_URL
from gateway.commands.changes import Change, changes
from gateway.commands.client import Client, Document, Url
from gateway.commands.failure import Failure
from gateway.commands.kinds import KindInfo, kinds_of
from gateway.commands.names import Listed, Target, Within, Words, meant
from gateway.commands.printing import Format, Output, Table, has_colours, header, row, say, text_of
from gateway.commands.selection import WHOLE, Selection


def watch(
    what: Words,
    /,
    *names: str,
    within: Within = "",
    output: Output = "table",
    selection: Selection = WHOLE,
    url: Url = DEFAULT_URL,
) -> int:
    """Print what there is and then what changes, until it is interrupted."""
    with Client(url) as client:
        return follow(client, meant(kinds_of(client), (what, *names), within), selection, output)


def follow(client: Client, found: Listed | list[Target], selection: Selection, output: Format) -> int:
    """Prints changes; it ends with an interruption only."""
    if isinstance(found, Listed):
        listed, asked = found, selection.parameters
    else:
        if len(found) > 1:
            raise Failure(
                "one node or a list can be watched", f"leave out {found[1].title}, or watch all with a selector"
            )
        listed, asked = alone(found[0], selection.parameters)
    printed = _Printed(listed.kind, output)
    for change in changes(client, listed, asked):
        printed.take(change)
    raise AssertionError("changes have no end")


def alone(target: Target, parameters: dict[str, str]) -> tuple[Listed, dict[str, str]]:
    """The list that has one node alone, and the parameters that make it so."""
    parent, _, name = target.path.rpartition("/")
    under = parent.rpartition("/")[0] if target.kind.segments[-1].startswith("{") else parent
    fields = [f"metadata.name={name}", *([parameters["fieldSelector"]] if "fieldSelector" in parameters else [])]
    return Listed(target.kind, under), {**parameters, "fieldSelector": ",".join(fields)}


class _Printed:
    """Changes on their way out. Rows wait for the next bookmark, so that what is told together stands in the same columns."""

    def __init__(self, kind: KindInfo, output: Format) -> None:
        self._kind = kind
        self._output = output
        self._table = Table()
        self._rows = [["EVENT", *header(kind)]]

    def take(self, change: Change | None) -> None:
        match self._output, change:
            case "table", None:
                for line in self._table.lines(self._rows, colours=has_colours(sys.stdout)):
                    say(line)
                self._rows = []
            case "table", Change(what, node):
                self._rows.append([what, *row(self._kind, node, datetime.now(UTC))])
            case _, Change(what, node):
                self._tell(what, node)

    def _tell(self, what: str, node: Document) -> None:
        match self._output:
            case "name":
                say(f"{what} {self._kind.titled(node['metadata']['path'])}")
            case "json":
                say(json.dumps({"event": what, "node": node}, ensure_ascii=False))
            case _:
                say(f"---\n{text_of({'event': what, 'node': node}, self._output)}")
