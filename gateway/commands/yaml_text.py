"""Documents as YAML: in their own order, and text of several lines as it is."""

from typing import Any

import yaml


class _Dumper(yaml.CSafeDumper):
    """Plain values only."""


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def yaml_text(document: Any) -> str:
    """A document, without a newline at its end."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return text.rstrip("\n")
