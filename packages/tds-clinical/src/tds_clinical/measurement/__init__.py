"""Diameters of lesions, as radiologists draw them."""

from tds_clinical.measurement.diameters import Diameters, LesionMeasurement, measure_lesions
from tds_clinical.measurement.lesion_map import map_lesions

__all__ = ["Diameters", "LesionMeasurement", "map_lesions", "measure_lesions"]
