"""Augmentation of patches: drawn as a record, applied in place, replayed from the record."""
