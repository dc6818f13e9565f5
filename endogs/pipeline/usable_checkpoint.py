"""What an interrupted run's checkpoint is good for, looked up before --resume is offered; and where a bad one goes."""

import os
from pathlib import Path

from endogs.errors import InputError
from endogs.fit.checkpoint import FILE_NAME, load_checkpoint


def is_usable(checkpoints: Path) -> bool:
    """Whether a folder holds a whole checkpoint of this version; reads all of it, to compare its checksum."""
    try:
        load_checkpoint(checkpoints).read()
    except InputError:
        return False
    return True


def set_aside(checkpoints: Path) -> Path:
    """Gives the folder's checkpoint the first free name of last.damaged.safetensors, last.damaged-2.safetensors...

    A checkpoint that is not as endogs wrote it may be somebody's, so that it is not removed. Raises OSError.
    """
    stem, ending = FILE_NAME.split(".", 1)
    number, free = 1, checkpoints / f"{stem}.damaged.{ending}"
    while os.path.lexists(free):
        number += 1
        free = checkpoints / f"{stem}.damaged-{number}.{ending}"
    os.rename(checkpoints / FILE_NAME, free)
    return free
