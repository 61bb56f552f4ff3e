"""Search over topologies of segmentation networks (DiNTS) and what it leaves behind.

`SearchLearner` is what `fit` drives; `write_search_result` turns its network into `architecture.yaml`, which the
network `dints` of the registry is built from.
"""

from tds_core.training.dints.architecture import (
    OPERATIONS,
    Architecture,
    Edge,
    inline_architecture,
    load_architecture,
)
from tds_core.training.dints.diagram import draw
from tds_core.training.dints.learner import SearchLearner
from tds_core.training.dints.networks import FoundNetwork, build_found_network, build_search_network
from tds_core.training.dints.options import DintsOptions, DintsSearchOptions, SearchConfig
from tds_core.training.dints.result import ARCHITECTURE_NAME, DIAGRAM_NAME, decode, write_search_result
from tds_core.training.dints.source import PairedSource, split_patients

__all__ = [
    "ARCHITECTURE_NAME",
    "DIAGRAM_NAME",
    "OPERATIONS",
    "Architecture",
    "DintsOptions",
    "DintsSearchOptions",
    "Edge",
    "FoundNetwork",
    "PairedSource",
    "SearchConfig",
    "SearchLearner",
    "build_found_network",
    "build_search_network",
    "decode",
    "draw",
    "inline_architecture",
    "load_architecture",
    "split_patients",
    "write_search_result",
]
