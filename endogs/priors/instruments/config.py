"""Options of instrument masks. Importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import UseAppendAction, arg

from endogs.options import Options

MaskChoice = Literal["auto", "given", "found", "color", "sam2", "none"]
"""`auto` is `given` where the clip has masks, else `found`."""


@dataclass(frozen=True)
class Sam2Options(Options):
    """What SAM 2 follows through the clip; F counts frames as they are read, X and Y are pixels of such a frame."""

    sam2_model: str = "facebook/sam2.1-hiera-tiny"
    """Folder or Hugging Face name of a SAM 2 video model, for --masks sam2."""
    sam2_click: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="F:X,Y")] = ()
    """A point on an instrument. Without click, box or mask SAM 2 follows what --masks found finds."""
    sam2_box: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="F:X0,Y0,X1,Y1")] = ()
    """A box around an instrument."""
    sam2_mask: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="F:FILE")] = ()
    """A mask image of one frame, instruments not zero."""
