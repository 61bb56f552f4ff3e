"""Results as DICOM objects: segmentation, structured report, structure set, key images and the report's PDF."""
