"""TCP ports on this machine alone, for servers that keep theirs when they are started again."""

import secrets
import socket

from datamodel.errors import Transient

HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)
"""Below those that Linux lends to clients (from 32,768 on). One of these could be taken, while its server is down, by any
connection; even by one to this port itself, which is then connected to itself."""
_TRIES = 100


def free_port() -> int:
    """A port that nobody listens on. Raises `Transient` where none is found."""
    for _ in range(_TRIES):
        if is_free(port := secrets.choice(PORTS)):
            return port
    raise Transient(f"none of {_TRIES} TCP ports from {PORTS.start} to {PORTS.stop - 1} is free")


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
