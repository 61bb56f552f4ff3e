"""What the pictures themselves say: checks of content, behind `check_content`.

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tds_data.quality.content.check import check_content, check_view
    from tds_data.quality.content.view import ContentView, make_view

__all__ = ["ContentView", "check_content", "check_view", "make_view"]

_HOMES: Final = {"check_content": "check", "check_view": "check", "ContentView": "view", "make_view": "view"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
