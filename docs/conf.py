"""The site: Markdown through MyST, reference pages from the docstrings. Builds without the network and without torch.

Checked by `sphinx-build -n -W docs docs/_build`: every reference leads somewhere and there is no warning.
"""

import re
from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Final

from sphinx.application import Sphinx

project = "Tumour detection and segmentation"
author = "The tumour detection and segmentation developers"
project_copyright = author
release = installed_version("tds-cli")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "tests", "claims"]
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Types stand in signatures only, so what begins a "Returns" before a colon is prose.
napoleon_use_rtype = False
# Literal blocks in docstrings are trees and tables; examples with prompts are known as Python by their prompts.
highlight_language = "none"

_RAISES: Final = re.compile(r":raises (\w+):(.*)")
_NOT_OURS: Final = r"(?:collections|datetime|enum|logging|numbers|np|numpy|pathlib|PIL|pydicom|types|typing)\..+"

nitpick_ignore = [
    # Sphinx cuts the type of a value, `tuple[float, float] | None`, at its comma.
    ("py:class", "tuple[float"),
    ("py:class", "tuple[int"),
    ("py:class", "dict[bool"),
    ("py:class", "tuple[~tds_core.description.Member"),
    ("py:class", "tuple[~tds_clinical.measurement.diameters.LesionMeasurement"),
]
nitpick_ignore_regex = [
    # The site builds without the network, so there is no inventory of other projects to link to.
    (r"py:.*", _NOT_OURS),
    # What a prepared report keeps to itself.
    (r"py:class", r"tds_clinical\.reports\.(album|content|language)\..*"),
]

html_theme = "furo"
html_title = project
html_theme_options: dict[str, object] = {"footer_icons": []}
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Extend the build."""
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)  # before napoleon, at 500
    app.connect("autodoc-process-docstring", _name_errors_fully, priority=600)  # after it


def _keep_colons(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Begin the docstrings of values with an empty comment, or napoleon takes what stands before a colon for a type."""
    if what in {"attribute", "data", "property"}:
        lines[:0] = ["..", ""]


def _name_errors_fully(
    _app: Sphinx, _what: str, name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Say whose error is raised: packages of ours have errors of the same name, which the root of each exports."""
    root = name.partition(".")[0]
    known = set(import_module(root).__all__)
    for number, line in enumerate(lines):
        raised = _RAISES.fullmatch(line)
        if raised and raised[1] in known:
            lines[number] = f":raises ~{root}.{raised[1]}:{raised[2]}"
