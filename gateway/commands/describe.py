"""`tendril describe`: all that is known of a node, with what happened to it last."""

from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.address import DEFAULT_URL
from gateway.commands.cells import age, clean
from gateway.commands.client import Client, Document, Url
from gateway.commands.failure import Exit, Failure
from gateway.commands.jobs import shown_at
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Target, Within, Words, targets
from gateway.commands.printing import Table, complain, say, text_of

EVENTS = 10
_GONE_WITHOUT = ("name", "path", "labels", "kind", "createdAt")


def describe(what: Words, /, *names: str, within: Within = "", url: Url = DEFAULT_URL) -> int:
    """Show all that is known of nodes: spec, status, and the last events."""
    with Client(url) as client:
        code, begins = Exit.FINE, True
        for target in targets(kinds_of(client), (what, *names), within):
            try:
                node = client.get(shown_at(target), step=target.step)
                events = client.get(f"/v1{target.path}/history", {"limit": str(EVENTS)}, step=target.step)["items"]
            except Failure as failure:
                if failure.ends_all:
                    raise
                complain(failure)
                code = code or failure.code
                continue
            if not begins:
                say()
            begins = False
            for line in lines_of(target, node, events, datetime.now(UTC)):
                say(line)
        return code


def lines_of(target: Target, node: Document, events: list[Document], now: datetime) -> Iterator[str]:
    """The description."""
    meta = node["metadata"]
    labels = ", ".join(f"{name}={value}" for name, value in sorted(meta["labels"].items()))
    told = {
        "Name": target.kind.shown(target.path),
        "Kind": meta["kind"],
        "Path": meta["path"],
        "Labels": labels or "none",
        "Created": f"{meta['createdAt']} ({age(meta['createdAt'], now)} ago)",
        **{_title(name): _plain(value) for name, value in meta.items() if name not in _GONE_WITHOUT},
    }
    width = max(map(len, told)) + 2
    for name, value in told.items():
        yield clean(f"{name + ':':{width}}{value}")
    for part in ("spec", "status"):
        if node[part]:
            yield f"{part.title()}:"
            yield from (f"  {clean(line)}" for line in text_of(node[part], "yaml").split("\n"))
    if events:
        yield "Events, the newest first:"
        rows = [["POSITION", "AGE", "EVENT", "BY"]]
        rows += [[str(one["position"]), age(one["at"], now), one["op"], clean(one["actor"])] for one in events]
        yield from (f"  {line}" for line in Table().lines(rows))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _title(name: str) -> str:
    """A member's name for people: `deletionRequestedAt` as `Deletion requested at`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words[:1].upper() + words[1:]
