"""Paths of a configuration, which start from the file that it is in."""

from dataclasses import replace
from pathlib import Path

from tds_core.training.config import TrainingConfig
from tds_core.training.dints import inline_architecture


def with_absolute_paths(config: TrainingConfig, base: Path) -> TrainingConfig:
    """Return a configuration whose paths do not depend on where it is read.

    The architecture of the network `dints` is read and put in place of its file, so that runs and bundles need no other
    file.

    Args:
        config: With paths relative to `base`, or absolute ones.
        base: Folder of the configuration file.

    Raises:
        ConfigError: If the file of an architecture cannot be used.
    """

    def place(path: Path | None) -> Path | None:
        return None if path is None else (base / path).resolve()

    data, split = config.data, config.data.split
    return replace(
        config,
        data=replace(
            data,
            datasets=tuple(replace(source, path=place(source.path)) for source in data.datasets),
            split=replace(split, file=place(split.file)),
            cache=place(data.cache),
        ),
        network=replace(
            config.network,
            weights=place(config.network.weights),
            options=inline_architecture(config.network.options, base),
        ),
        plan=place(config.plan),
    )
