"""A topology in letters."""

from typing import Final

from tds_core.training.dints.architecture import Architecture

_LETTERS: Final = {
    "skip_connect": "=",
    "conv_3x3x3": "3",
    "conv_3x3x1": "z",
    "conv_3x1x3": "y",
    "conv_1x3x3": "x",
}
_LEGEND: Final = """\
Rows are resolutions, and the blocks lie between the columns; o is a level in use. The letter on a path is its
operation: = nothing, 3 a 3x3x3 convolution, x, y or z a flat one and then one along that axis.
"""


def draw(architecture: Architecture) -> str:
    r"""Return a picture of an architecture, with a legend.

    Args:
        architecture: The network.

    Examples:
        >>> from tds_core.training.dints.architecture import Edge
        >>> down, up = (Edge(source=s, target=t, operation="conv_3x3x3") for s, t in ((0, 1), (1, 0)))
        >>> tiny = Architecture(channels=8, depths=2, downsample=False, blocks=((down,), (up,)))
        >>> print("\n".join(draw(tiny).splitlines()[:3]))
        1   o       .       o
             \3           3/
        1/2 .       o       .
    """
    rows = []
    names = [_resolution(architecture, level) for level in range(architecture.depths)]
    width = max(map(len, names))
    for level, name in enumerate(names):
        rows.append(f"{name:<{width}} {_nodes(architecture, level)}")
        if level + 1 < architecture.depths:
            rows.append(f"{'':<{width}} {_diagonals(architecture, level)}")
    picture = "\n".join(row.rstrip() for row in rows)
    return f"{picture}\n\n{_LEGEND}"


def _resolution(architecture: Architecture, level: int) -> str:
    divisor = 2 ** (level + architecture.downsample)
    return "1" if divisor == 1 else f"1/{divisor}"


def _nodes(architecture: Architecture, level: int) -> str:
    nodes = ["o" if level in used else "." for used in architecture.nodes]
    paths = [_letter(architecture, number, level, level) for number in range(len(architecture.blocks))]
    return nodes[0] + "".join(
        (f"---{path}---" if path else " " * 7) + node for path, node in zip(paths, nodes[1:], strict=True)
    )


def _diagonals(architecture: Architecture, level: int) -> str:
    cells = []
    for number in range(len(architecture.blocks)):
        down = _letter(architecture, number, level, level + 1)
        up = _letter(architecture, number, level + 1, level)
        left, right = f"\\{down}" if down else "", f"{up}/" if up else ""
        cells.append(f" {left:<3} {right:>3}")
    return "".join(cells)


def _letter(architecture: Architecture, number: int, source: int, target: int) -> str:
    for edge in architecture.blocks[number]:
        if (edge.source, edge.target) == (source, target):
            return _LETTERS[edge.operation]
    return ""
