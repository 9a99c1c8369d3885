"""TCP ports on this machine alone, for servers that keep theirs when they are started again."""

import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path

from datamodel.errors import Transient

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that Linux lends to clients (from 32,768 on). One of these could be taken, while its server is down, by any
connection; even by one to this port itself, which is then connected to itself."""
_TRIES = 100
_told: set[int] = set()
"""The ports that this process was told of."""


def free_port(ports: range = PORTS) -> int:
    """A port that nobody listens on. This user's processes are told of it no more, for as long as this one lives: before its
    server listens, and while that is down, nothing else shows that it is taken. Raises `Transient` where none is found."""
    for _ in range(_TRIES):
        if _claim(port := secrets.choice(ports)) and is_free(port):
            _told.add(port)
            return port
    raise Transient(f"none of {_TRIES} TCP ports from {ports.start} to {ports.stop - 1} is free")


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as candidate:
        # As servers do: connections of a former server that are about to be forgotten do not hold the port.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Whether no process was told of it; then it is this one's. The system ends a claim with the process."""
    if port in _told:
        return False
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _claims() -> int:
    """An empty file whose bytes are locked, each for the port of its number. To close it would end the claims."""
    path = Path(tempfile.gettempdir(), f"tendril-ports-{os.geteuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
