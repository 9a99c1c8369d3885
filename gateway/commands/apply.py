"""`tendril apply` and `tendril diff`: nodes as files want them, and what that would change."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff
from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Document, Url
from gateway.commands.failure import Exit, Failure
from gateway.commands.files import Files, Wanted, all_documents, wanted_of
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Within
from gateway.commands.printing import complain, say, text_of

DRY_RUN = {"dryRun": "true"}


def apply(
    *,
    files: Files,
    within: Within = "",
    dry_run: Annotated[bool, Parameter(negative="", help="Tell what would be, and change nothing.")] = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Create nodes, or make spec and labels of those that are there as files say."""
    with Client(url) as client:
        code = Exit.FINE
        for found in _applied(client, files, within, dry_run=dry_run):
            if isinstance(found, Failure):
                complain(found)
                code = code or found.code
                continue
            title, before, after = found
            what = "created" if before is None else "unchanged" if _shown(before) == _shown(after) else "changed"
            say(f"{title} {what}{' (dry run)' if dry_run else ''}")
        return code


def diff(*, files: Files, within: Within = "", url: Url = DEFAULT_URL) -> int:
    """Show what `apply` would change; the exit code is 1 where that is anything."""
    with Client(url) as client:
        code, differs = Exit.FINE, False
        for found in _applied(client, files, within, dry_run=True):
            if isinstance(found, Failure):
                complain(found)
                code = code or found.code
                continue
            for line in difference(*found):
                differs = True
                say(line)
        return code or (Exit.FAILED if differs else Exit.FINE)


def difference(title: str, before: Document | None, after: Document) -> Iterator[str]:
    """Spec and labels of a node before and after, as a unified diff of their YAML."""
    old = _lines(before) if before is not None else []
    yield from unified_diff(old, _lines(after), f"{title} (present)", f"{title} (applied)", lineterm="")


def _lines(node: Document) -> list[str]:
    return text_of(_shown(node), "yaml").split("\n")


def _shown(node: Document) -> Document:
    """What users say of a node."""
    return {"metadata": {"labels": node["metadata"]["labels"]}, "spec": node["spec"]}


def _put(client: Client, wanted: Wanted, *, dry_run: bool) -> Document:
    answer = client.write(
        "PUT",
        f"/v1{wanted.target.path}",
        wanted.body,
        DRY_RUN if dry_run else None,
        step="apply what it is to be in first",
    )
    found: Document = answer.json()
    return found


def _applied(
    client: Client, files: Sequence[str], within: str, *, dry_run: bool
) -> Iterator[tuple[str, Document | None, Document] | Failure]:
    """What becomes of each document: its node's title, the node before and after, or why it is refused. Raises what is wrong
    with a file, before anything is done, and what would be wrong with all."""
    kinds = kinds_of(client)
    for where, document in all_documents(files):
        place = where
        try:
            wanted = wanted_of(kinds, document, within)
            place = f"{where}: {wanted.target.title}"
            before = client.find(wanted.target.path)
            after = _put(client, wanted, dry_run=dry_run)
        except Failure as failure:
            if failure.ends_all:
                raise
            yield failure.inside(place)
        else:
            yield wanted.target.title, before, after
