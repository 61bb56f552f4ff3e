"""From YAML to configuration dataclasses and back; unknown keys are errors that name the nearest right one."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from tds_core.errors import ConfigError
from tds_data.errors import TaskError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_TEXT: Final = "tag:yaml.org,2002:str"
_EXPONENT: Final = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def read_document(path: Path) -> object:
    """Return the plain values of a YAML file.

    Args:
        path: The file.

    Raises:
        ConfigError: If it cannot be read.
    """
    if not path.is_file():
        message = f"there is no file {str(path)!r}; check the path"
        raise ConfigError(message)
    try:
        document: object = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"cannot read the configuration {path.name!r}: {error}"
        raise ConfigError(message) from error
    return document


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice: YAML would take the last one and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # as its base has it
        """Return a mapping whose keys are all different.

        Args:
            node: Of the file.
            deep: As its base has it.
        """
        names = [key.value for key, _ in node.value if key.tag == _TEXT]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def parse(kind: type[T], document: object, where: str = "") -> T:
    """Return a configuration dataclass from plain YAML values.

    Args:
        kind: The dataclass.
        document: A mapping of its fields.
        where: Dotted path of the mapping inside the file, for messages; empty or ending in a dot.

    Raises:
        ConfigError: If a key is unknown or missing, or a value is of the wrong kind or out of range.
    """
    if not isinstance(document, Mapping):
        name = where.rstrip(".") or "the configuration"
        message = f"{name} must be a mapping of keys to values, not {type(document).__name__}"
        raise ConfigError(message)
    _check_keys(kind, document, where)
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], value, f"{where}{key}") for key, value in document.items()}
    try:
        return kind(**values)
    except (ConfigError, TaskError) as error:
        if not where and isinstance(error, ConfigError):
            raise
        message = f"{where.rstrip('.') or 'the configuration'}: {error}"
        raise ConfigError(message) from error


def to_document(config: "DataclassInstance") -> dict[str, Any]:
    """Return a configuration as plain YAML values, every default filled in.

    Args:
        config: The configuration.
    """
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config)}


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return to_document(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _check_keys(kind: type[T], document: Mapping[Any, object], where: str) -> None:
    known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            message = f"unknown key '{where}{key}'; {hint}"
            raise ConfigError(message)
    absent = [name for name, required in known.items() if required and name not in document]
    if absent:
        message = f"{where.rstrip('.') or 'the configuration'} lacks {', '.join(absent)}; add it"
        raise ConfigError(message)


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401  # a field's type, whatever it is
    origin, options = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _one_of(options, value, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return parse(hint, value, f"{where}.")
    if origin is tuple:
        return _items(options, value, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            message = f"{where} must be a mapping, not {value!r}"
            raise ConfigError(message)
        return {_value(options[0], k, where): _value(options[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(hint, value, where)


def _one_of(options: tuple[Any, ...], value: object, where: str) -> object:
    if value is None and type(None) in options:
        return None
    real = [option for option in options if option is not type(None)]
    errors = []
    for option in real:
        try:
            return _value(option, value, where)
        except ConfigError as error:
            errors.append(error)
    # A mapping was meant for the dataclass among the options: its own complaint says most.
    raise errors[-1] if isinstance(value, Mapping) else errors[0]


def _items(options: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        message = f"{where} must be a list, not {value!r}"
        raise ConfigError(message)
    if options[-1] is Ellipsis:
        return tuple(_value(options[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(options):
        message = f"{where} must be a list of {len(options)}, not {list(value)!r}"
        raise ConfigError(message)
    return tuple(_value(option, item, where) for option, item in zip(options, value, strict=True))


def _scalar(kind: type, value: object, where: str) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)  # YAML 1.1 takes 1e-3 for a word
    if issubclass(kind, Enum) and isinstance(value, str):
        return _member(kind, value, where)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind not in {bool, object}):
        message = f"{where} must be of type {kind.__name__}, not {value!r}"
        raise ConfigError(message)
    return value


def _member(kind: type[Enum], value: str, where: str) -> Enum:
    known = [str(member.value) for member in kind]
    if value in known:
        return kind(value)
    near = difflib.get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    message = f"{where} cannot be {value!r}; {hint}"
    raise ConfigError(message)
