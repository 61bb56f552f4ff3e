"""Files that commands write, looked at before long work begins."""

import os
from collections.abc import Callable
from pathlib import Path

from tds_cli.errors import UsageFault
from tds_data.errors import DataError


def check_target_file(target: Path, *, what: str, read: Callable[[Path], object]) -> None:
    """Refuse early a file that cannot be written, or that would take the place of something else.

    Args:
        target: The file to write.
        what: What it is to hold, for the message.
        read: Raises an error of tds_data for a file that holds anything else.

    Raises:
        UsageFault: If its folder is missing or cannot be written to, or what is there was not written by the command.
    """
    folder = target.absolute().parent
    if not folder.is_dir():
        message = f"there is no folder {str(folder)!r}; make it first"
        raise UsageFault(message)
    if not os.access(folder, os.W_OK | os.X_OK):
        message = f"the folder {str(folder)!r} cannot be written to; choose another or change its permissions"
        raise UsageFault(message)
    if not target.exists():
        return
    try:
        read(target)
    except DataError as error:
        message = f"{str(target)!r} holds no {what}, so it is not replaced; choose another name"
        raise UsageFault(message) from error
