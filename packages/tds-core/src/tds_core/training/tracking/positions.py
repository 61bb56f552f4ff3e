"""How far each back end has got, kept in the run folder so that nothing is delivered twice."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tds_core.training.tracking.journal import TRACKING_FOLDER
from tds_core.training.tracking.targets import write_document

_SUFFIX: Final = ".position.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What one back end has.

    Attributes:
        target: Short name of the address; another address begins anew.
        offset: Bytes of the journal that were delivered.
        run: The back end's own name of the run.
        problem: Why nothing is delivered now; empty if all is well.
        refused: Lines that the back end does not take whatever happens.
    """

    target: str
    offset: int = 0
    run: str = ""
    problem: str = ""
    refused: int = 0


def load_position(folder: Path, name: str) -> Position | None:
    """Return how far a back end has got; `None` if nothing is known.

    Args:
        folder: The run folder.
        name: Of the back end.
    """
    try:
        return Position(**json.loads(_path(folder, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # then everything is offered again, and what is there already is no news
        return None


def save_position(folder: Path, name: str, position: Position) -> None:
    """Write down how far a back end has got.

    Args:
        folder: The run folder.
        name: Of the back end.
        position: That.

    Raises:
        OSError: If that fails.
    """
    write_document(_path(folder, name), asdict(position))


def _path(folder: Path, name: str) -> Path:
    return folder / TRACKING_FOLDER / f"{name}{_SUFFIX}"
