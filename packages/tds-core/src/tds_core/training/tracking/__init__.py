"""Where a run is written down besides its folder, and what never stops it."""
