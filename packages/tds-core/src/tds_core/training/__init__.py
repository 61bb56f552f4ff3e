"""Training of segmentation networks on torch and MONAI (extra `train`)."""
