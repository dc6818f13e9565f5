"""Instrument masks in a folder of their own, for a clip that has none beside its frames, such as a video.

endogs writes beside the masks which frame each belongs to (`masks.json`): its time in the input, the name of its image
where frames are files, and how it looks in sixteen coarse tiles. So a part of the clip finds its masks, and another
clip is told apart. Masks of other programs are paired in order, as many as there are frames.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import expanded, listed, read_json
from endogs.clip.config import ClipOptions
from endogs.clip.files.image_files import list_images
from endogs.clip.files.mask_files import mask_files, sampled
from endogs.clip.recording import Recording
from endogs.errors import InputError

if TYPE_CHECKING:
    from endogs.clip.clip import Clip

LIST = "masks.json"
CLICKS = "clicks.json"
"""Written beside the masks by who corrects them."""
FORMAT, VERSION = "endogs-masks", 1
SAME_MOMENT = 1e-3
"""Seconds between two readings of one frame's time."""
TILES = 4
"""Tiles along each side of a frame, whose mean grey says what it shows."""
ALIKE = 8.0
"""Grey levels by which the tiles of one picture may differ, as after another decoder, on average."""
LOOKED_AT = 6
"""Frames whose look is compared."""


def with_mask_folder(recording: Recording, options: ClipOptions) -> Recording:
    """The recording with the masks of --mask-folder, if any, in place of its own.

    Raises InputError for a folder without masks, frames to which none belongs, and masks that `mask_files` refuses.
    """
    if options.mask_folder is None:
        return recording
    folder = expanded(options.mask_folder)
    files = list_images(folder) if folder.is_dir() else []
    if not files:
        raise InputError(f"--mask-folder {folder}: no folder with PNG files or other images: name one with masks.")
    notes: list[str] = []
    listed_there = _listed(folder)
    if listed_there is None:
        paths = _in_order(recording, folder, files, notes)
    else:
        size = listed_there["size"]
        if size != [recording.width, recording.height]:
            raise InputError(
                f"--mask-folder {folder}: the masks are for frames of size {size}, but those of {recording.source} are "
                f"{[recording.width, recording.height]}: give the clip, and the --calibration, --stereo and "
                "--undistorted-degrees, that they were drawn on."
            )
        paths = _by_frame(recording, folder, listed_there["frames"])
    value = 255 if options.mask_instrument_value is None else options.mask_instrument_value
    masks = mask_files(paths, (recording.width, recording.height), value, notes, named=options.mask_values)
    if recording.masks is not None:
        notes.append(f"--mask-folder {folder}: its masks are used instead of those beside the frames.")
    return replace(recording, masks=masks, mask_instrument_value=value, notes=[*recording.notes, *notes])


def check_mask_folder(clip: "Clip") -> None:
    """Raises InputError where the masks of --mask-folder were drawn on other pictures than the clip's."""
    if clip.options.mask_folder is None:
        return
    folder = expanded(clip.options.mask_folder)
    listed_there = _listed(folder)
    if listed_there is None:
        return
    kept = _rows_of(clip.time_offset + clip.times, clip.file_names, listed_there["frames"])
    for index in sampled(len(clip), LOOKED_AT):
        row = kept[index]
        if row is None:  # `with_mask_folder` has refused the others
            continue
        difference = np.abs(np.array(row["look"], float) - look_of(_whole(clip, index))).mean()
        if difference > ALIKE:
            raise InputError(
                f"--mask-folder {folder}: frame {index} of {clip.source} is not the picture that its mask "
                f"{row['file']} was drawn on ({difference:.0f} of 255 grey levels apart): give the masks of this clip."
            )


def look_of(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean grey (TILES x TILES,) of the tiles of an image (H, W, 3), 0 to 255, for frames of any size."""
    import cv2

    tiles = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (TILES, TILES), interpolation=cv2.INTER_AREA)
    return tiles.astype(np.float64).ravel()


def write_mask_folder(
    folder: Path,
    clip: "Clip",
    instrument: Callable[[int], NDArray[np.bool_]],
    made_by: str,
    clicks: Callable[[Path], None] | None = None,
) -> None:
    """Writes the masks `instrument(i)` (H, W) of all frames as PNG files, 255 = instrument, in the frames' own size.

    `made_by` says in words where they come from; `clicks` writes what corrected them to the path that it is given.
    Masks that endogs has written to this folder before are replaced in one step. Raises InputError where
    `check_place` does, and when the place is not writable.
    """
    import shutil

    from endogs.clip.contact_sheet import write_png
    from endogs.folder_swap import mend, swap_in
    from endogs.output import new_folder, write_json

    check_place(folder, clip)
    replaces = folder.exists() and any(folder.iterdir())
    place = folder.with_name(f"{folder.name}.new") if replaces else folder
    if replaces:
        mend(place, folder)
        if place.exists():  # the masks of before a save that was killed at its very end
            check_place(place, clip)
            shutil.rmtree(place)
    names = _mask_names(clip)
    with new_folder(place) as partial:
        rows = []
        for index, name in enumerate(names):
            write_png(partial / name, _in_original_size(instrument(index), clip))
            row: dict[str, Any] = {
                "file": name,
                "time": round(clip.time_offset + float(clip.times[index]), 6),
                "look": [round(float(value)) for value in look_of(clip.image(index))],
            }
            rows.append(row | ({} if clip.file_names is None else {"image": clip.file_names[index]}))
        content = {
            "format": FORMAT,
            "version": VERSION,
            "clip": clip.name,
            "size": list(clip.original_size),
            "instrument": 255,
            "made_by": made_by,
            "frames": rows,
        }
        write_json(partial / LIST, content)
        if clicks is not None:
            clicks(partial / CLICKS)
    if replaces:
        swap_in(place, folder)
        shutil.rmtree(place, ignore_errors=True)  # the masks that stood there, every one endogs' own


def check_place(folder: Path, clip: "Clip") -> None:
    """Raises InputError where masks of `clip` cannot be written to `folder`: it was cropped, or holds other files, or
    masks of more frames than the clip's, which would be lost."""
    if clip.options.crop is not None:
        raise InputError(
            "masks are written for whole frames, and --crop leaves parts of them out: leave --crop away here; when the "
            "masks are read it can be given."
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder for the masks.")
    content = _listed(folder) if folder.is_dir() else None
    ours = {LIST, CLICKS, *(row["file"] for row in content["frames"])} if content else set()
    others = [file.name for file in listed(folder) if file.name not in ours] if folder.is_dir() else []
    if others:
        raise InputError(
            f"{folder} holds other files than masks that endogs has written, such as {sorted(others)[0]}: name a new "
            "folder with inspect --masks-out."
        )
    if content and len(content["frames"]) > len(clip):
        raise InputError(
            f"{folder} holds masks of {len(content['frames'])} frames, and {len(clip)} are read, so that the others' "
            "would be lost: read all frames, or name a new folder with inspect --masks-out."
        )


def _mask_names(clip: "Clip") -> list[str]:
    """Names of mask files: those of the images, so that a folder of images takes them for its masks/, or numbers."""
    stems = [Path(name).stem for name in clip.file_names or []]
    if stems and len(set(stems)) == len(stems):
        return [f"{stem}.png" for stem in stems]
    return [f"{index:06d}.png" for index in range(len(clip))]


def _in_original_size(mask: NDArray[np.bool_], clip: "Clip") -> NDArray[np.uint8]:
    import cv2

    values = mask.astype(np.uint8) * np.uint8(255)
    if (clip.width, clip.height) != clip.original_size:
        values = np.where(cv2.resize(values, clip.original_size, interpolation=cv2.INTER_LINEAR) > 127, 255, 0)
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def _whole(clip: "Clip", index: int) -> NDArray[np.uint8]:
    return clip.image(index) if clip.options.crop is None else clip.original(index)


def _listed(folder: Path) -> dict[str, Any] | None:
    """What masks.json says, None where there is none. Raises InputError for one that says something else."""
    file = folder / LIST
    if not file.is_file():
        return None
    content = read_json(file)
    content = content if isinstance(content, dict) else {}
    rows = content.get("frames")
    fits = content.get("format") == FORMAT and content.get("version") == VERSION
    fits = fits and _is_size(content.get("size"))
    if not fits or not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise InputError(
            f"{file}: not a list of masks as endogs inspect writes it: remove it to have the masks paired in order."
        )
    return content


def _is_size(size: Any) -> bool:
    return isinstance(size, list) and len(size) == 2 and all(type(side) is int and 0 < side < 10**6 for side in size)


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or type(row.get("file")) is not str or type(row.get("time")) not in (int, float):
        return False
    look = row.get("look")
    if not isinstance(look, list) or len(look) != TILES**2:
        return False
    if not all(type(one) in (int, float) and 0 <= one <= 255 for one in look):
        return False
    if type(row.get("image", "")) is not str:
        return False
    return Path(row["file"]).name == row["file"] != "" and abs(row["time"]) < 1e9


def _by_frame(recording: Recording, folder: Path, rows: list[dict[str, Any]]) -> list[Path]:
    paths = getattr(recording.images, "paths", None)
    names = None if paths is None else [path.name for path in paths]
    kept = _rows_of(recording.times, names, rows)
    lacking = [index for index, row in enumerate(kept) if row is None]
    if lacking:
        first = f"{recording.times[lacking[0]]:.3f} s" if names is None else names[lacking[0]]
        raise InputError(
            f"--mask-folder {folder}: it holds masks of {len(rows)} frames, and none for {len(lacking)} of the "
            f"{len(kept)} that are read, such as {first}: read the clip with the --start, --end, --stride and --fps "
            "that they were made with, or make masks of all frames."
        )
    gone = [row["file"] for row in kept if row is not None and not (folder / row["file"]).is_file()]
    if gone:
        raise InputError(f"--mask-folder {folder}: {gone[0]} is named in {LIST} and not there: make the masks again.")
    return [folder / row["file"] for row in kept if row is not None]


def _rows_of(
    times: NDArray[np.float64], names: list[str] | None, rows: list[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """For each frame the row that belongs to it: of the image of its name, or else of its time; None without one."""
    if names is not None and all("image" in row for row in rows):
        by_name = {row["image"]: row for row in rows}
        return [by_name.get(name) for name in names]
    moments = np.array([row["time"] for row in rows], float)
    found: list[dict[str, Any] | None] = []
    for time in times:
        nearest = int(np.argmin(np.abs(moments - time))) if len(moments) else -1
        found.append(rows[nearest] if nearest >= 0 and abs(moments[nearest] - time) <= SAME_MOMENT else None)
    return found


def _in_order(recording: Recording, folder: Path, files: list[Path], notes: list[str]) -> list[Path]:
    count = len(recording.times)
    if len(files) != count:
        raise InputError(
            f"--mask-folder {folder}: {len(files)} masks for {count} frames that are read; without the {LIST} that "
            "endogs inspect writes they are paired in order, so as many are needed as --start, --end and --stride "
            "leave frames."
        )
    where = "" if recording.outside is None else ", as endogs undistorts them"
    notes.append(
        f"--mask-folder {folder}: its masks are paired with the frames{where} in order: {files[0].name} belongs to the "
        f"frame at {recording.times[0]:.3f} s, {files[-1].name} to that at {recording.times[-1]:.3f} s."
    )
    return files
