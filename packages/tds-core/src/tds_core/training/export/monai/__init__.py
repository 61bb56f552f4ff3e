"""Import of MONAI bundles, without running anything in them."""

from tds_core.training.export.monai.importing import ImportOptions, import_monai

__all__ = ["ImportOptions", "import_monai"]
