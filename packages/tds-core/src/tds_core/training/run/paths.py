"""Paths of a configuration, which start from the file that it is in."""

from dataclasses import replace
from pathlib import Path

from tds_core.training.config import TrainingConfig


def with_absolute_paths(config: TrainingConfig, base: Path) -> TrainingConfig:
    """Return a configuration whose paths do not depend on where it is read.

    Args:
        config: With paths relative to `base`, or absolute ones.
        base: Folder of the configuration file.
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
        network=replace(config.network, weights=place(config.network.weights), options=_options(config, base)),
        plan=place(config.plan),
    )


def _options(config: TrainingConfig, base: Path) -> dict[str, object]:
    """Return the network's options; the architecture of `dints` may be a file."""
    options = dict(config.network.options)
    named = options.get("architecture")
    if isinstance(named, str):
        options["architecture"] = str((base / named).resolve())
    return options
