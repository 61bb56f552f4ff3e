"""What a search leaves behind: `architecture.yaml` with the reasons, and a picture of it in letters."""

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from monai.networks.nets.dints import DiNTS, TopologySearch

from tds_core.training.config import to_document
from tds_core.training.dints.architecture import FORMAT, OPERATIONS, Architecture, Edge
from tds_core.training.dints.diagram import draw
from tds_core.training.dints.memory import found_memory, largest_memory, path_memory, smallest_memory
from tds_core.training.dints.options import DintsSearchOptions
from tds_core.training.dints.penalties import PenaltyMeter
from tds_data.atomic_file import write_text

log = logging.getLogger(__name__)

ARCHITECTURE_NAME: Final = "architecture.yaml"
DIAGRAM_NAME: Final = "architecture.txt"

_DIGITS: Final = 4
_FAR: Final = 0.5
"""Where memory found and expected differ by more than this share of the latter, the search has not decided."""
_HEAD: Final = """\
# What a search over topologies found (DiNTS, He et al. 2021, arXiv:2103.15954).
# Research software, not a medical device.
# To train it, name this file in a configuration: network: {name: dints, options: {architecture: THIS FILE}}.
# `search` holds the reasons and is not read. Memory is a share of the largest network of the space.
"""


def decode(network: DiNTS, options: DintsSearchOptions) -> Architecture:
    """Return the most probable network whose blocks fit each other.

    MONAI finds it as the shortest way through a graph of all sets of paths of all blocks, whose matrix it fills: with
    4 depths and 12 blocks that is 1.2 GB of the host's memory, and more for copies of it.

    Args:
        network: Of a search.
        options: That it was built with.
    """
    space = network.dints_space
    _, paths, operations, _ = space.decode()
    blocks = tuple(
        tuple(
            Edge(source=source, target=target, operation=OPERATIONS[int(operations[number, path])])
            for path, (source, target) in enumerate(_ends(space))
            if paths[number, path]
        )
        for number in range(options.blocks)
    )
    return Architecture(
        channels=options.channels,
        depths=options.depths,
        downsample=options.downsample,
        norm=options.norm,
        groups=options.groups,
        blocks=blocks,
    )


def write_search_result(folder: Path, network: DiNTS, options: DintsSearchOptions) -> Architecture:
    """Write `architecture.yaml` and `architecture.txt`, and return the architecture.

    A warning is logged if the network found takes quite another memory than the search expected, which is a sign that
    the search has not decided.

    Args:
        folder: Of the run.
        network: Of the search.
        options: That it was built with.

    Raises:
        OSError: If the files cannot be written.
    """
    found = decode(network, options)
    reasons = _reasons(network, options, found)
    memory = reasons["memory"]
    if abs(memory["found"] - memory["expected"]) > _FAR * memory["expected"]:
        log.warning("search_undecided expected=%s found=%s more=epochs", memory["expected"], memory["found"])
    document = {"format": FORMAT, "architecture": to_document(found), "search": reasons}
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120)
    write_text(folder / ARCHITECTURE_NAME, _HEAD + text)
    write_text(folder / DIAGRAM_NAME, draw(found))
    return found


def _reasons(network: DiNTS, options: DintsSearchOptions, found: Architecture) -> dict[str, Any]:
    space = network.dints_space
    memory = path_memory(space)
    largest = largest_memory(memory)
    with torch.no_grad():
        penalties = PenaltyMeter(space).measure()
    shares = {
        "wanted": options.search.memory,
        "found": found_memory(memory, found) / largest,
        "expected": float(penalties.memory),
        "smallest": smallest_memory(memory) / largest,
    }
    return {
        "memory": {name: round(share, _DIGITS) for name, share in shares.items()},
        "probabilities": _probabilities(space, found),
    }


def _probabilities(space: TopologySearch, found: Architecture) -> list[list[dict[str, Any]]]:
    """Return, for each path of each block, how probable it and its operations are."""
    with torch.no_grad():
        paths = np.asarray(space.get_prob_a(child=False)[1].cpu(), np.float64)
        operations = np.asarray(torch.softmax(space.log_alpha_c, -1).cpu(), np.float64)
    chosen = [{(edge.source, edge.target) for edge in block} for block in found.blocks]
    return [
        [
            {
                "source": source,
                "target": target,
                "chosen": (source, target) in chosen[number],
                "probability": round(float(paths[number, path]), _DIGITS),
                "operations": [round(float(p), _DIGITS) for p in operations[number, path]],
            }
            for path, (source, target) in enumerate(_ends(space))
        ]
        for number in range(len(found.blocks))
    ]


def _ends(space: TopologySearch) -> list[tuple[int, int]]:
    return list(zip(space.arch_code2in, space.arch_code2out, strict=True))
