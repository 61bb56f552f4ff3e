"""One module for each command. They import what does the work only when they run, so that `tds --help` is quick."""
