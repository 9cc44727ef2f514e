"""Options that the commands on features share."""

from pathlib import Path
from typing import Annotated

import typer

StrongFile = Annotated[
    str, typer.Option("--strong", metavar="FILE", help="Strong features of the same inputs.")
]
LabelFile = Annotated[
    str, typer.Option("--labels", metavar="FILE", help="Labels of the inputs: numbers or classes.")
]
Sigma2 = Annotated[
    float | None,
    typer.Option("--sigma2", help="Variance of the label noise.", show_default="unknown"),
]
Replicates = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Further labels of the same inputs, which tell sigma^2; NaN if missing.",
    ),
]
Ridge = Annotated[
    list[float] | None,
    typer.Option(
        "--ridge",
        help="Penalty of all four models; or four times, for teacher, student, baseline, ceiling.",
        show_default="the best of each model",
    ),
]
Energy = Annotated[float, typer.Option(help="Share of the features' energy to keep.")]
AsGiven = Annotated[
    bool,
    typer.Option("--as-given", help="No intercept, and columns are not brought to variance 1."),
]
Classes = Annotated[
    bool | None,
    typer.Option(
        "--classes/--numbers",
        help="What the labels are.",
        show_default="classes if they are words or take two values",
    ),
]
Loss = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Of models of classes: squared, or cross-entropy for logistic probes."
    ),
]
Dask = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster to use.")
]
_POOL = "features of inputs to be pseudo-labelled."
_COUNTS = "features of the inputs that count."
OneWeakPool = Annotated[
    str | None, typer.Option("--unlabelled-weak", metavar="FILE", help=f"Weak {_POOL}")
]
OneStrongPool = Annotated[
    str | None, typer.Option("--unlabelled-strong", metavar="FILE", help=f"Strong {_POOL}")
]
OneWeakTest = Annotated[
    str | None, typer.Option("--test-weak", metavar="FILE", help=f"Weak {_COUNTS}")
]
WeakPools = Annotated[
    list[str] | None,
    typer.Option(
        "--unlabelled-weak", metavar="FILE", help=f"Weak {_POOL[:-1]}, for each teacher or pool."
    ),
]
StrongPools = Annotated[
    list[str] | None,
    typer.Option(
        "--unlabelled-strong", metavar="FILE", help=f"Strong {_POOL[:-1]}, for each pool."
    ),
]
WeakTests = Annotated[
    list[str] | None,
    typer.Option("--test-weak", metavar="FILE", help=f"Weak {_COUNTS[:-1]}, for each teacher."),
]
StrongTest = Annotated[
    str | None, typer.Option("--test-strong", metavar="FILE", help=f"Strong {_COUNTS}")
]
TestLabels = Annotated[
    str | None, typer.Option(metavar="FILE", help="Labels of the inputs that count, if any.")
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="In place of these: says of each row labelled, unlabelled or test.",
    ),
]
Groups = Annotated[
    str | None, typer.Option(metavar="FILE", help="Names the group of each input that counts.")
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Names rows that belong together, such as copies: bands leave them out together.",
        show_default="all independent",
    ),
]
Ids = Annotated[
    str | None,
    typer.Option(
        "--id",
        metavar="COLUMN",
        help="Ids by which rows belong together.",
        show_default="row i of all files",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", file_okay=False, help="Folder for the JSON and the HTML report."),
]
