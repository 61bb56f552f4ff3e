"""From a trained network to a bundle, ensembles of bundles, and bundles of MONAI."""

from tds_core.training.export.ensemble import EnsembleNaming, make_ensemble
from tds_core.training.export.facts import DatasetFacts, TrainingFacts, read_facts
from tds_core.training.export.network_files import (
    GraphSpec,
    export_graph,
    finite_copy,
    point_at_weights,
    read_network,
    read_weights,
    round_to_half,
    write_network,
)
from tds_core.training.export.packing import BundleContent, PackedBundle, pack_bundle
from tds_core.training.export.runs import BundleNaming, export_bundle, export_run

__all__ = [
    "BundleContent",
    "BundleNaming",
    "DatasetFacts",
    "EnsembleNaming",
    "GraphSpec",
    "PackedBundle",
    "TrainingFacts",
    "export_bundle",
    "export_graph",
    "export_run",
    "finite_copy",
    "make_ensemble",
    "pack_bundle",
    "point_at_weights",
    "read_facts",
    "read_network",
    "read_weights",
    "round_to_half",
    "write_network",
]
