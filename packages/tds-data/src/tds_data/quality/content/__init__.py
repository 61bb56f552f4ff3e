"""What the pictures themselves say: checks of content, behind `check_content`.

Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.quality.content.check import check_content, check_view
    from tds_data.quality.content.view import ContentView, make_view

__all__ = ["ContentView", "check_content", "check_view", "make_view"]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "check": ("check_content", "check_view"),
        "view": ("ContentView", "make_view"),
    },
)
