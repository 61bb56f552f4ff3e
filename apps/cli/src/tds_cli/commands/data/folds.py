"""`tds data folds`: whole patients to folds for cross-validation."""

from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs, output
from tds_cli.commands.data.index import Layout, Scheme, Workers
from tds_cli.options import AsJson, Verbose

Source = Annotated[Path, typer.Argument(metavar="SRC", help="The data set's manifest, or its top folder.")]
Target = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="JSON file of folds to write.")]
Count = Annotated[int, typer.Option("--folds", "-k", min=2, metavar="N", help="How many folds.")]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Another seed gives another split.")]
Holdout = Annotated[
    list[str] | None,
    typer.Option("--holdout", metavar="CASE", help="Keep this case's patient out of all folds; repeatable."),
]
LeftOut = Annotated[
    list[str] | None, typer.Option("--leave-out", metavar="CASE", help="Do not use this case at all; repeatable.")
]
Attribute = Annotated[
    str | None, typer.Option("--attribute", metavar="NAME", help="Spread the values of this attribute evenly, too.")
]
Splits = Annotated[
    Path | None, typer.Option("--nnunet", metavar="FILE", help="Also write the splits_final.json that nnU-Net reads.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier folds.")]


def folds(  # noqa: PLR0913  # a command's parameters are its options
    source: Source,
    *,
    out: Target,
    count: Count = 5,
    seed: Seed = 0,
    holdout: Holdout = None,
    left_out: LeftOut = None,
    attribute: Attribute = None,
    nnunet: Splits = None,
    overwrite: Overwrite = False,
    layout: Layout = None,
    scheme: Scheme = None,
    workers: Workers = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Split a data set into folds by patient and tumour volume, and refuse a split with a leak."""
    logs.set_verbosity(verbose=verbose)
    from tds_cli.dataset_summary import open_dataset  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.folding import check_targets, fold_table, known_volumes, say_folds  # noqa: PLC0415  # as above
    from tds_data.curation import (  # noqa: PLC0415  # as above
        FoldConfig,
        make_folds,
        refuse_leaks,
        write_folds,
        write_nnunet_splits,
    )

    config = FoldConfig(
        count=count, seed=seed, holdout=tuple(holdout or ()), left_out=tuple(left_out or ()), attribute=attribute
    )
    check_targets(out, nnunet, overwrite=overwrite)
    with output.progress_on_stderr() as progress:

        def show(done: int, total: int, what: str) -> None:
            progress(f"{what} {done} of {total}")

        manifest = open_dataset(source, layout=layout, scheme=scheme, strict=False, workers=workers, progress=show)
        known = known_volumes(out, manifest)
        made = make_folds(manifest, config, volumes_ml=known, workers=workers, progress=show)
        refuse_leaks(manifest, made, workers=workers, progress=show)
    write_folds(made, out)
    if nnunet is not None:
        write_nnunet_splits(made, nnunet)
    if as_json:
        document = {"output": str(out), "nnunet": None if nnunet is None else str(nnunet)}
        output.say_json({**document, **fold_table(made, manifest)})
        return
    say_folds(made, manifest)
    output.say(f"written to {out}{'' if nnunet is None else f' and {nnunet}'}")
