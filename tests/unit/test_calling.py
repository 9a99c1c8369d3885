"""Which URLs and addresses may be called, how calls are signed, and how many a host has at a time."""

import base64
import hashlib
import hmac
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from datamodel.errors import Invalid
from datamodel.program import read_settings
from reconcilers.calling.exposure import Exposure, allowed_in, ports_in
from reconcilers.calling.lines import Lines
from reconcilers.calling.ports import NOT_ALLOWED
from reconcilers.calling.signing import headers_of
from reconcilers.settings import Settings

PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "0.0.0.0", "0.1.2.3"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2001:db8::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::1"),
    *("", "localhost", "1.2.3", "example.org"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not Exposure().permits("example.org", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not(address: str) -> None:
    assert Exposure().permits("example.org", address)


@given(st.integers(0, 2**32 - 1))
def test_an_address_in_another_is_judged_as_itself(number: int) -> None:
    address = IPv4Address(number)
    assert Exposure().permits("x", str(address)) == Exposure().permits("x", f"::ffff:{address}")
    if not Exposure().permits("x", str(address)):
        high, low = number >> 16, number & 0xFFFF
        assert not Exposure().permits("x", f"64:ff9b::{high:x}:{low:x}")
        assert not Exposure().permits("x", f"2002:{high:x}:{low:x}::1")


SPECIAL = ("169.254.169.254", "168.63.129.16", "fd00:ec2::254", "100.100.100.200", "fe80::1", "224.0.0.1", "0.0.0.0")


def allowing(text: str) -> Exposure:
    return Exposure(*allowed_in(text))


def test_a_network_is_allowed_as_it_stands() -> None:
    some = allowing("10.0.0.0/8, 169.254.169.254,fd00::/8")
    assert all(some.permits("x", address) for address in ("10.1.2.3", "::ffff:10.1.2.3", "169.254.169.254", "fd01::1"))
    assert not any(some.permits("x", address) for address in ("192.168.0.1", "169.254.169.253", "127.0.0.1", "fe80::1"))


def test_a_name_leads_to_private_addresses_but_not_to_those_of_machines() -> None:
    some = allowing("receiver, *.Example.org.")
    for host in ("receiver", "a.example.org", "A.B.EXAMPLE.ORG", "a.example.org."):
        assert all(some.permits(host, address) for address in ("10.0.0.1", "127.0.0.1", "fd00::1", "100.64.0.1"))
        for address in SPECIAL:
            assert not some.permits(host, address), (host, address)
    assert not any(some.permits(host, "10.0.0.1") for host in ("example.org", "xexample.org", "receiver.evil.test"))


@pytest.mark.parametrize(
    ("url", "plain", "ports", "is_refused"),
    [
        ("https://h/", False, "80,443", False),
        ("https://h:443/", False, "443", False),
        ("http://h/", False, "80,443", True),
        ("http://h/", True, "80,443", False),
        ("http://h/", True, "443", True),
        ("https://h:8443/", False, "80,443", True),
        ("https://h:8443/", False, "443,8000-9000", False),
        ("ftp://h/", True, "1-65535", True),
    ],
)
def test_schemes_and_ports(url: str, *, plain: bool, ports: str, is_refused: bool) -> None:
    refusal = Exposure(plain=plain, ports=ports_in(ports)).refusal(url)
    assert (refusal is not None) == is_refused
    assert refusal is None or refusal.reason == NOT_ALLOWED


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALLOW", "10.0.0.0/33"),
        ("ALLOW", "10.0.0.1/8"),
        ("ALLOW", "10.0.0"),
        ("ALLOW", "a b"),
        ("ALLOW", "https://example.org"),
        ("PORTS", ""),
        ("PORTS", "0"),
        ("PORTS", "65536"),
        ("PORTS", "9-8"),
        ("PORTS", "https"),
        ("ATTEMPTS", "0"),
        ("GIVE_UP_S", "-1"),
        ("TIMEOUT_S", "0"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENDRIL_DATABASE_URL", "postgresql://x")
    monkeypatch.setenv("TENDRIL_NATS_URL", "nats://x")
    monkeypatch.setenv(f"TENDRIL_CALLBACKS_{variable}", value)
    with pytest.raises(Invalid) as refused:
        read_settings(Settings)
    assert refused.value.field == f"TENDRIL_CALLBACKS_{variable}"


def test_by_default_only_what_is_public_is_called_and_with_tls() -> None:
    settings = Settings(database_url="x", nats_url="x")
    assert settings.exposure() == Exposure()
    assert (settings.terms().attempts, settings.terms().give_up_s) == (30, 86_400.0)


KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


@pytest.mark.parametrize("secret", [TEXT, f"whsec_{TEXT}", f" whsec_{TEXT}\n"])
def test_a_signature_is_that_of_standard_webhooks(secret: str) -> None:
    headers = headers_of("evt_1", 1_900_000_000, b'{"a":1}', SecretStr(secret))
    mine = base64.b64encode(hmac.digest(KEY, b'evt_1.1900000000.{"a":1}', hashlib.sha256)).decode()
    assert headers == {"webhook-id": "evt_1", "webhook-timestamp": "1900000000", "webhook-signature": f"v1,{mine}"}


def test_the_example_of_the_specifications_library() -> None:
    """As the test of its Python package has it."""
    headers = headers_of(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed() -> None:
    assert headers_of("evt_1", 1, b"", None) == {"webhook-id": "evt_1", "webhook-timestamp": "1"}


@pytest.mark.parametrize(
    "secret",
    ["hunter2", "", base64.b64encode(b"x" * 23).decode(), base64.b64encode(b"x" * 65).decode(), f"{TEXT}!"],
)
def test_a_secret_that_signs_nothing_is_not_shown(secret: str) -> None:
    with pytest.raises(Invalid) as refused:
        headers_of("evt_1", 1, b"", SecretStr(secret))
    assert not secret or secret not in f"{refused.value!r}{refused.value.message}"


def test_a_host_has_some_lines_and_who_waits_is_woken_in_order() -> None:
    lines, woken = Lines(2), list[str]()
    lines.wake = woken.append
    assert [lines.take("slow", key) for key in ("a", "b", "c", "d", "c")] == [True, True, False, False, False]
    assert lines.take("other", "e")
    lines.give_back("slow")
    assert woken == ["c"]
    assert lines.take("slow", "c")
    lines.give_back("other")
    assert woken == ["c"]
    for _ in range(2):
        lines.give_back("slow")
    assert woken == ["c", "d"]
    assert vars(lines)["_taken"] == {}
    assert vars(lines)["_waiting"] == {}
