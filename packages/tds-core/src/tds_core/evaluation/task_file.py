"""What label maps mean, by the name of a task or from a file."""

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

import yaml

from tds_core.errors import ConfigError
from tds_data.task import TASKS, Task, find_task

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_ASSUMED: Final[Mapping[str, object]] = {"channels": ["image"], "windows": {}, "lesions_only": False}


def choose_task(text: str) -> Task:
    """Return a task by its name, or from a YAML or JSON file with `name`, `labels` and `regions`.

    Args:
        text: The name or the path; a path ends in `.yaml`, `.yml` or `.json`.

    Raises:
        TaskError: If there is no such task, naming the nearest, or the file describes none (from tds_data).
        ConfigError: If the file cannot be read, or has a key that a task has not.
    """
    if text in TASKS or Path(text).suffix.lower() not in _SUFFIXES:
        return find_task(text)
    try:
        document = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"cannot read the task {text!r}: {error}"
        raise ConfigError(message) from error
    if not isinstance(document, Mapping):
        message = f"the task {text!r} is no mapping; write name, labels and regions"
        raise ConfigError(message)
    known = [field.name for field in fields(Task)]
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            message = f"the task {text!r} has the unknown key {key!r}; {hint}"
            raise ConfigError(message)
    return Task.from_dict({**_ASSUMED, **document})
