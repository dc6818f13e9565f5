"""The rows of the comparison: models as options of `endogs reconstruct` or as peers' recipes, and how long each trains.

The peers are imported only where a row needs their numbers: they import torch, which counts its threads then.
"""

import contextlib
import hashlib
import io
import shlex
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from endogs.cli import parse
from endogs.fit.config import FitConfig
from endogs.pipeline.options import Reconstruct


@dataclass(frozen=True)
class Row:
    """A model, written as what a user would type, and names of what no option says: a row goes to others as JSON."""

    name: str
    options: tuple[str, ...] = ()
    form: str | None = None
    """Numbers of the deformation, by the name in `peers.forms.FORMS`."""
    recipe: str | None = None
    """A peer's whole fit in place of options, by the name in `peers.recipes.RECIPES`."""
    own_schedule: bool = False
    """Whether it keeps its own number of steps where the others take equally many."""

    @property
    def is_recipe(self) -> bool:
        """Whether equal seconds stop it on its way instead of squeezing its schedule: what clones and splits every so
        many steps ends lower when it is squeezed."""
        return self.recipe is not None

    @property
    def words(self) -> str:
        """What it is, in a line."""
        named = {"form": self.form, "recipe": self.recipe}
        return " ".join(
            [shlex.join(self.options), *(f"({what} {name})" for what, name in named.items() if name)]
        ).strip()


ROWS = (
    Row("spline", ("--deformation", "spline")),
    Row("still", ("--deformation", "none")),
    Row("bases-quartic", ("--deformation", "bases")),
    Row("bases-gaussian", ("--deformation", "bases"), form="bases-gaussian"),
    Row("bases-colorgs", ("--deformation", "bases"), form="bases-colorgs"),
    Row("hexplane", ("--deformation", "hexplane")),
    Row("mlp", ("--deformation", "mlp")),
    Row("lowrank", ("--deformation", "lowrank")),
    Row("fast", ("--preset", "fast"), own_schedule=True),
    Row("best", ("--preset", "best"), own_schedule=True),
    Row("recipe-deform3dgs", recipe="deform3dgs", own_schedule=True),
    Row("recipe-endogaussian", recipe="endogaussian", own_schedule=True),
)
"""`spline` is the preset `balanced`."""
OF_THE_FIT = frozenset(
    {"preset", "deformation", "colors", "sh_degree", "exposure", "iterations", "gaussians", "density", "balance"}
    | {"normal_weight", "depth_weight", "rigidity_weight"}
)
"""Options of `endogs reconstruct` that decide its FitConfig."""


def parsed(row: Row, *more: str) -> Reconstruct:
    """The row's configuration, with `more` options. Raises ValueError, with the parser's words, for unknown ones."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return parse(["clip", *row.options, *more], Reconstruct)
    except SystemExit as error:
        words = " ".join(said.getvalue().split())
        raise ValueError(f"{row.name}: {' '.join(row.options)} is no option of this endogs ({words})") from error


def without_effect(row: Row) -> str | None:
    """The first option of a row that would change nothing here, as a user types it; None where there is none.

    Rows of a clip share how it is read, its masks, depth and split, so a row is what `Reconstruct.fit_config` makes.
    """
    return _changed(parsed(row), parsed(Row("", ())), OF_THE_FIT)


def _changed(values: Any, defaults: Any, but: frozenset[str] = frozenset()) -> str | None:
    for entry in fields(values):
        ours, theirs = getattr(values, entry.name), getattr(defaults, entry.name)
        if entry.name not in but and ours != theirs:
            inner = _changed(ours, theirs) if is_dataclass(ours) else None
            return inner or "--" + entry.name.replace("_", "-")
    return None


def fit_config(row: Row, iterations: int | None, gaussians: int | None, frames: int = 0) -> FitConfig:
    """The row's numbers for a clip of so many frames; `iterations` replaces their steps, `gaussians` caps them."""
    if row.recipe is not None:
        from .peers.recipes import RECIPES

        config = RECIPES[row.recipe]
        config = config if iterations is None else config.with_iterations(iterations)
        most = config.gaussians_cap if gaussians is None else gaussians
        return replace(config, gaussians_cap=most, initial_gaussians=min(config.initial_gaussians, most))
    more = [] if iterations is None else ["--iterations", str(iterations)]
    more += [] if gaussians is None else ["--gaussians", str(gaussians)]
    config = parsed(row, *more).fit_config(frames)
    if row.form is None:
        return config
    from .peers.forms import FORMS

    return replace(config, form=FORMS[row.form])


def chosen_rows(names: list[str], added: list[str]) -> tuple[list[Row], list[str]]:
    """The rows called `names` (all for none), with those `added` as "NAME=OPTIONS", and why some are left out.

    Raises ValueError for a name that is no row's, and for a row with options outside the fit's configuration.
    """
    extra = [Row(name, tuple(options.split())) for name, _, options in (text.partition("=") for text in added)]
    known = {row.name: row for row in (*ROWS, *extra)}
    for name in names:
        if name not in known:
            raise ValueError(f"{name} is none of {', '.join(known)}")
    rows, left_out = [], []
    for row in [known[name] for name in names] if names else known.values():
        try:
            fit_config(row, None, None)
        except ValueError as error:
            left_out.append(str(error).partition(" (")[0])
        else:
            if (option := without_effect(row)) is not None:
                raise ValueError(
                    f"--model {row.name}: {option} is not of the fit's configuration, which is all that rows may "
                    "differ in; leave it out, or give reading options to --clips"
                )
            rows.append(row)
    return rows, left_out


@dataclass(frozen=True)
class Run:
    """One fit of the comparison."""

    row: Row
    seed: int
    seconds: float | None
    """Training seconds it may take; None for a number of steps."""
    iterations: int | None = None
    """Steps; None for the row's own, or for as many as the seconds allow."""
    gaussians: int | None = None

    @property
    def name(self) -> str:
        """Of the run's file, without clip and split."""
        budget = f"{self.seconds:g}s" if self.seconds is not None else f"{self.iterations or 'own'}steps"
        cap = "" if self.gaussians is None else f"_{self.gaussians}max"
        return f"{self.row.name}_{budget}{cap}_seed{self.seed}"

    @property
    def is_stopped(self) -> bool:
        """Whether it is stopped on the way by its seconds, instead of having as many steps as fit."""
        return self.seconds is not None and self.row.is_recipe

    @property
    def configuration(self) -> str:
        """A word for all numbers of its fit but the steps that depend on the clip: records of other numbers are old."""
        numbers = repr(fit_config(self.row, self.iterations, self.gaussians)) + "stopped" * self.is_stopped
        return hashlib.sha256(numbers.encode()).hexdigest()[:12]


def planned_runs(
    row: Row,
    seeds: list[int],
    seconds: list[float],
    iterations: int | None,
    gaussians: int | None,
    step_seeds: list[int] | None = None,
) -> list[Run]:
    """The runs of a row, those with a number of steps first: their speed says how many steps fit into seconds, but for
    recipes, which are stopped.

    `step_seeds` are the seeds of those, by default all.
    """
    steps = None if row.own_schedule else iterations
    runs = [Run(row, seed, None, steps, gaussians) for seed in (seeds if step_seeds is None else step_seeds)]
    return runs + [Run(row, seed, limit, None, gaussians) for limit in seconds for seed in seeds]


@dataclass(frozen=True)
class ClipChoice:
    """A clip as the command line names it: NAME=PATH, and reading options after commas."""

    name: str
    path: Path
    options: tuple[str, ...]
    """As of `endogs reconstruct`."""

    @staticmethod
    def of(text: str) -> "ClipChoice":
        """From NAME=PATH[,OPTION=VALUE...]; the clips of RESULTS.md bring their own, unless some are given.

        Raises ValueError without a name or path, and for options that do not say how a clip is read.
        """
        first, *rest = text.split(",")
        name, _, path = first.partition("=")
        if not name or not path:
            raise ValueError(f"{text!r} is not NAME=PATH")
        options = [part for entry in rest for part in ("--" + entry.partition("=")[0], entry.partition("=")[2])]
        known = {"pulling": ("--ignore-rows", "495:512"), "d4d": ("--stride", "3")}
        if options:
            asked, plain = parsed(Row(name, ()), *options), parsed(Row("", ()))
            if (option := _changed(asked, plain, frozenset({"clip"}))) is not None:
                raise ValueError(f"--clips {text}: {option} does not say how the clip is read; leave it out")
        return ClipChoice(name, Path(path), tuple(options) or known.get(name, ()))
