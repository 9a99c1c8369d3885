"""Ports of servers: nobody else is lent them."""

import socket
from pathlib import Path

import pytest

from deploy.local.ports import HOST, PORTS, free_port, is_free


def test_a_port_where_somebody_listens_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert not is_free(server.getsockname()[1])
    with socket.create_server((HOST, free_port())):
        pass  # it could listen


def test_no_client_is_lent_such_a_port() -> None:
    lent = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not lent.exists():
        pytest.skip("this system does not say which ports it lends")
    assert PORTS.stop <= int(lent.read_text().split()[0])
