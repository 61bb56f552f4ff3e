"""`python -m tds_cli` is `tds`."""

from tds_cli.main import main

if __name__ == "__main__":
    main()
