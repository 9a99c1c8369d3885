"""What comes from outside about identities: keys, JWTs, credentials, tokens, wishes to join, questions to the desk. Whatever
comes is one or is told to be none, and what is wrong with a secret is said without it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datamodel.errors import Forbidden, Invalid
from datamodel.identity.claims import is_same_account, read_user, revoked_in, user_jwt
from datamodel.identity.credentials import Credential
from datamodel.identity.envelope import seal
from datamodel.identity.nkeys import Key, Verifier
from datamodel.scheduling import desk, joining
from datamodel.scheduling.joining import Join, Token, join_subject
from reconcilers.joining import _opened
from tests.fuzz.budget import budget

KEY, SIGNER = Key("user", bytes(range(32))), Key("account", bytes(range(1, 33)))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
JWT = user_jwt(SIGNER, SIGNER.public, KEY.public, "s/e", NOW, expires=None, tags=["site:s"])
TOKEN = Token("s", "t", Credential(KEY, JWT))
SUBJECT = join_subject("s", "t")


def changed(text: str) -> st.SearchStrategy[str]:
    """The text with a piece of it taken out or replaced."""
    places = st.tuples(st.integers(0, len(text)), st.integers(0, 9), st.text(max_size=3))
    return places.map(lambda place: text[: place[0]] + place[2] + text[place[0] + place[1] :])


READERS: list[tuple[Callable[[str], Any], str]] = [
    (Key.of, KEY.seed),
    (Verifier, KEY.public),
    (read_user, JWT),
    (revoked_in, JWT),
    (lambda text: is_same_account(text, JWT), JWT),
    (Credential.of, Credential(KEY, JWT).text),
    (Token.of, TOKEN.text),
]


@pytest.mark.parametrize(("read", "good"), READERS)
def test_a_text_is_read_or_refused(read: Callable[[str], Any], good: str) -> None:
    @budget(60)
    @given(st.text(max_size=200) | changed(good))
    @example("\ud800")
    @example("." * 99)
    def check(text: str) -> None:
        said = ""
        try:
            read(text)
        except Invalid as error:
            said = error.message
        assert KEY.seed[8:30] not in said

    read(good)
    check()


def test_a_token_is_as_it_was_written() -> None:
    again = Token.of(f" {TOKEN.text}\n")
    assert (again.site, again.name, again.credential.key.seed, again.credential.jwt) == ("s", "t", KEY.seed, JWT)
    assert KEY.seed not in repr(again)


_numbers = st.integers(-1, 2**54)
_asked = st.one_of(
    st.sampled_from([{"type": "newest"}, {"type": "renew"}, {"type": "limit"}, {"type": "other"}, {}]),
    st.fixed_dictionaries({"type": st.sampled_from(["wait", "leave"]), "epoch": _numbers}),
    st.fixed_dictionaries(
        {"type": st.just("numbers"), "key": st.sampled_from(["s.e.a.x", "*", ">", "s..e", "", "a" * 999])}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("follow"),
            "epoch": _numbers,
            "inbox": st.sampled_from(["0" * 32, "*", ">", "a.b", ""]),
            "edges": st.lists(st.sampled_from(["e", "*", ""]), max_size=20),
            "heartbeat_s": st.floats(-1, 100),
        },
        optional={"after": _numbers},
    ),
)


@budget(200)
@given(st.fixed_dictionaries({"number": _numbers, "asked": _asked}).map(msgspec.json.encode) | st.binary(max_size=99))
def test_a_question_is_within_its_bounds_or_none(body: bytes) -> None:
    try:
        question = desk.decode_question(body)
    except desk.UNREADABLE:
        return
    match question.asked:
        case desk.Follow(epoch=epoch, inbox=inbox, edges=edges, heartbeat_s=beat_s):
            assert 0 <= epoch <= 2**53
            assert inbox == "0" * 32
            assert len(edges) <= 16
            assert 0.5 <= beat_s <= 60
        case desk.Numbers(key=key):
            assert key in {"s.e.a.x", "s..e"}


@budget(200)
@given(
    st.binary(max_size=300)
    | st.fixed_dictionaries(
        {
            "version": st.integers(0, 2),
            "agent": st.sampled_from(["e", "E", "", "a.b", "*", "e" * 63]),
            "publicKey": st.sampled_from([KEY.public, SIGNER.public, Key("user", bytes(32)).public, ""]),
            "count": _numbers,
        }
    ).map(lambda wish: seal(KEY, SUBJECT, msgspec.json.encode(wish)))
)
@example(seal(KEY, join_subject("s", "other"), joining.encode(Join(1, "e", KEY.public, 1))))
@example(seal(KEY, SUBJECT, joining.encode(Join(1, "e", KEY.public, 1))))
def test_a_wish_to_join_is_an_agents_own_or_none(body: bytes) -> None:
    try:
        join = _opened(SUBJECT, body)
    except (Forbidden, Invalid, *joining.UNREADABLE):
        return
    assert join.public_key == KEY.public
    assert join.version == 1
    assert join.agent in ("e", "e" * 63)
    assert 1 <= join.count <= 10_000
