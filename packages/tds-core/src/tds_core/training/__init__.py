"""Training of segmentation networks on torch and MONAI (extra `train`).

`config` says what to do, `samples` holds patients on the network's grid, `augment` and `mixing` draw patches from them,
`loop` trains `network` and keeps a `checkpoint`, `export` writes the files of a bundle. Inference never imports this.
"""

from importlib.util import find_spec

from tds_core.errors import MissingDependency

for _package in ("torch", "monai", "onnx", "safetensors"):
    if find_spec(_package) is None:
        raise MissingDependency(_package, "train")
