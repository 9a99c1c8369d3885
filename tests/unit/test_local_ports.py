"""Ports of servers: nobody else is lent them."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from datamodel.errors import Transient
from deploy.local.ports import HOST, PORTS, free_port, is_free

ANOTHER = """
import sys
from deploy.local.ports import free_port
print(free_port(), flush=True)
sys.stdin.read()
"""


def test_a_port_where_somebody_listens_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert not is_free(server.getsockname()[1])
    with socket.create_server((HOST, free_port())):
        pass  # it could listen


def test_a_port_that_another_process_was_told_of_is_not_free_until_that_has_ended() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ANOTHER], stdin=pipe, stdout=pipe, text=True) as another:
        assert another.stdout is not None
        port = int(another.stdout.readline())
        assert is_free(port)
        with pytest.raises(Transient, match=f"from {port} to {port} is free"):
            free_port(range(port, port + 1))
        another.communicate()
    assert free_port(range(port, port + 1)) == port
    with pytest.raises(Transient):
        free_port(range(port, port + 1))


def test_no_client_is_lent_such_a_port() -> None:
    lent = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not lent.exists():
        pytest.skip("this system does not say which ports it lends")
    assert PORTS.stop <= int(lent.read_text().split()[0])
