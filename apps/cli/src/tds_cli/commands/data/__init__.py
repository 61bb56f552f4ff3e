"""`tds data`: data sets from the first look to the training cache."""

from typing import Final

import typer

from tds_cli.commands.data.cache import cache
from tds_cli.commands.data.check import check
from tds_cli.commands.data.convert import convert
from tds_cli.commands.data.fetch import fetch
from tds_cli.commands.data.folds import folds
from tds_cli.commands.data.index import index
from tds_cli.commands.data.prepare import prepare, restore
from tds_cli.commands.data.synth import synth

data_app: Final = typer.Typer(
    name="data", help="Index, check, convert and make data sets. Research use only.", rich_markup_mode=None
)

data_app.command()(index)
data_app.command()(check)
data_app.command()(convert)
data_app.command()(fetch)
data_app.command()(folds)
data_app.command()(synth)
data_app.command()(prepare)
data_app.command()(restore)
data_app.command()(cache)
