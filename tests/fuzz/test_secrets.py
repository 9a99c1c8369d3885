"""What comes from outside about secrets: documents, questions, answers, keys. What is wrong with a value is said without it."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, PublicKey, SealedBox

from agents.secrets.asking import Asking
from datamodel.errors import Invalid
from datamodel.feed.memory import MemoryMessages
from datamodel.scheduling.handover import (
    UNREADABLE,
    WIRE_VERSION,
    Answer,
    Ask,
    Handed,
    answer_subject,
    decode_handed,
    encode,
)
from datamodel.secrets.keyring import Keyring, Seal
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import LIMIT_BYTES, revealed, values_in
from reconcilers.handover import _checked
from tests.fuzz.budget import budget

CANARY = "cAnArY-7f3a91"
ATTEMPT = f"{'a' * 32}-0-1"
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(CANARY) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "data", "a", CANARY + " "]), inner)
    ),
    max_leaves=6,
)
_documents = st.dictionaries(st.sampled_from(["value", "data", "x", CANARY]), _json, max_size=3)


@budget(300)
@given(_documents)
def test_a_document_is_a_secret_or_invalid_without_its_value(document: dict[str, Any]) -> None:
    if refused := _said(lambda: values_in(document)):
        assert CANARY not in refused
        return
    values = values_in(document)
    plain = revealed(values)
    assert plain == (document["data"] if "data" in document else {"value": document["value"]})
    assert sum(len(value.encode()) for value in plain.values()) <= LIMIT_BYTES
    assert CANARY not in repr(values)


@budget(200)
@given(st.data())
def test_bytes_are_a_question_or_refused(data: st.DataObject) -> None:
    body = bytearray(encode(Ask(WIRE_VERSION, "s", "e", "e", ATTEMPT, "0" * 32)))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[at] = data.draw(st.integers(0, 255))
    try:
        ask = _checked("s", "e", bytes(body[: data.draw(st.integers(0, len(body)))]))
    except (Invalid, *UNREADABLE):
        return
    assert (ask.site, ask.agent) == ("s", "e")


@budget(200)
@given(st.data())
async def test_bytes_are_an_answer_or_nothing(data: st.DataObject) -> None:
    messages, told = MemoryMessages(), list[tuple[str, Handed | Answer]]()
    asking, asked = Asking(messages, "s", "e"), list[bytes]()
    await asking.listen(lambda attempt, what: told.append((attempt, what)))
    await messages.subscribe("secrets.*.*", lambda _, body: asked.append(body))
    await asking.ask("e", ATTEMPT)
    nonce = _checked("s", "e", asked[0]).nonce
    handed = Handed(ATTEMPT, nonce, {"a": {"value": CANARY}})
    box = SealedBox(
        PrivateKey.generate().public_key if data.draw(st.booleans()) else PublicKey(base64.b64decode(asking.public_key))
    )
    body = bytearray(encode(Answer(ATTEMPT, nonce, box.encrypt(encode(handed)))))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=3)):
        body[at] = data.draw(st.integers(0, 255))
    await messages.publish(answer_subject("s", "e"), bytes(body))
    assert all(attempt == ATTEMPT and (what == handed or isinstance(what, Answer)) for attempt, what in told)
    assert len(told) <= 1


@budget(100)
@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda body: body.hex()))
def test_text_is_keys_or_invalid_without_it(text: str) -> None:
    always = _said(lambda: Keyring.of("?")) + _said(lambda: Seal.of("?"))
    assert len(text) < 4 or text in always or text not in _said(lambda: Keyring.of(text)) + _said(lambda: Seal.of(text))


@budget(100)
@given(st.binary(max_size=200))
def test_what_was_not_sealed_does_not_open(body: bytes) -> None:
    key = PrivateKey.generate()
    keyring = Keyring([key])
    for sealed in (body, SealedBox(key.public_key).encrypt(body)):
        with pytest.raises(Invalid):
            keyring.open(keyring.seal.id, Scope("default", "u"), "name", sealed)
    with pytest.raises(UNREADABLE):
        decode_handed(body)


def _said(call: Callable[[], object]) -> str:
    """All that an error tells where a call is refused; nothing where it is not."""
    try:
        call()
    except Invalid as error:
        return f"{error} {error.field} {error.details} {error.__cause__ or ''!r}"
    return ""
