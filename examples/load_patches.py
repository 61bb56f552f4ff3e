"""Patches for training, from phantoms to the replay of one of them.

    python examples/load_patches.py [DATA]

DATA is a data set that `tds data index` knows; without it three small phantoms are made in a temporary folder. Needs
`tds-data[torch]`, and `tds-data[phantom]` without DATA. Research use only.
"""

import json
import sys
import tempfile
from pathlib import Path

from tds_data import PhantomConfig, PreprocessConfig, make_phantom, write_volume
from tds_data.cache import CacheConfig, build_cache
from tds_data.datasets import index_dataset
from tds_data.loading import STANDARD, LoaderMeans, PatchConfig, PatchLoader, PatchRecord

SPACING_MM = 3.0


def make_phantoms(folder: Path) -> Path:
    """Write three phantoms, each in a folder of its own."""
    for seed in range(3):
        case = make_phantom(PhantomConfig(seed=seed, spacing_mm=SPACING_MM))
        name = f"Phantom_{seed:05d}"
        (folder / name).mkdir(parents=True)
        for modality, volume in case.images.items():
            write_volume(folder / name / f"{name}_{modality}.nii.gz", volume)
        if case.reference is not None:
            write_volume(folder / name / f"{name}_seg.nii.gz", case.reference)
    return folder


def main() -> None:
    """Cache a data set and take a few batches from it."""
    with tempfile.TemporaryDirectory() as scratch:
        given = len(sys.argv) > 1
        data = Path(sys.argv[1]) if given else make_phantoms(Path(scratch) / "phantoms")
        manifest = index_dataset(data)
        config = CacheConfig(preprocess=PreprocessConfig(spacing_mm=1.0 if given else SPACING_MM))
        cache = build_cache(manifest, Path(scratch) / "cache", config, workers=2)
        what = PatchConfig(shape=(32, 32, 32), batch_size=2, batches_per_epoch=5, augmentation=STANDARD, seed=1)
        with PatchLoader(cache, what, LoaderMeans(workers=2, max_bytes=2 << 30)) as loader:
            for batch in loader.batches(epoch=0):
                cases = ", ".join(record.case for record in batch.records)
                print(
                    f"images {tuple(batch.images.shape)}, {int((batch.labels > 0).sum())} tumour voxels, from {cases}"
                )
            written = json.dumps(batch.records[0].to_dict())
            again = loader.replay(PatchRecord.from_dict(json.loads(written)))
            same = bool((again.image == batch.images[0]).all())
            print(f"replayed from its record: {'identical' if same else 'different'}")
            first = next(loader.batches(epoch=0, start=4))
            print(f"epoch 0 from batch 4: {'identical' if bool((first.images == batch.images).all()) else 'different'}")


if __name__ == "__main__":
    main()
