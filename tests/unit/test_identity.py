"""Keys and JWTs as NATS writes them, and the files that hold them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.identity.authority import Authority
from datamodel.identity.claims import Template, read_user, revoked_in
from datamodel.identity.credentials import Credential, read_credential, write_credential
from datamodel.identity.nkeys import Key, Kind, Verifier, check_public

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEMPLATES = {"agent": Template(publish=["report.{{tag(site)}}"], subscribe=["_INBOX.{{subject()}}.>"])}
KINDS: tuple[Kind, ...] = ("operator", "account", "user")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.kept(tmp_path / "authority.json", TEMPLATES)


def claims_of(jwt: str) -> dict[str, object]:
    body = jwt.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def test_a_known_seed_has_its_known_public_key() -> None:
    """From the documentation of github.com/nats-io/nkeys."""
    key = Key.of("SUAGMJH5XLGZKQQWAWKRZJIGMOU4HPFUYLXJMXOO5NLFEO2OOQJ5LPRDPM")
    assert key.kind == "user"
    assert key.public.startswith("U")
    assert len(key.public) == 56


@given(st.sampled_from(KINDS), st.binary(min_size=32, max_size=32))
def test_keys_are_written_and_read(kind: Kind, raw: bytes) -> None:
    key = Key(kind, raw)
    assert key.seed[0] == "S"
    assert (key.seed[1], key.public[0]) == (kind[0].upper(), kind[0].upper())
    again = Key.of(key.seed)
    assert (again.kind, again.public, again.seed) == (kind, key.public, key.seed)
    assert check_public(key.public, kind) == key.public
    assert key.seed not in repr(key)


@given(st.integers(0, 57), st.characters(categories=[], include_characters="ABCDEFGHIJKLMNOPQRSTUVWXYZ234567a=1"))
def test_a_seed_with_another_letter_is_none(at: int, letter: str) -> None:
    seed = Key("user", bytes(range(32))).seed
    changed = seed[:at] + letter + seed[at + 1 :]
    if changed != seed:
        with pytest.raises(Invalid) as caught:
            Key.of(changed)
        assert seed[8:24] not in caught.value.message


@pytest.mark.parametrize("text", ["", "S", "SU", "U" * 56, "SUA=", "\x00", "é" * 58])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Key.of(text)
    with pytest.raises(Invalid):
        check_public(text, "user")


def test_a_public_key_is_of_one_kind() -> None:
    with pytest.raises(Invalid):
        check_public(Key.new("account").public, "user")


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_signature_holds_for_what_was_signed_alone(message: bytes, other: bytes) -> None:
    key = Key("user", bytes(32))
    signature = key.sign(message)
    verifier = Verifier(key.public)
    assert verifier.holds(message, signature)
    assert verifier.holds(other, signature) == (other == message)
    assert not verifier.holds(message, signature[:-1])
    assert not Verifier(Key("user", bytes(range(32))).public).holds(message, signature)


def test_a_user_is_signed_and_read(authority: Authority) -> None:
    key = Key.new("user")
    expires = NOW + timedelta(days=30)
    jwt = authority.sign("agent", key.public, "s/e", NOW, expires=expires, tags=["site:s", "edge:e-0", "edge:e-1"])
    user = read_user(jwt)
    assert (user.public, user.name, user.issuer) == (key.public, "s/e", authority.issuer("agent"))
    assert (user.issued, user.expires) == (int(NOW.timestamp()), int(expires.timestamp()))
    assert user.tagged("edge") == ["e-0", "e-1"]
    said = claims_of(jwt)["nats"]
    assert isinstance(said, dict)
    assert set(said) == {"type", "version", "tags", "issuer_account"}, "a scoped user says nothing of what it may do"


def test_a_jwt_that_was_changed_is_none(authority: Authority) -> None:
    jwt = authority.sign("agent", Key.new("user").public, "s/e", NOW, expires=None, tags=["site:s"])
    head, body, signature = jwt.split(".")
    changed = json.dumps({**claims_of(jwt), "name": "other"}).encode()
    for forged in (
        f"{head}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}",
        f"{head}.{body}.{'A' * len(signature)}",
        f"{head}.{body}",
        "",
        "a.b.c",
    ):
        with pytest.raises(Invalid):
            read_user(forged)


def test_a_credential_that_says_too_much_is_not_signed(authority: Authority) -> None:
    with pytest.raises(Invalid, match="names too much"):
        authority.sign(
            "agent", Key.new("user").public, "g", NOW, expires=None, tags=[f"edge:g-{n}" for n in range(400)]
        )


def test_an_account_says_what_its_signing_keys_are_for_and_what_is_revoked(authority: Authority) -> None:
    jwt = authority.account_jwt(NOW, {"UABC": 7})
    assert revoked_in(jwt) == {"UABC": 7}
    said = claims_of(jwt)["nats"]
    assert isinstance(said, dict)
    (scope,) = said["signing_keys"]
    assert (scope["key"], scope["role"]) == (authority.issuer("agent"), "agent")
    assert scope["template"]["pub"]["allow"] == ["report.{{tag(site)}}"]


def test_an_authority_stays_what_it_is(tmp_path: Path, authority: Authority) -> None:
    path = tmp_path / "authority.json"
    assert path.stat().st_mode & 0o777 == 0o600
    again = Authority.kept(path, TEMPLATES)
    assert (again.account, again.issuer("agent")) == (authority.account, authority.issuer("agent"))
    with pytest.raises(Invalid, match="no signing key for other"):
        Authority.read(path, {**TEMPLATES, "other": TEMPLATES["agent"]})
    path.chmod(0o640)
    with pytest.raises(Invalid, match="others may read"):
        Authority.read(path, TEMPLATES)
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(Invalid, match="holds no keys"):
        Authority.read(path, TEMPLATES)


def test_a_credential_is_kept_in_a_file(tmp_path: Path, authority: Authority) -> None:
    key, path = Key.new("user"), tmp_path / "agent.creds"
    write_credential(path, Credential(key))
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_credential(path).jwt == ""
    jwt = authority.sign("agent", key.public, "s/e", NOW, expires=None)
    write_credential(path, Credential(key, jwt))
    found = read_credential(path)
    assert (found.jwt, found.key.public, found.user.name) == (jwt, key.public, "s/e")
    assert Verifier(key.public).holds(b"nonce", base64.b64decode(found.answer("nonce")))
    with pytest.raises(Invalid, match="another key"):
        _ = Credential(Key.new("user"), jwt).user
    path.chmod(0o644)
    with pytest.raises(Invalid, match="others may read"):
        read_credential(path)


@pytest.mark.parametrize(
    "text", ["", "no credential", "-----BEGIN USER NKEY SEED-----\nX\n------END USER NKEY SEED------"]
)
def test_what_is_no_credential_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.creds"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Invalid):
        read_credential(path)
