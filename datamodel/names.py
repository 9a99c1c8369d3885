"""Names, labels and paths: their syntax and nothing else.

A path names a node by its way from the root: `/garden/beds/b/flowers/f`. Collections and singletons are lower-case
words that the model declares; names are DNS labels (RFC 1123), so a path is also a NATS subject and a URL.
"""

import re
from collections.abc import Mapping

from datamodel.errors import Invalid

NAME_LIMIT = 63
LABELS_LIMIT = 64

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def check_name(name: str, field: str = "/metadata/name") -> str:
    """The name itself; raises `Invalid` where it is no DNS label (1 to 63 of a-z, 0-9 and `-`, no `-` at the ends)."""
    if _NAME.fullmatch(name) is None:
        raise Invalid(f"{name[:80]!r} is not a DNS label: 1 to 63 of a-z, 0-9 and '-', no '-' at the ends", field=field)
    return name


def check_labels(labels: Mapping[str, str], field: str = "/metadata/labels") -> None:
    """Raises `Invalid` where a label breaks Kubernetes' syntax or there are more than 64."""
    if len(labels) > LABELS_LIMIT:
        raise Invalid(f"{len(labels)} labels are more than {LABELS_LIMIT}", field=field)
    for key, value in labels.items():
        pointer = f"{field}/{key.replace('~', '~0').replace('/', '~1')[:200]}"
        if _LABEL_KEY.fullmatch(key) is None:
            raise Invalid(f"{key[:80]!r} is not a label key ([prefix/]name)", field=pointer)
        if _LABEL_VALUE.fullmatch(value) is None:
            raise Invalid("a label's value is at most 63 letters, digits, '-', '_' and '.'", field=pointer)


def subject_of(path: str) -> str:
    """The NATS subject tokens of a path: `/garden/beds/b` → `garden.beds.b`."""
    return path[1:].replace("/", ".")


def is_within(path: str, ancestor: str) -> bool:
    """Whether `path` is `ancestor` or below it."""
    return path == ancestor or path.startswith(ancestor + "/")


def last_name(path: str) -> str:
    return path[path.rfind("/") + 1 :]
