"""`tendril edge`: makes agents known, by the API. Keys are made here, on the machine of who asks, and only their public halves
leave it."""

import os
import sys
from datetime import UTC, datetime, timedelta
from errno import EISDIR
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from datamodel.identity.credentials import Credential, read_credential, write_credential
from datamodel.identity.nkeys import Key
from datamodel.names import check_name
from datamodel.private import write_private
from datamodel.scheduling.credentials import credential_path, token_path
from datamodel.scheduling.joining import Token
from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Url
from gateway.commands.failure import Failure
from gateway.issuing import checked, put, say, seconds, signed
from gateway.leaf_nodes import leaf_config

Agent = Annotated[str, Parameter(help="SITE/AGENT: an edge, or the prefix of a group's edges.")]
Count = Annotated[int, Parameter(help="How many edges the agent hosts.")]
For = Annotated[str, Parameter(name="--for", help="How long it is good for, as `2h` or `30d`.")]

app = App(name="tendril edge", help="Make agents known, and forget them.", version_flags=[])
app.command(leaf_config, name="leaf-config")


@app.command
def enroll(
    agent: Agent,
    /,
    *,
    count: Count = 1,
    out: Annotated[Path | None, Parameter(help="The file of the credential; AGENT.creds.")] = None,
    valid: Annotated[
        str, Parameter(help="How long what is signed is good for, as `30d`; it is renewed before.")
    ] = "30d",
    url: Url = DEFAULT_URL,
) -> int:
    """Make a key for an agent, have it signed, and write both into a file for TENDRIL_NATS_CREDS. A key that is in the file
    already stays."""
    return checked(lambda: _enroll(agent, count, out, valid, url))


@app.command
def token(
    site: Annotated[str, Parameter(help="The site that is joined by it.")],
    /,
    *,
    name: Annotated[str, Parameter(help="What it is called in the graph.")] = "",
    uses: Annotated[int, Parameter(help="How many agents may join by it.")] = 1,
    lasts: For = "1d",
    out: Annotated[Path | None, Parameter(help="A file for it; without one, it is printed.")] = None,
    url: Url = DEFAULT_URL,
) -> int:
    """Make what lets agents join a site by themselves, for EDGE_JOIN_TOKEN_FILE."""
    return checked(lambda: _token(site, name, uses, lasts, out, url))


@app.command
def revoke(agent: Agent, /, *, url: Url = DEFAULT_URL) -> int:
    """Have an agent's credential be worth nothing: it is disconnected, and what it tells is refused."""
    return checked(lambda: _revoke(agent, url))


def _enroll(agent: str, count: int, out: Path | None, valid: str, url: str) -> None:
    site, name = _place(agent)
    path = out if out is not None else Path(f"{name}.creds")
    _make_room(path)
    key = read_credential(path).key if path.exists() else Key.new("user")
    write_credential(path, Credential(key))
    spec = {"publicKey": key.public, "count": count, "validS": seconds(valid, "--valid")}
    with Client(url) as client:
        put(client, f"/config/sites/{site}", {})
        node = signed(client, credential_path(site, name), put(client, credential_path(site, name), spec))
    write_credential(path, Credential(key, node["status"]["jwt"]))
    say(f"{path} is the credential of {site}/{name}, until {node['status']['expiresAt']}")


def _token(site: str, name: str, uses: int, lasts: str, out: Path | None, url: str) -> None:
    key = Key.new("user")
    check_name(site)
    name = check_name(name or f"token-{key.public[-12:].lower()}")
    if out is not None:
        _make_room(out)
    expires = datetime.now(UTC) + timedelta(seconds=seconds(lasts, "--for"))
    spec = {"publicKey": key.public, "expiresAt": expires.isoformat(), "uses": uses}
    with Client(url) as client:
        put(client, f"/config/sites/{site}", {})
        node = signed(client, token_path(site, name), put(client, token_path(site, name), spec))
    made = Token(site, name, Credential(key, node["status"]["jwt"]))
    if out is None:
        say(made.text)
    else:
        write_private(out, f"{made.text}\n")


def _revoke(agent: str, url: str) -> None:
    site, name = _place(agent)
    with Client(url) as client:
        path = credential_path(site, name)
        client.request(
            "PATCH",
            f"/v1{path}",
            body={"spec": {"revoked": True}},
            headers={"Content-Type": "application/merge-patch+json"},
            step="`tendril get credentials` lists what there is",
        )
    say(f"{site}/{name} is revoked")


def _place(agent: str) -> tuple[str, str]:
    site, slash, name = agent.partition("/")
    if not slash:
        raise Failure(f"{agent!r} does not say where it is", "write it as SITE/AGENT")
    return check_name(site), check_name(name)


def _make_room(file: Path) -> None:
    """Makes the directory of a file that will be written: before anything is signed for what is in it. Raises `OSError`."""
    if file.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(file))
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)


if __name__ == "__main__":
    sys.exit(app())
