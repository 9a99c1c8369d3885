"""Selectors: which nodes are meant, by their labels (in Kubernetes' syntax) and by the fields that their kind declares.

Pure text in, pure answers out. What is wrong with a text is told with the column, counted from 1.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from datamodel.errors import Invalid
from datamodel.names import check_labels

LENGTH_LIMIT = 4_096
REQUIREMENTS_LIMIT = 64
VALUES_LIMIT = 64
"""Of one set."""

LABEL_FIELD, FIELD_FIELD = "/labelSelector", "/fieldSelector"

Operator = Literal["in", "notin", "exists", "absent"]

_TOKEN = re.compile(r"\s*(?:(?P<sign>==|!=|=|!|,|\(|\))|(?P<word>[^\s=!,()<>]+))")
_FIELD = re.compile(r"\s*(?P<name>[A-Za-z0-9.]+)\s*(?P<sign>==|!=|=)(?P<value>(?:\\.|[^\\,])*)(?P<end>,|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that must hold of a key: its value is one of these, is none of these (or there is none), it exists, or it
    does not. `values` are sorted and distinct."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, values: Mapping[str, str]) -> bool:
        found = values.get(self.key)
        match self.operator:
            case "in":
                return found in self.values
            case "notin":
                return found not in self.values
            case "exists":
                return found is not None
        return found is None


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements that must hold together; without any, everything is meant."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, values: Mapping[str, str]) -> bool:
        return all(requirement.holds(values) for requirement in self.requirements)


EVERYTHING = Selector()


def label_selector(text: str) -> Selector:
    """What a label selector says: `a=b,a==b,a!=b,a in (x,y),a notin (x,y),a,!a`. A key that has no value is not equal to any.
    Raises `Invalid` naming `/labelSelector`."""
    _check_length(text, LABEL_FIELD)
    return Selector(tuple(_LabelParser(text).requirements()) if text.strip() else ())


def field_selector(text: str, known: Collection[str]) -> Selector:
    r"""What a field selector says: `status.phase=running,spec.priority!=3`, on `known` fields. In a value `\,` is a comma,
    `\=` an equals sign and `\\` a backslash. Raises `Invalid` naming `/fieldSelector`."""
    _check_length(text, FIELD_FIELD)
    found: list[Requirement] = []
    at = 0
    while text.strip() and (at < len(text) or not found or text.endswith(",")):
        term = _FIELD.match(text, at)
        if term is None:
            raise _wrong(FIELD_FIELD, at + 1, "expected field=value or field!=value")
        if term["name"] not in known:
            fields = ", ".join(sorted(known))
            raise _wrong(
                FIELD_FIELD, term.start("name") + 1, f"{term['name'][:80]!r} is not selectable; there are {fields}"
            )
        value = re.sub(r"\\(.)", r"\1", term["value"], flags=re.DOTALL).strip()
        if "\x00" in value:
            raise _wrong(FIELD_FIELD, term.start("value") + 1, "a zero byte is in no value")
        found.append(Requirement(term["name"], "notin" if term["sign"] == "!=" else "in", (value,)))
        _check_number(found, FIELD_FIELD, term.start() + 1)
        at = term.end()
        if not term["end"]:
            break
    return Selector(tuple(found))


def written_labels(selector: Selector) -> str:
    """The text that `label_selector` reads as this selector."""
    return ",".join(_written_label(requirement) for requirement in selector.requirements)


def written_fields(selector: Selector) -> str:
    """The text that `field_selector` reads as this selector."""
    signs = {"in": "=", "notin": "!="}
    return ",".join(
        f"{requirement.key}{signs[requirement.operator]}{_escaped(value)}"
        for requirement in selector.requirements
        for value in requirement.values
    )


def _written_label(requirement: Requirement) -> str:
    key, values = requirement.key, requirement.values
    match requirement.operator:
        case "exists":
            return key
        case "absent":
            return f"!{key}"
        case "in" if len(values) == 1:
            return f"{key}={values[0]}"
        case "notin" if len(values) == 1:
            return f"{key}!={values[0]}"
    return f"{key} {requirement.operator} ({','.join(values)})"


def _escaped(value: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", value)


class _LabelParser:
    """One reading of a text, token by token; each is the sign or word and its column."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        found: list[Requirement] = []
        while True:
            column = self._peek()[1]
            found.append(self._requirement())
            _check_number(found, LABEL_FIELD, column)
            yield found[-1]
            sign, column = self._next()
            if not sign:
                return
            if sign != ",":
                raise _wrong(LABEL_FIELD, column, f"expected ',' or the end, not {sign[:80]!r}")

    def _requirement(self) -> Requirement:
        if self._peek()[0] == "!":
            self._next()
            return Requirement(self._key(), "absent")
        key = self._key()
        sign, column = self._peek()
        if sign in ("", ","):
            return Requirement(key, "exists")
        self._next()
        match sign:
            case "=" | "==":
                return Requirement(key, "in", (self._value(key),))
            case "!=":
                return Requirement(key, "notin", (self._value(key),))
            case "in":
                return Requirement(key, "in", self._values(key))
            case "notin":
                return Requirement(key, "notin", self._values(key))
        raise _wrong(LABEL_FIELD, column, f"expected =, ==, !=, in or notin, not {sign[:80]!r}")

    def _key(self) -> str:
        key, column = self._next()
        _check_label({key: ""}, column)
        return key

    def _value(self, key: str) -> str:
        """A value, or an empty one where none is written."""
        value, column = self._peek()
        if value in ("", ",", ")"):
            return ""
        self._next()
        _check_label({key: value}, column)
        return value

    def _values(self, key: str) -> tuple[str, ...]:
        sign, column = self._next()
        if sign != "(":
            raise _wrong(LABEL_FIELD, column, "expected '('")
        values = {self._value(key)}
        while (token := self._next())[0] == ",":
            values.add(self._value(key))
            if len(values) > VALUES_LIMIT:
                raise _wrong(LABEL_FIELD, token[1], f"a set has at most {VALUES_LIMIT} values")
        if token[0] != ")":
            raise _wrong(LABEL_FIELD, token[1], "expected ',' or ')'")
        return tuple(sorted(values))

    def _peek(self) -> tuple[str, int]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, int]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Ends with an empty token after the last character."""
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise _wrong(LABEL_FIELD, at + 1, f"{text[at]!r} has no meaning here")
        yield found[found.lastgroup or 0], found.start(found.lastgroup or 0) + 1
        at = found.end()
    yield "", len(text) + 1


def _check_label(label: dict[str, str], column: int) -> None:
    try:
        check_labels(label)
    except Invalid as error:
        raise _wrong(LABEL_FIELD, column, error.message) from error


def _check_length(text: str, field: str) -> None:
    if len(text) > LENGTH_LIMIT:
        raise Invalid(f"a selector has at most {LENGTH_LIMIT} characters", field=field)


def _check_number(found: Collection[Requirement], field: str, column: int) -> None:
    if len(found) > REQUIREMENTS_LIMIT:
        raise _wrong(field, column, f"a selector has at most {REQUIREMENTS_LIMIT} requirements")


def _wrong(field: str, column: int, message: str) -> Invalid:
    return Invalid(f"column {column}: {message}", field=field)
