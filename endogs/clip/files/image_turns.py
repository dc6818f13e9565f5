"""Orientation tags of the images of a folder: said always, applied where what lies beside the images asks for it.

A camera's tag turns only what is seen in a viewer. Masks, depth and calibrations are mostly made on the stored pixels,
as OpenCV and COLMAP read them, so images stay as stored unless the sizes beside them say otherwise.
"""

from pathlib import Path

from endogs.clip.files.image_files import image_size
from endogs.clip.files.mask_files import sampled
from endogs.clip.files.orientation import Turn, image_turn


def turn_of(images: list[Path], size: tuple[int, int], beside: list[Path], notes: list[str]) -> Turn:
    """The turn that is applied to `images` of `size` (width, height) as stored, mostly none, with notes.

    `beside` are a mask, a depth map and a right view of the clip, as far as there are: where they have the size of the
    turned images and not of the stored ones, and all images ask for one turn, it is applied.
    """
    if all(image_turn(images[i]).is_none for i in sampled(len(images))):
        return Turn()
    turns = [image_turn(path) for path in images]
    asked = [turn for turn in turns if not turn.is_none]
    turned = asked[0].size(*size)
    sizes = {image_size(path) for path in beside if path.suffix.lower() not in (".npy", ".exr")}
    words = f"{len(asked)} of the {len(images)} images ask to be turned {asked[0].words} (EXIF orientation)"
    if sizes == {turned} and turned != size and set(turns) == {asked[0]}:
        notes.append(f"{words}, and are, as what lies beside them is {turned[0]} x {turned[1]} too.")
        return asked[0]
    notes.append(f"{words}, but are not turned: they are read as stored, as masks, depth and calibrations mostly are.")
    return Turn()
