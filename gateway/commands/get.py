"""`tendril get`: nodes of a kind in a list, or those that are named."""

from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Document, Url
from gateway.commands.failure import Exit, Failure
from gateway.commands.kinds import KindInfo, kinds_of
from gateway.commands.names import Listed, Target, Within, Words, meant
from gateway.commands.printing import Output, complain, print_nodes, print_table, remark
from gateway.commands.selection import WHOLE, Selection

PAGE = 1_000


def get(
    what: Words,
    /,
    *names: str,
    within: Within = "",
    output: Output = "table",
    selection: Selection = WHOLE,
    sort: Annotated[
        str,
        Parameter(
            help="path, createdAt, version or a selectable field; -FIELD is backwards.", allow_leading_hyphen=True
        ),
    ] = "",
    limit: Annotated[int, Parameter(help="At most so many; 0: all.")] = 0,
    watch: Annotated[bool, Parameter(name=["--watch", "-w"], negative="", help="And then what changes.")] = False,
    url: Url = DEFAULT_URL,
) -> int:
    """List nodes, or show those that are named."""
    with Client(url) as client:
        found = meant(kinds_of(client), (what, *names), within)
        if watch:
            if sort or limit:
                raise Failure("--watch tells everything, in no order", "leave out --sort and --limit")
            from gateway.commands.watch import follow  # noqa: PLC0415 - lists do not need it

            return follow(client, found, selection, output)
        if isinstance(found, list):
            if sort or limit or selection.parameters.keys() - {"asOf"}:
                raise Failure("selectors, --sort and --limit are for lists", "leave out the names, or them")
            return _named(client, found, selection, output)
        nodes, more = listed(client, found, selection, sort, limit)
        print_nodes(found.kind, nodes, output, selection.now)
        if more:
            remark(f"there are more than these {limit}")
        return Exit.FINE


def listed(client: Client, of: Listed, selection: Selection, sort: str, limit: int) -> tuple[list[Document], bool]:
    """The nodes of a list, page after page, and whether there are more than were asked for."""
    if limit < 0:
        raise Failure("--limit: a number from 0 on", "leave it out for all")
    asked = {**selection.parameters, **({"sort": sort} if sort else {}), **({"under": of.under} if of.under else {})}
    nodes: list[Document] = []
    cursor = ""
    while True:
        left = min(PAGE, limit - len(nodes)) if limit else PAGE
        page = client.get(
            of.address,
            {**asked, "limit": str(left), **({"cursor": cursor} if cursor else {})},
            step="`tendril get` of the kind above lists what is there",
        )
        nodes += page["items"]
        cursor = page["cursor"] or ""
        if not cursor or (limit and len(nodes) >= limit):
            return nodes, bool(cursor)


def _named(client: Client, targets: list[Target], selection: Selection, output: Output) -> int:
    """Shows each that is there; what is not is told of, and is the exit code."""
    code = Exit.FINE
    shown: list[KindInfo] = []
    nodes: list[Document] = []
    for target in targets:
        try:
            nodes.append(client.get(f"/v1{target.path}", selection.parameters, step=target.step))
        except Failure as failure:
            if failure.code is not Exit.MISSING or len(targets) == 1:
                raise
            complain(failure)
            code = failure.code
        else:
            shown.append(target.kind)
    found = list(zip(shown, nodes, strict=True))
    match output:
        case "table":
            for kind in dict.fromkeys(shown):
                print_nodes(kind, [node for its, node in found if its is kind], output, selection.now)
        case "name":
            for kind, node in found:
                print_nodes(kind, [node], output, selection.now)
        case _ if nodes:
            print_nodes(shown[0], nodes, output, selection.now, single=len(targets) == 1)
    return code


def list_kinds(*, url: Url = DEFAULT_URL) -> int:
    """List the kinds that there are, and how they are called."""
    with Client(url) as client:
        rows = [
            [kind.plural, kind.singular, "/" + "/".join(kind.segments), " ".join(kind.description.split())[:80]]
            for kind in kinds_of(client)
        ]
    print_table([["KIND", "ONE", "PATH", "WHAT"], *rows])
    return Exit.FINE
