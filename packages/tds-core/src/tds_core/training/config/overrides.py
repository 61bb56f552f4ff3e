"""`--set key=value`: one value of a configuration changed from the command line."""

import copy
from collections.abc import Sequence

import yaml

from tds_core.errors import ConfigError


def apply_overrides(document: object, settings: Sequence[str]) -> object:
    """Return plain YAML values with some changed.

    Args:
        document: What a configuration file holds; not changed.
        settings: `KEY=VALUE` each; KEY is a dotted path such as `optimiser.learning_rate`, where a number is a place in
            a list, and VALUE is YAML. What does not exist is added: whether it may is checked when the whole is read.

    Raises:
        ConfigError: If a setting has no `=`, its value is no YAML, or its path leads through a value.

    Examples:
        >>> apply_overrides({"seed": 0, "length": {"epochs": 9}}, ["length.epochs=2", "device=cpu"])
        {'seed': 0, 'length': {'epochs': 2}, 'device': 'cpu'}
    """
    changed = copy.deepcopy(document)
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found or not key:
            message = f"cannot set {setting!r}; write KEY=VALUE, such as length.epochs=100"
            raise ConfigError(message)
        try:
            value: object = yaml.safe_load(text)
        except yaml.YAMLError as error:
            message = f"cannot set {key!r}: {text!r} is no YAML value ({type(error).__name__})"
            raise ConfigError(message) from error
        _set(changed, key.split("."), value, key)
    return changed


def _set(place: object, path: Sequence[str], value: object, key: str) -> None:
    head, *rest = path
    if isinstance(place, dict):
        if not rest:
            place[head] = value
            return
        if not isinstance(place.get(head), dict | list):
            place[head] = {}
        _set(place[head], rest, value, key)
        return
    if isinstance(place, list) and head.isdecimal() and int(head) < len(place):
        if rest:
            _set(place[int(head)], rest, value, key)
        else:
            place[int(head)] = value
        return
    message = f"cannot set {key!r}: there is no {head!r} in it to set; check the path"
    raise ConfigError(message)
