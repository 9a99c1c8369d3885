"""What looks like a credential, by a variable's name or by its value. In doubt it is one: the price is `***` in a log.

The names are those that Hades masks (`shared/redact` in github.com/ls1intum/hades), and `key` and `pass` in any form.
"""

import re

_NAME = re.compile(r"token|pass|pwd|secret|key|credential|auth|private|cert|signing|session", re.IGNORECASE)
_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # user:password in the URL of whatever
    r"|\bhttps?://[^/\s@]+@"  # a token in place of a user
    r"|-----BEGIN"
    r"|(?<![\w-])eyJ[\w-]{6,}\.[\w-]{6,}\."  # a JSON web token
)


def is_credential(name: str, value: str) -> bool:
    """Whether the value of such a variable is to be kept as a secret. There is nothing to keep of an empty one."""
    return bool(value) and (_NAME.search(name) is not None or has_credential(value))


def has_credential(text: str) -> bool:
    """Whether a text shows one by its form."""
    return _VALUE.search(text) is not None


def names_credential(name: str) -> bool:
    """Whether what is called so is one."""
    return _NAME.search(name) is not None
