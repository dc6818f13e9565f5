"""A clip: frames with their times, cameras, tissue masks, depth and right views."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.baselines import baseline_notes, check_baseline
from endogs.clip.cameras.plausible_cameras import camera_notes, check_cameras
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_cache import DEFAULT_BYTES, FrameCache
from endogs.clip.frame_source import Frame
from endogs.clip.recording import FrameReader, Recording
from endogs.clip.view.framing import Framing
from endogs.clip.view.ignored_area import ignored_area, little_left
from endogs.errors import InputError
from endogs.geometry import invert_rigid

if TYPE_CHECKING:
    from endogs.camera import Camera
    from endogs.clip.checks.packing import PackingCheck
    from endogs.clip.checks.verdicts import PairCheck, PoseCheck

FARTHEST = 1e9
"""Seconds, pixels or millimetres: thirty years, or a thousand kilometres. What is more is no clip's, and overflows."""
BIG_FRAME = 3000
"""Pixels of the longer side from which memory deserves a note (4K and beyond)."""


class Clip:
    """Frames of an endoscopic video, cropped and resized as the options say.

    Frames are decoded when asked for and kept as uint8 in a cache bounded in bytes; no float copy of the clip exists.
    Every array that is returned is the caller's own, but for the images of `frame`.
    """

    def __init__(
        self, recording: Recording, options: ClipOptions | None = None, cache_bytes: int = DEFAULT_BYTES
    ) -> None:
        """Raises InputError for numbers that make no camera, and a crop, rows or a mask that do not fit."""
        options = options or ClipOptions()
        _check_cameras(recording)
        self.options = options
        # Without the frames that were decoded while reading: from here on only the bounded cache holds pixels.
        self._recording = replace(recording, framed={})
        self._framing = Framing.of(recording.width, recording.height, options)
        self._cache = FrameCache(cache_bytes)
        self.name = recording.source.resolve().stem if recording.source.is_file() else recording.source.resolve().name
        """The file's or folder's name, without an extension."""
        self.source = recording.source
        """The file or folder."""
        self.kind = recording.kind
        """The layout, as its reader calls it: "video", "image-folder", "colmap", ..."""
        self.width, self.height = self._framing.width, self._framing.height
        self.original_size = (recording.width, recording.height)
        """(width, height) before cropping and resizing."""
        self.time_offset = float(recording.times[0])
        """Seconds from the first frame of the input to the first frame that is read."""
        self.times: NDArray[np.float64] = recording.times - recording.times[0]
        """(F,) seconds since the first frame that is read."""
        self.K: NDArray[np.float64] = self._framing.intrinsics(recording.K)
        """(F, 3, 3) intrinsics in pixels of the cropped and resized frames, centres at +0.5."""
        self.world_to_camera: NDArray[np.float64] = recording.world_to_camera
        """(F, 4, 4) OpenCV axes, world units."""
        self.K_is_guess = recording.K_is_guess
        """True when neither the input nor the options said what the focal length is."""
        self.units: Literal["mm", "relative"] = recording.units
        """World units."""
        self.baseline = recording.baseline if recording.right_images is not None else None
        """World units from the left to the right camera along x, None without right views."""
        self.has_masks = recording.masks is not None
        """True when something says where instruments are."""
        self.masks_are_given = self.has_masks
        """True when the masks came with the clip."""
        self.mask_instrument_value = recording.mask_instrument_value
        """The value that meant instrument in those masks' files."""
        self.mask_meaning = str(getattr(recording.masks, "meaning", ""))
        """What those files hold and which of it is instrument, where their reader says it."""
        self._found_masks: FrameReader | None = None
        self.has_inverse_depth = recording.depths is not None and options.depth_is == "inverse"
        """True when the depth files hold inverse depth, which has no unit."""
        self.has_depth = recording.depths is not None and not self.has_inverse_depth
        """True when there is z-depth in world units."""
        self.has_right = recording.right_images is not None
        self.depth_is_quantized = recording.depth_is_quantized
        """True when depth came in 8 bits, at most 255 different values."""
        self.static_camera = _is_static(recording.world_to_camera)
        """True when every frame has the same pose."""
        self.poses_are_given = recording.poses_are_given
        """False when nothing said where the camera is, and it is only taken to stand still."""
        self.pose_known: NDArray[np.bool_] = np.ones(len(recording.times), bool)
        """(F,) False where no pose was found and one between others stands: nobody learns from it or judges by it."""
        self.tissueless: tuple[int, ...] = ()
        """Frames that look like no tissue, ascending: nobody learns from them or is judged by them."""
        self.poses_replaced = False
        """True when the poses are not those of the input, but others (`with_cameras`)."""
        self.pose_check: PoseCheck | None = None
        """How well the poses fit the images, when `load_clip` could tell."""
        self.pair_check: PairCheck | None = None
        """How well the views of a pair fit each other, given depth and poses, when `load_clip` could tell."""
        self.packing_check: PackingCheck | None = None
        """Whether the frames hold two views as --stereo says, when `load_clip` could tell."""
        self.contradictions: list[str] = []
        """What `load_clip` found that would make a fit wrong, in sentences that say what to do."""
        self.notes: list[str] = [*recording.notes, *self._camera_notes(), *self._memory_notes()]
        """Sentences a user should read: what was guessed, missing, or heavy."""
        self.ignored: NDArray[np.bool_] = self._framing.labels(ignored_area(recording.width, recording.height, options))
        """(H, W) True where there is never tissue, in both views: --ignore-rows, --ignore-mask and --ignore-box say so,
        and, without the first two, what lies outside the field of view that was found."""
        if recording.outside is not None:
            self.ignored = self.ignored | self._framing.labels(recording.outside)
            if self.ignored.all():
                raise InputError(f"{recording.source}: --crop keeps only what the undistorted view does not show.")
        elif self.ignored.all():
            raise InputError(
                f"{recording.source}: --crop keeps only what --ignore-rows, --ignore-box and --ignore-mask leave out: "
                "nothing would be left to fit; move the crop, or leave those options out."
            )
        for index, image in recording.framed.items():
            self._cache.put(("image", index), image)
        self._limit_to_view()
        self.notes += little_left(self.ignored, self._framing, options)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def unplaced(self) -> tuple[int, ...]:
        """Frames for which no pose was found, ascending."""
        return tuple(int(i) for i in np.flatnonzero(~self.pose_known))

    @property
    def only_turns(self) -> bool:
        """Whether the camera's poses differ in direction alone, so that nothing shows parallax."""
        centres = invert_rigid(self.world_to_camera)[:, :3, 3]
        return not self.static_camera and bool(np.ptp(centres, axis=0).max() < 1e-9)

    def keep(self, megabytes: float) -> None:
        """Keep at most so much of what was decoded from now on; the rest is decoded again when it is asked for."""
        said = self._memory_notes()  # about the memory that is not taken any more
        self.notes = [note for note in self.notes if note not in said]
        self._cache.limit_to(int(megabytes * 1e6))

    @property
    def file_names(self) -> list[str] | None:
        """Names of the files that the frames are read from; None where they are no files, as in a video."""
        paths = getattr(self._recording.images, "paths", None)
        return None if paths is None else [path.name for path in paths]

    def image(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB of frame `index`."""
        return self._image("image", index).copy()

    def frame(self, index: int) -> Frame:
        """Frame `index` with what is known of it; its image is the clip's own array, which nobody may write to."""
        index = self._checked(index)
        return Frame(
            index,
            float(self.times[index]),
            self._image("image", index),
            self.tissue_mask(index),
            self.K[index],
            self.world_to_camera[index],
            self.doubtful(index),
        )

    def right_image(self, index: int) -> NDArray[np.uint8] | None:
        """uint8 (H, W, 3) RGB of the rectified right view, None when the clip has none."""
        return self._image("right", index).copy() if self.has_right else None

    def is_decoded(self, count: int) -> bool:
        """Whether each of the first `count` frames is kept, so that asking for it costs no decoding."""
        return all(("image", index) in self._cache for index in range(count))

    def original(self, index: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) RGB of frame `index` before --crop and --max-size; what a clip keeps is not decoded again."""
        return self._original("image", index, self._recording.images)

    def original_right(self, index: int) -> NDArray[np.uint8] | None:
        """uint8 (H, W, 3) RGB of the right view before --crop and --max-size, None when the clip has none."""
        reader = self._recording.right_images
        return None if reader is None else self._original("right", index, reader)

    def original_depth(self, index: int) -> NDArray[np.float32] | None:
        """float32 (H, W) z-depth in world units before --crop and --max-size, 0 = unknown, None without depth."""
        depths = self._recording.depths
        if depths is None or not self.has_depth:
            return None
        return self._in_world_units(depths.read(self._checked(index)))

    @property
    def original_K(self) -> NDArray[np.float64]:
        """(F, 3, 3) intrinsics before --crop and --max-size, centres at +0.5."""
        return self._recording.K

    def tissue_mask(self, index: int) -> NDArray[np.bool_]:
        """bool (H, W), True where tissue is seen: not an instrument, not an ignored area."""
        masks, index = self._recording.masks, self._checked(index)
        if not self.has_masks:
            return ~self.ignored
        if self._found_masks is not None:
            return np.asarray(self._found_masks.read(index) & ~self.ignored)
        if masks is None:
            return ~self.ignored
        tissue = self._cache.get(("mask", index), lambda: self._framing.labels(masks.read(index)))
        return np.asarray(tissue & ~self.ignored)

    def doubtful(self, index: int) -> NDArray[np.bool_] | None:
        """bool (H, W), True where found masks leave open whether it is tissue; no tissue mask has these pixels.

        None for masks that leave nothing open.
        """
        halo = getattr(self._found_masks, "halo", None)
        return None if halo is None else np.asarray(halo(self._checked(index)) & ~self.ignored)

    def instrument(self, index: int) -> NDArray[np.bool_]:
        """bool (H, W), True where the masks of frame `index` surely show an instrument."""
        doubtful = self.doubtful(index)
        sure = ~self.tissue_mask(index) & ~self.ignored
        return np.asarray(sure if doubtful is None else sure & ~doubtful)

    def with_masks(self, masks: FrameReader | None) -> "Clip":
        """The same clip, sharing its cached frames, with other tissue masks (H, W), or none: then all is tissue."""
        other = copy.copy(self)
        other._found_masks, other.has_masks, other.masks_are_given = masks, masks is not None, False
        return other

    def with_tissueless(self, frames: tuple[int, ...]) -> "Clip":
        """The same clip, sharing its cached frames, with other frames, ascending, that look like no tissue."""
        other = copy.copy(self)
        other.tissueless = frames
        return other

    def depth(self, index: int) -> NDArray[np.float32] | None:
        """float32 (H, W) z-depth in world units, 0 = unknown, None when the clip has no depth.

        Unknown are values that are not positive and finite, and the largest of an integer type, as sensors and
        renderers write where nothing was hit.
        """
        if not self.has_depth:
            return None
        return self._in_world_units(self._raw_depth(index))

    def inverse_depth(self, index: int) -> NDArray[np.float32] | None:
        """float32 (H, W) of 1/z up to scale and offset, NaN = unknown; None when the files hold none or depth."""
        if not self.has_inverse_depth:
            return None
        raw = self._raw_depth(index).astype(np.float32)
        return np.where(np.isfinite(raw) & (raw > 0), raw, np.float32(np.nan))

    def with_cameras(
        self,
        world_to_camera: NDArray[np.float64],
        pose_known: NDArray[np.bool_] | None = None,
        units: Literal["mm", "relative"] | None = None,
    ) -> "Clip":
        """The same clip, sharing its cached frames, with other poses (F, 4, 4), OpenCV axes.

        They are in world units, or make `units` these. `pose_known` (F,) is False for frames whose pose is none that
        somebody found. Raises ValueError for poses that are not finite, or of another number of frames.
        """
        poses = np.array(world_to_camera, np.float64)
        if poses.shape != (len(self), 4, 4) or not np.isfinite(poses).all():
            raise ValueError(f"{len(self)} frames need as many finite poses (4, 4), not {poses.shape}")
        other = copy.copy(self)
        other.world_to_camera, other.static_camera, other.poses_are_given = poses, _is_static(poses), True
        other.poses_replaced, other.pose_check, other.notes = True, None, list(self.notes)
        other.units = self.units if units is None else units
        other.pose_known = np.ones(len(self), bool) if pose_known is None else np.array(pose_known, bool)
        return other

    def with_intrinsics(self, K: NDArray[np.float64]) -> "Clip":
        """The same clip, sharing its cached frames, with other intrinsics (F, 3, 3) of its cropped and resized frames,
        which are no guess."""
        other = copy.copy(self)
        other.K, other.K_is_guess, other.notes = np.array(K, np.float64), False, list(self.notes)
        other._recording = replace(self._recording, K=self._framing.original_intrinsics(K))
        return other

    def _raw_depth(self, index: int) -> NDArray[Any]:
        depths, index = self._recording.depths, self._checked(index)
        assert depths is not None
        return self._cache.get(("depth", index), lambda: self._framing.labels(depths.read(index)))

    def camera(self, index: int) -> "Camera":
        """The camera of frame `index`, float32 on the CPU."""
        from endogs.camera import Camera

        index = self._checked(index)
        return Camera.from_numpy(self.K[index], self.world_to_camera[index], self.width, self.height)

    def right_camera(self, index: int) -> "Camera":
        """The camera of the right view: the left one moved by `baseline` along its own x axis.

        Raises ValueError when the clip has no right views.
        """
        from endogs.camera import Camera

        if self.baseline is None:
            raise ValueError(f"{self.source} has no right views, so there is no right camera")
        index = self._checked(index)
        world_to_right = self.world_to_camera[index].copy()
        world_to_right[0, 3] -= self.baseline
        return Camera.from_numpy(self.K[index], world_to_right, self.width, self.height)

    def _in_world_units(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        depth = raw.astype(np.float32) * np.float32(self._recording.depth_unit)
        known = np.isfinite(depth) & (depth > 0)
        if np.issubdtype(raw.dtype, np.integer):
            known &= raw != np.iinfo(raw.dtype).max
        return np.where(known, depth, np.float32(0))

    def _original(self, view: str, index: int, reader: FrameReader) -> NDArray[np.uint8]:
        if (self.width, self.height) == self.original_size:
            return self._image(view, index)
        index = self._checked(index)
        whole = np.asarray(reader.read(index), np.uint8)
        self._cache.get((view, index), lambda: self._framing.image(whole))
        return whole

    def _limit_to_view(self) -> None:
        """Ignore what no frame shows tissue in, unless the options say what to ignore, or to ignore nothing."""
        by_hand = self.options.ignore_rows or self.options.ignore_mask is not None
        if by_hand or self.options.borders == "keep":
            return
        from endogs.clip.files.mask_files import sampled
        from endogs.clip.view.field_of_view import SAMPLES, find_field_of_view

        found = find_field_of_view([self._image("image", i) for i in sampled(len(self), SAMPLES)], self._framing)
        self.ignored = self.ignored | found.outside
        self.notes += found.notes
        if self.ignored.all():
            raise InputError(
                f"{self.source}: --ignore-box leaves out all that lies within the borders that were found: nothing "
                "would be left to fit; give a smaller box, or --borders keep."
            )

    def _image(self, view: str, index: int) -> NDArray[np.uint8]:
        index = self._checked(index)
        reader = self._recording.images if view == "image" else self._recording.right_images
        assert reader is not None
        return self._cache.get((view, index), lambda: self._framing.image(reader.read(index)))

    def _checked(self, index: int) -> int:
        """`index` with negative ones counted from the end, or IndexError."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of a clip of {len(self)} frames")
        return int(index) % len(self)

    def _camera_notes(self) -> list[str]:
        """Sentences about a camera, or a pair, that is possible but hardly anybody's."""
        recording, said = self._recording, any(note.startswith("camera: ") for note in self._recording.notes)
        notes = baseline_notes(self.baseline) if self.units == "mm" else []
        if self.K_is_guess or said:
            return notes
        squeezed, wide = self.options.stereo is not None, self.options.undistorted_degrees is not None
        return [*camera_notes(recording.K[0], *self.original_size, squeezed, wide), *notes]

    def _memory_notes(self) -> list[str]:
        views = 2 if self._recording.right_images is not None else 1
        megabytes = self.width * self.height * 3 * len(self) * views / 1e6
        kept = self._cache.limit / 1e6
        if megabytes > kept:
            return [
                f"memory: {len(self)} frames of {self.width} x {self.height} take {megabytes:.0f} MB decoded; at most "
                f"{kept:.0f} MB are kept and the rest is decoded again when needed, which is slow: --max-size, "
                "--stride or --end make it lighter."
            ]
        if max(self.width, self.height) >= BIG_FRAME:
            return [
                f"memory: frames of {self.width} x {self.height} take {megabytes:.0f} MB decoded, and fitting needs "
                "several times as much per frame as at 640 x 512: --max-size makes it lighter."
            ]
        return []


def _is_static(world_to_camera: NDArray[np.float64]) -> bool:
    return bool(np.ptp(world_to_camera, axis=0).max() < 1e-9)


def _check_cameras(recording: Recording) -> None:
    """InputError naming the recording's source when its cameras are no cameras, whatever its reader let through."""
    for what, values in (
        ("times", recording.times),
        ("intrinsics", recording.K),
        ("poses", recording.world_to_camera),
        ("baseline", recording.baseline),
        ("unit of depth", recording.depth_unit),
    ):
        if values is not None and not (np.abs(values) <= FARTHEST).all():
            raise InputError(
                f"{recording.source}: its {what} are not all finite numbers up to {FARTHEST:g}: correct its files."
            )
    check_cameras(recording.K, recording.width, recording.height, recording.source)
    if recording.right_images is not None and recording.baseline is not None and recording.units == "mm":
        check_baseline(recording.baseline, recording.source)
