"""Options of `endogs batch`. No torch, no numpy, no dask here."""

from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from endogs.options import Range
from endogs.pipeline.options import FitOptions, Reconstruct

MEMORY_RANGE = Range(0.1, 1e5)
"""GB of a fit."""


@dataclass(frozen=True)
class Batch(FitOptions):
    """Reconstruct many clips, on the cores of this machine or on a cluster, and put what came of them into one table.

    Needs Dask: pip install "endogs[batch]".
    """

    input: Positional[Path]
    """A folder of clips, a pattern such as "clips/*.mp4" in quotes, a .csv or .toml list of clips with options of their
    own, or, with --data, a recipe: its name or its .toml file."""
    _: KW_ONLY
    out: Path
    """Folder of the results; what is finished in it is not done again."""
    data: Path | None = None
    """With a recipe in place of the list: the folder of its data set, of which all sequences are run."""
    retry_failed: bool = False
    """Try again what failed before with the same options; otherwise it keeps its sentence and is left alone."""
    overwrite: bool = False
    """Replace finished results in the folder that were made from other pictures or with other options."""
    compare: Path | None = None
    """The folder of another batch of the same clips: say how each clip differs from there."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://10.0.0.5:8786, or a .json file that it wrote; without one, that of
    Dask's own configuration, and where that names none, workers are started on this machine. Whoever reaches a
    scheduler runs code on its workers, so give only one that is yours."""
    workers: Annotated[int | None, Range(1, 1000)] = None
    """Without a scheduler: worker processes on this machine, by default up to 2. A fit takes
    up to a worker's part of the memory."""
    cores: Annotated[int | None, Range(1, 1024)] = None
    """Cores of a fit; by default one, or more where there are more cores than clips. No two fits share one."""
    memory: Annotated[float | None, MEMORY_RANGE] = None
    """Memory that a fit may take, in GB, instead of half as much again as is estimated for its clip; a fit that takes
    more is ended."""
    hours: Annotated[float, Range(0.001, 1e4)] = 24.0
    """Time that a clip may take before it is ended, with a checkpoint; then it counts as failed."""

    def for_clip(self, named: Path, /, **own: object) -> Reconstruct:
        """The options of one clip's reconstruction; `own` are fields that its row says. InputError for bad ones."""
        shared = {field.name: getattr(self, field.name) for field in fields(FitOptions)}
        return Reconstruct(named, **{**shared, **own})  # type: ignore[arg-type]
