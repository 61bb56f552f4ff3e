"""Writers of the layouts that data sets are converted to."""
