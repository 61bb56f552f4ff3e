"""`tds data`: data sets from the first look to the training cache."""

from typing import Final

import typer

data_app: Final = typer.Typer(
    name="data", help="Index, check, convert and make data sets. Research use only.", rich_markup_mode=None
)
