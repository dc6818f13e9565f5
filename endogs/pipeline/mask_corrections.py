"""`endogs inspect --masks` with corrections: clicks from a file or from the browser, and masks that are saved."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import expanded
from endogs.clip import Clip
from endogs.clip.files.mask_folder import LIST, check_place, write_mask_folder
from endogs.errors import InputError
from endogs.pipeline.config import Inspect
from endogs.plain_text import plain
from endogs.priors.instruments.click_evidence import instrument_odds
from endogs.priors.instruments.clicks import Click, read_clicks, started_from, write_clicks
from endogs.priors.instruments.corrections import Corrections
from endogs.priors.tissue import PackedMask
from endogs.progress import Progress


class Editor(Protocol):
    """Where a user corrects masks by hand."""

    def edit(self, corrections: Corrections, saving: "Saving") -> None:
        """Stays until the user has done; `saving` is called as often as they save."""
        ...


class Saving:
    """Writes the masks to their folder, and says so."""

    def __init__(self, corrections: Corrections, out: Path, origin: str) -> None:
        """`origin` says which masks were corrected."""
        self._corrections, self.out, self._origin = corrections, out, origin
        self.saved: list[Click] | None = None
        """The clicks that the saved masks are of, None before the first time."""

    def __call__(self) -> str:
        """Writes them; returns the sentence that says where. Raises InputError when the place is not writable."""
        corrections, clicks = self._corrections, self._corrections.clicks
        clip = corrections.clip
        made_by = f"{self._origin}, corrected by {len(clicks)} click{'s' * (len(clicks) != 1)}"
        write_mask_folder(
            self.out,
            clip,
            corrections.instrument,
            made_by if clicks else self._origin,
            (lambda path: write_clicks(path, clicks, clip, self._origin)) if clicks else None,
        )
        self.saved = clicks
        return self.sentence

    @property
    def sentence(self) -> str:
        """Where the masks are."""
        count = len(self._corrections.clip)
        masks = f"masks of {count} frame{'s' * (count != 1)}"
        return f"{masks}: {self.out}; other commands take them with --mask-folder {self.out}"

    def keep_clicks(self) -> Path:
        """Writes the clicks alone, beside the folder, and returns the file, a new one: others hold clicks too."""
        file, number = self.out.with_name(f"{self.out.name}-clicks.json"), 2
        while file.exists():
            file, number = self.out.with_name(f"{self.out.name}-clicks-{number}.json"), number + 1
        write_clicks(file, self._corrections.clicks, self._corrections.clip, self._origin)
        return file


def check_mask_options(config: Inspect) -> None:
    """InputError for options that nothing uses: those of masks without --masks, those of the editor without --edit."""
    without = [
        name
        for name, used in (
            (f"--masks-from {config.masks_from}", config.masks_from != "auto"),
            ("--edit", config.edit),
            ("--clicks", config.clicks is not None),
            ("--masks-out", config.masks_out is not None),
        )
        if used
    ]
    if without and not config.masks:
        raise InputError(f"{without[0]} is not used without --masks; add --masks, or leave it out.")
    for name, value, default in (("--host", config.host, Inspect.host), ("--port", config.port, Inspect.port)):
        if value != default and not config.edit:
            raise InputError(f"{name} {value} is not used without --edit; add --masks --edit, or leave it out.")


def wanted_clicks(config: Inspect, clip: Clip) -> list[Click]:
    """The clicks of --clicks; InputError for those that do not fit the clip."""
    return [] if config.clicks is None else read_clicks(config.clicks, clip)


def masks_place(config: Inspect, clip: Clip) -> Path | None:
    """The folder that the masks go to, None where they are not written; InputError where they cannot be."""
    if not (config.edit or config.clicks is not None or config.masks_out is not None):
        return None
    if config.masks_out is None:
        place, number = Path(f"{clip.name}_masks"), 2
        while place.exists():
            place, number = Path(f"{clip.name}_masks-{number}"), number + 1
    else:
        place = config.masks_out
        if (place / LIST).is_file() and not _corrects_itself(config):
            raise InputError(
                f"{place} holds masks already: name another folder with --masks-out, or correct those with "
                f"--mask-folder {place}."
            )
    check_place(place, clip)
    return place


def corrected(
    clip: Clip, config: Inspect, clicks: Sequence[Click], out: Path | None, editor: Editor | None
) -> tuple[Clip, str]:
    """The clip with its masks corrected and written to `out`, and the sentence that says so.

    `clicks` come first. The sentence is empty where nothing is written. Raises InputError when the masks cannot be.
    """
    if out is None:
        return clip, ""
    sam2 = None
    if config.masks_from == "sam2":
        from endogs.priors.instruments.sam2_clicks import Sam2Clicks

        sam2 = Sam2Clicks(clip, config.sam2)
    start = _held(clip) if _corrects_itself(config) else clip.instrument
    corrections = Corrections(clip, start, instrument_odds(clip) if clicks or editor else None, sam2)
    origin = _origin(clip, config)
    if config.clicks is not None and (before := started_from(config.clicks)) not in ("", origin):
        print(
            f"note: the clicks of {plain(config.clicks)} corrected {plain(before)}; here they correct {origin}",
            file=sys.stderr,
        )
    if clicks:
        with Progress("click", bar="clicks") as progress:
            corrections.replay(clicks, progress)
    saving = Saving(corrections, out, origin)
    if editor is None:
        said = saving()
    else:
        editor.edit(corrections, saving)
        said = saving.sentence if saving.saved is not None else ""
        if corrections.clicks != (saving.saved or []):
            print(f"note: {_unsaved(saving, corrections)}", file=sys.stderr)
    return (clip.with_masks(corrections.masks()) if corrections.clicks else clip), said


def _corrects_itself(config: Inspect) -> bool:
    """Whether the masks go to the folder that they come from."""
    source, out = config.clip.mask_folder, config.masks_out
    return source is not None and out is not None and expanded(source).resolve() == out.resolve()


def _held(clip: Clip) -> Callable[[int], NDArray[np.bool_]]:
    """The instruments of all frames, kept: their files are replaced when the corrected ones are saved."""
    kept = [PackedMask.of(clip.instrument(index)) for index in range(len(clip))]
    return lambda index: kept[index].unpacked()


def _origin(clip: Clip, config: Inspect) -> str:
    """Which masks the clip has, in words."""
    if not clip.has_masks:
        return "no masks"
    if clip.masks_are_given:
        return "given masks"
    return "masks by SAM 2" if config.masks_from == "sam2" else "masks that were found"


def _unsaved(saving: Saving, corrections: Corrections) -> str:
    if not corrections.clicks:
        return f"{plain(saving.out)} holds what was saved before the last clicks were taken back"
    file = saving.keep_clicks()
    held = "" if saving.saved is None else f"; {plain(saving.out)} holds what was saved before"
    count = len(corrections.clicks)
    clicks = f"{count} clicks as of the end" if count != 1 else "one click"
    return f"not saved: {clicks}; kept in {plain(file)}, for inspect --clicks{held}"
