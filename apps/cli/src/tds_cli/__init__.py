"""The `tds` command line. `tds_cli.main.main` is its entry point."""
