"""A clip's depth, computed once, several frames at a time, and kept beside the output for the next run."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from endogs.bounded_files import is_file, listed
from endogs.device import usable_cores
from endogs.output import new_file
from endogs.priors.depth.hole_filling import measured
from endogs.priors.depth.moving_tissue import MovingTissue
from endogs.priors.depth.parallax import ParallaxDepth
from endogs.priors.depth.prediction import DepthInput, DepthKind, DepthPrediction, DepthPrior, TissueMasks
from endogs.priors.depth.temporal_depth import smooth_along_flow
from endogs.priors.motion.flow import ClipFlows, one_opencv_thread
from endogs.system_refusals import system_errors

if TYPE_CHECKING:
    from endogs.clip import Clip

MOST_THREADS = 4
Packed = dict[str, NDArray[Any]]
"""A prediction as it is kept: `value` (H, W) float16, float32 when metric, and `confidence` (H, W) uint8, 255 = 1."""


class ClipDepth:
    """The predictions of one prior for the training frames of one clip."""

    def __init__(
        self,
        clip: "Clip",
        prior: DepthPrior,
        frames: Sequence[int],
        masks: TissueMasks,
        flows: ClipFlows,
        folder: Path | None = None,
        threads: int | None = None,
        earlier: Path | None = None,
        outputs: Sequence[Path] = (),
    ) -> None:
        """`frames` are clip indices of the training frames, ascending: no other frame is ever looked at.

        With a `folder`, predictions are kept in a folder below it, named after everything that they depend on: the
        input's files, the reader's options, the prior, the frames and masks, and this version of endogs. What is there
        already, or in the folder of the same name below `earlier`, is taken. Given depth is already in files and is not
        written again. `outputs` are folders that do not belong to the input, should they lie in its folder. Raises
        InputError when the prior cannot serve the clip.
        """
        self._clip, self._prior, self._flows = clip, prior, flows
        self.frames = list(frames)
        self._masks = masks
        self._threads = threads or max(1, min(MOST_THREADS, usable_cores()))
        self.notes = prior.prepare(clip, self.frames, masks)
        """Sentences for the user."""
        self.kind: DepthKind = prior.kind
        self._tissue: MovingTissue | None = None
        self._kept: dict[int, Packed] = {}
        self._computing = threading.Lock()
        self.folder: Path | None = None
        """Where this clip's predictions are kept."""
        self._earlier: Path | None = None
        self.loaded = 0
        """How many predictions were found on disk."""
        self.computed = 0
        """How many were computed."""
        if folder is not None and self.about()["prior"] != "given":
            name = f"depth-{self._key(outputs)}"
            self.folder, self._earlier = folder / name, None if earlier is None else earlier / name

    def about(self) -> dict[str, Any]:
        """JSON: the prior and what it decided for this clip."""
        return self._prior.about()

    def record(self) -> dict[str, Any]:
        """JSON: `about`, and how many frames were computed and how many found."""
        return self.about() | {"frames_computed": self.computed, "frames_from_cache": self.loaded}

    def prediction(self, i: int) -> DepthPrediction:
        """The prediction for training frame `i` (an index into the clip)."""
        if i not in self._kept:
            with self._computing:  # points are followed on several threads, and each may be the first to ask
                self.precompute([i])
        packed = self._kept[i]
        return DepthPrediction(packed["value"].astype(np.float32), self.kind, _confidence(packed))

    def tissue_offset(self, i: int) -> NDArray[np.float64]:
        """(3,) where all tissue is at training frame `i`, from its mean place in the world; after `follow_tissue`."""
        return np.zeros(3) if self._tissue is None else self._tissue.offset(i)

    def follow_tissue(self) -> list[str]:
        """Finds what the tissue does as a whole before a camera that moves, where depth is metric; says so."""
        if isinstance(self._prior, ParallaxDepth):
            self._tissue = self._prior.tissue
            return []  # it has said so already
        if self._clip.static_camera or self.kind != "metric":
            return []
        self._tissue = MovingTissue(self._clip, self.frames, self._masks, lambda i: measured(self.prediction(i)))
        return self._tissue.notes()

    def forget(self, i: int) -> None:
        """Free the memory of a frame's prediction."""
        self._kept.pop(i, None)

    def precompute(self, wanted: Sequence[int], progress: Callable[[int, int], None] | None = None) -> None:
        """Finds or computes the predictions of the `wanted` training frames; `progress(done, total)` after each.

        A prior whose predictions are blended over time needs, and gets, all training frames at once.
        """
        missing = [i for i in wanted if i not in self._kept and not self._load(i)]
        if not missing:
            return
        if self._prior.temporal:
            missing = self.frames
        fresh: dict[int, Packed] = {}
        with one_opencv_thread(), ThreadPoolExecutor(self._threads) as pool:
            for done, (i, prediction) in enumerate(zip(missing, pool.map(self._predict, missing), strict=True), 1):
                fresh[i] = self._pack(prediction)
                self.computed += 1
                if not self._prior.temporal:
                    self._keep(i, fresh[i])
                if progress is not None:
                    progress(done, len(missing))
        if self._prior.temporal:
            self._blend(fresh)

    def _predict(self, i: int) -> DepthPrediction:
        with self._flows.reading:
            frame = DepthInput.of(self._clip, i, self._masks(i))
        return self._prior.predict(frame)

    def _blend(self, fresh: dict[int, Packed]) -> None:
        """Smooths the predictions of all training frames along the flow between them, and keeps them."""
        index = self.frames
        greys = []
        for i in index:
            with self._flows.reading:
                greys.append(np.asarray(cv2.cvtColor(self._clip.image(i), cv2.COLOR_RGB2GRAY), np.uint8))
        smooth = smooth_along_flow(
            [fresh[i]["value"].astype(np.float32) for i in index],
            [_confidence(fresh[i]) for i in index],
            greys,
            lambda a, b: self._flows.flow(index[a], index[b]),
        )
        for i, value in zip(index, smooth, strict=True):
            self._keep(i, {"value": value.astype(np.float16), "confidence": fresh[i]["confidence"]})

    def _pack(self, prediction: DepthPrediction) -> Packed:
        # Rounded before it is used and not only when written, so that a run from the cache equals the first one.
        value = prediction.value.astype(np.float32 if self.kind == "metric" else np.float16)
        return {"value": value, "confidence": np.rint(prediction.confidence * 255).astype(np.uint8)}

    def _keep(self, i: int, packed: Packed) -> None:
        self._kept[i] = packed
        if self.folder is not None:
            with new_file(self.folder / file_name(i)) as partial, system_errors():
                save_file({name: np.ascontiguousarray(array) for name, array in packed.items()}, partial)

    def _load(self, i: int) -> bool:
        if self.folder is None:
            return False
        form = {"value": "F32" if self.kind == "metric" else "F16", "confidence": "U8"}
        shape = (self._clip.height, self._clip.width)
        for folder in (self.folder, self._earlier):
            packed = None if folder is None else read_prediction(folder / file_name(i), form, shape)
            if packed is None:
                continue
            if folder == self.folder:
                self._kept[i] = packed
            else:
                self._keep(i, packed)
            self.loaded += 1
            return True
        return False

    def _key(self, outputs: Sequence[Path]) -> str:
        """16 hexadecimal digits of everything that predictions depend on."""
        clip = self._clip
        facts = {
            "options": asdict(clip.options),
            "size": [clip.width, clip.height],
            "K": clip.K.tolist(),
            "frames": self.frames,
            "prior": self.about(),
            "input": input_fingerprint(clip.source, outputs),
            "code": code_fingerprint(),
        }
        digest = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=8)
        for i in self.frames:
            digest.update(np.packbits(self._masks(i)).tobytes())
            doubtful = clip.doubtful(i)
            digest.update(b"" if doubtful is None else np.packbits(doubtful).tobytes())
        return digest.hexdigest()


def _confidence(packed: Packed) -> NDArray[np.float32]:
    return packed["confidence"].astype(np.float32) / np.float32(255)


def file_name(i: int) -> str:
    """Name of the file of training frame `i` (an index into the clip)."""
    return f"{i:06d}.safetensors"


def read_prediction(file: Path, form: dict[str, str], shape: tuple[int, int]) -> Packed | None:
    """A kept prediction; None where there is none of these types by name and this shape: it is only a cache."""
    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="numpy") as stored:
            parts = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118 (not a dict)
            if {name: part.get_dtype() for name, part in parts.items()} != form:
                return None
            if any(tuple(part.get_shape()) != shape for part in parts.values()):
                return None
            return {name: stored.get_tensor(name) for name in parts}
    except (OSError, SafetensorError):
        return None


def input_fingerprint(source: Path, outputs: Sequence[Path] = ()) -> list[tuple[str, int, int]]:
    """(name, bytes, time of change) of the input: the file, or a folder's files and those of its direct subfolders.

    `outputs` are folders that may lie inside and do not count, nor do hidden files.
    """
    if source.is_file():
        files = [source]
    else:
        left_out = {os.path.realpath(folder) for folder in outputs}
        shown = [p for p in listed(source) if not p.name.startswith(".") and os.path.realpath(p) not in left_out]
        files = [p for p in shown if is_file(p)]
        files += [p for folder in shown if folder.is_dir() for p in listed(folder) if is_file(p)]
    found = []
    for file in sorted(files):
        status = file.stat()
        found.append((str(file.resolve()), status.st_size, status.st_mtime_ns))
    return found


def code_fingerprint() -> str:
    """A hash of the source of all priors but instruments: another version may predict otherwise."""
    digest = hashlib.blake2b(digest_size=8)
    room = Path(__file__).parents[1]
    for file in sorted(file for folder in ("", "depth", "motion") for file in (room / folder).glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
