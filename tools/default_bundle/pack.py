"""Pack the default bundle: `python tools/default_bundle/pack.py RUN`.

Takes the averaged weights of the newest checkpoint and `config.yaml` from a run folder, writes the bundle into tds-core
and pins its hash there. Needs `tds-core[train]` and `tds-data[phantom]`.
"""

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from card import accuracy_section
from numpy.typing import NDArray
from torch import nn

from tds_core import bundle as bundles
from tds_core.bundle import Bundle, load_bundle, write_manifest
from tds_core.engine import open_engine
from tds_core.golden import golden_hash, run_golden
from tds_core.training.config import parse, to_document
from tds_core.training.distributed import World
from tds_core.training.engine import CHECKPOINT_FOLDER, CheckpointStore
from tds_core.training.export import write_network
from tds_core.training.mixture.config import DataConfig, MixtureConfig, load_config
from tds_core.training.models.segresnet import SegResNetOptions
from tds_core.training.run.learning import initial_network
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.preprocess import PreprocessConfig, prepare

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "packages" / "tds-core" / "src" / "tds_core"
GOLDEN_SEED = 4242
GOLDEN_SIZE = 48
GOLDEN_SCALE = 0.05
BRIGHT = 2.0  # z-score of FLAIR that centres the golden cut on the tumour
MAX_BYTES = 15_000_000


def main() -> None:
    """Pack, check and pin the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--evaluation", type=Path, help="JSON of `tds evaluate --subsets` with these weights, for the card"
    )
    arguments = parser.parse_args()
    run: Path = arguments.run
    config = load_config(run / "config.yaml")
    with tempfile.TemporaryDirectory(dir=CORE) as scratch:
        folder = Path(scratch)
        network, step = trained(run, config)
        write_network(folder, network)
        document = describe(config, step)
        (folder / bundles.CARD_NAME).write_text(card_text(arguments.evaluation))
        image = golden_image()
        np.savez_compressed(folder / bundles.GOLDEN_NAME, image=image, scale=GOLDEN_SCALE, sure=np.ones(1, bool))
        save_description(folder, document)
        draft = load_bundle(folder, trusted=[write_manifest(folder)])
        sure, expected = golden(draft, image)
        write_golden(folder, image, sure)
        document["golden"] = {"sha256": expected, "phantom_seed": GOLDEN_SEED}
        save_description(folder, document)
        identity = write_manifest(folder)
        size = sum(p.stat().st_size for p in folder.iterdir())
        if size > MAX_BYTES:
            sys.exit(f"the bundle is {size} bytes, more than {MAX_BYTES}")
        install(folder)
    pin(identity)
    print(f"packed {size / 1e6:.1f} MB, step {step}, identity {identity}")


def trained(run: Path, config: MixtureConfig) -> tuple[nn.Module, int]:
    """Return the averaged network of a run and the steps behind it."""
    checkpoint = CheckpointStore(run / CHECKPOINT_FOLDER).latest()
    if checkpoint is None:
        sys.exit(f"there is no checkpoint in {run}; train first")
    network = initial_network(config.training, World())
    network.load_state_dict(checkpoint.state["learner"]["average"]["network"])
    return network, checkpoint.step


def describe(config: MixtureConfig, step: int) -> dict[str, Any]:
    """Return the bundle's description without its golden hash."""
    document: dict[str, Any] = yaml.safe_load((HERE / "description.yaml").read_text())
    network = parse(SegResNetOptions, config.network.options)
    document["architecture"] = {
        "name": "SegResNet",
        "init_filters": network.init_filters,
        "blocks_down": list(network.blocks_down),
        "blocks_up": list(network.blocks_up),
        "norm": "GROUP(8)",
        "heads": "sigmoid",
    }
    document["preprocessing"]["spacing_mm"] = config.data.spacing_mm
    document["provenance"]["training"] = {
        "how": "tools/default_bundle/README.md",
        "last_stage": to_document(public(config)),
        "steps": step,
    }
    document["golden"] = {"sha256": "", "phantom_seed": GOLDEN_SEED}
    return document


def public(config: MixtureConfig) -> MixtureConfig:
    """Return a configuration without paths of this machine."""
    return replace(config, data=without_paths(config.data), network=replace(config.network, weights=None))


def without_paths(data: DataConfig) -> DataConfig:
    """Return a data configuration whose paths are cut to their names: where they lay is nobody's business."""
    cubes, shapes = data.lesion_cubes, data.tumour_shapes
    return replace(
        data,
        cases=Path(data.cases.name),
        lesion_cubes=None if cubes is None else Path(cubes.name),
        tumour_shapes=None if shapes is None else Path(shapes.name),
    )


def card_text(evaluation: Path | None) -> str:
    """Return the model card with its accuracy section."""
    template = (HERE / bundles.CARD_NAME).read_text(encoding="utf-8")
    return template.replace("{accuracy}", accuracy_section(evaluation))


def golden_image() -> NDArray[np.int8]:
    """Return a small cut of a phantom around its tumour, in steps of `GOLDEN_SCALE`."""
    case = make_phantom(PhantomConfig(seed=GOLDEN_SEED, spacing_mm=2.0))
    tensor = prepare(case, PreprocessConfig()).tensor
    centre = np.argwhere(tensor[3] > BRIGHT).mean(axis=0)
    start = [
        int(np.clip(c - GOLDEN_SIZE // 2, 0, n - GOLDEN_SIZE)) for c, n in zip(centre, tensor.shape[1:], strict=True)
    ]
    x, y, z = (slice(s, s + GOLDEN_SIZE) for s in start)
    return np.clip(np.round(tensor[:, x, y, z] / GOLDEN_SCALE), -127, 127).astype(np.int8)


def golden(draft: Bundle, image: NDArray[np.int8]) -> tuple[NDArray[np.bool_], str]:
    """Return where the model is sure of the golden case, and the hash of its mask there."""
    labels, sure = run_golden(draft, open_engine(draft.graph), image, GOLDEN_SCALE)
    if not labels.any():
        sys.exit("the model finds nothing in the golden case")
    return sure, golden_hash(labels, sure)


def write_golden(folder: Path, image: NDArray[np.int8], sure: NDArray[np.bool_]) -> None:
    """Write the golden case."""
    np.savez_compressed(folder / bundles.GOLDEN_NAME, image=image, scale=np.float64(GOLDEN_SCALE), sure=sure)


def save_description(folder: Path, document: dict[str, Any]) -> None:
    """Write `bundle.yaml`."""
    (folder / bundles.DESCRIPTION_NAME).write_text(yaml.safe_dump(document, sort_keys=False, width=120))


def install(folder: Path) -> None:
    """Put the bundle in its place in tds-core."""
    shutil.rmtree(bundles.DEFAULT_BUNDLE, ignore_errors=True)
    bundles.DEFAULT_BUNDLE.mkdir(parents=True)
    for file in folder.iterdir():
        (bundles.DEFAULT_BUNDLE / file.name).write_bytes(file.read_bytes())


def pin(identity: str) -> None:
    """Write the bundle's identity into tds-core."""
    path = CORE / "_pinned.py"
    lines = path.read_text().splitlines(keepends=True)
    pinned = [f'DEFAULT_BUNDLE_SHA256: Final = "{identity}"\n' if "Final =" in line else line for line in lines]
    path.write_text("".join(pinned))


if __name__ == "__main__":
    main()
