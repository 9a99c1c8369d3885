"""What commands print: tables, JSON, YAML and names; in colour on a terminal, plain lines elsewhere."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TextIO

from cyclopts import Parameter
from rich.cells import cell_len

from gateway.commands.cells import cell, clean
from gateway.commands.failure import Failure
from gateway.commands.kinds import KindInfo

Document = dict[str, Any]
Format = Literal["table", "json", "yaml", "name"]
Output = Annotated[Format, Parameter(name=["--output", "-o"], help="How it is printed.")]
_GAP = "  "
_COLOURS = {
    "succeeded": "32",
    "online": "32",
    "running": "36",
    "failed": "31",
    "lost": "31",
    "gone": "90",
    "aborted": "33",
    "suspect": "33",
    "disconnected": "33",
}
"""By word, an SGR code. It is colour and no more: a word that is not here is shown all the same."""


def say(line: str = "", end: str = "\n") -> None:
    """Prints a line of the result."""
    print(line, end=end, flush=True)  # noqa: T201 - this is the place where it is done


def remark(line: str) -> None:
    """Prints a line beside the result."""
    print(clean(line), file=sys.stderr, flush=True)  # noqa: T201 - this is the place where it is done


def complain(failure: Failure) -> None:
    remark(f"tendril: {failure.sentence}")


def print_nodes(
    kind: KindInfo, nodes: Sequence[Document], output: Format, now: datetime | None, *, single: bool = False
) -> None:
    """Nodes of one kind, with ages counted to `now`, or as times without it; `single`: the one node by itself and not as a
    list."""
    match output:
        case "table":
            rows = [header(kind), *(row(kind, node, now) for node in nodes)]
            print_table(rows if nodes else [])
            if not nodes:
                remark(f"no {kind.plural} found")
        case "name":
            for node in nodes:
                say(kind.titled(node["metadata"]["path"]))
        case _:
            say(text_of(nodes[0] if single else {"items": list(nodes)}, output))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Rows, the first of which is the header."""
    for line in Table().lines(rows, colours=has_colours(sys.stdout)):
        say(line)


def header(kind: KindInfo) -> list[str]:
    return ["NAME", *(column.name.upper() for column in kind.columns)]


def row(kind: KindInfo, node: Document, now: datetime | None) -> list[str]:
    return [kind.shown(node["metadata"]["path"]), *(cell(node, column, now) for column in kind.columns)]


def text_of(document: Any, output: Format) -> str:
    """A document as JSON or YAML."""
    if output == "json":
        return json.dumps(document, indent=2, ensure_ascii=False)
    from gateway.commands.yaml_text import yaml_text  # noqa: PLC0415 - 30 ms that tables do not need

    return yaml_text(document)


class Table:
    """Columns that are as wide as what they have held so far."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def lines(self, rows: Sequence[Sequence[str]], *, colours: bool = False) -> Iterator[str]:
        """Rows as lines."""
        for found in rows:
            lengths = [cell_len(one) for one in found]
            self._widths += [0] * (len(lengths) - len(self._widths))
            self._widths = [max(pair) for pair in zip(self._widths, lengths, strict=True)]
        for found in rows:
            padded = [
                (_coloured(one) if colours else one) + " " * (width - cell_len(one))
                for one, width in zip(found, self._widths, strict=True)
            ]
            yield _GAP.join(padded).rstrip()


def _coloured(word: str) -> str:
    code = _COLOURS.get(word)
    return f"\x1b[{code}m{word}\x1b[0m" if code is not None else word


def has_colours(file: TextIO) -> bool:
    """Whether a file is a terminal that wants them (https://no-color.org)."""
    return is_terminal(file) and not os.environ.get("NO_COLOR")


def is_terminal(file: TextIO) -> bool:
    """Whether a file is a terminal on which something can be written over."""
    return file.isatty() and os.environ.get("TERM") != "dumb"
