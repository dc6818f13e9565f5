"""Instruments followed through the clip by SAM 2 (Ravi et al. 2024), as transformers implements it.

transformers' own video processor needs torchvision, which no build of endogs depends on; what it does (resize, scale,
normalize) is done here, and the model's memory is driven frame by frame.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from endogs.bounded_files import read_json
from endogs.errors import InputError
from endogs.priors.instruments.by_fusion import find_by_fusion
from endogs.priors.instruments.components import edge_of_view
from endogs.priors.instruments.config import Sam2Options
from endogs.priors.instruments.findings import Findings
from endogs.priors.instruments.halo import tip_halo
from endogs.priors.instruments.masks import InstrumentMasks, Mask
from endogs.priors.instruments.prompts import Prompt, read_prompts
from endogs.priors.model_folder import check_model_folder, keep_quiet, model_folder, reason_of, unloadable

if TYPE_CHECKING:
    import torch

    from endogs.clip import Clip

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MODEL_TYPES = ("sam2_video", "sam2")
PROMPTED_FRAMES = 3
"""Frames whose found masks are given to SAM 2 when the user points at nothing."""


def follow_with_sam2(
    clip: "Clip", options: Sam2Options, progress: Callable[[int, int], None] | None = None
) -> Findings:
    """Instrument masks of every frame, from the prompts in `options` or, without any, from what colour finds.

    `progress(done, total)` is called after each frame. Raises InputError when transformers is missing, the model cannot
    be loaded, a prompt does not fit the clip, or nothing says what to follow.
    """
    folder = model_folder(options.sam2_model, "--sam2-model")
    model = load_model(folder)
    prompts = read_prompts(options, clip)
    origin = f"{len(prompts)} prompt{'s' * (len(prompts) != 1)}"
    if not prompts:
        prompts, origin = _prompts_by_search(clip), "what colour shows"
    instruments = track(model, clip, prompts, normalization_of(folder), progress)
    halos = [tip_halo(mask, edge_of_view(~clip.ignored), beyond=0.0) & ~clip.ignored for mask in instruments]
    shown = sum(bool(mask.any()) for mask in instruments)
    note = f"SAM 2 followed instruments from {origin} through {shown} of {len(clip)} frames."
    return Findings(InstrumentMasks(instruments, halos, clip.width, clip.height), note)


def load_model(folder: Path) -> Any:
    """The SAM 2 video model in a folder; InputError with the reason when that fails."""
    try:
        from transformers import Sam2VideoModel
    except ImportError as error:
        raise InputError("SAM 2 needs transformers; install it with pip install 'endogs[learned]'.") from error
    keep_quiet()
    kind = check_model_folder(folder).get("model_type")
    if kind not in MODEL_TYPES:
        raise InputError(
            f"{folder}: config.json is of model type {kind}, not of a SAM 2 video model; give one such as "
            "facebook/sam2.1-hiera-tiny."
        )
    try:
        return Sam2VideoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()
    except unloadable() as error:
        raise InputError(
            f"--sam2-model {folder}: cannot be loaded ({reason_of(error)}); give the folder of a downloaded SAM 2 "
            "video model."
        ) from error


def track(
    model: Any,
    clip: "Clip",
    prompts: list[Prompt],
    normalization: tuple[tuple[float, ...], tuple[float, ...]] = (IMAGENET_MEAN, IMAGENET_STD),
    progress: Callable[[int, int], None] | None = None,
) -> list[Mask]:
    """Instruments (H, W) in every frame of `clip`: prompted frames first, then forward and backward from the first."""
    import torch

    session = _session(clip, model, normalization)
    size = _image_size(model)
    scale = torch.tensor([size / clip.width, size / clip.height])
    masks: dict[int, Mask] = {}
    with torch.inference_mode():
        for prompt in prompts:
            index = session.obj_id_to_idx(prompt.instrument)
            if prompt.mask is not None:
                mask = cv2.resize(prompt.mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) >= 0.5
                session.add_mask_inputs(index, prompt.frame, torch.from_numpy(mask)[None, None].float())
            else:
                points = torch.from_numpy(prompt.points) * scale
                labels = torch.tensor(prompt.labels, dtype=torch.int32)
                inputs = {"point_coords": points[None, None], "point_labels": labels[None, None]}
                session.add_point_inputs(index, prompt.frame, inputs)
            session.obj_with_new_inputs = [prompt.instrument]
            model(session, frame_idx=prompt.frame)
        start = min(prompt.frame for prompt in prompts)
        ways = (range(start, len(clip)), False), (range(start - 1, -1, -1), True)
        for frames, backward in ways:
            for i in frames:
                logits = model(session, frame_idx=i, reverse=backward).pred_masks
                masks[i] = _mask_of(logits, clip)
                if progress is not None:
                    progress(len(masks), len(clip))
    return [masks[i] for i in range(len(clip))]


class _Frames:
    """The frames of a clip as the model wants them, made when asked for: a whole clip would take gigabytes."""

    def __init__(self, clip: "Clip", size: int, normalization: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
        self._clip, self._size = clip, size
        self._mean, self._std = (np.array(values, np.float32) for values in normalization)

    def __len__(self) -> int:
        return len(self._clip)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._clip)))

    def __getitem__(self, index: int) -> "torch.Tensor":
        """Normalized float32 (3, size, size); the aspect is not kept, as in training."""
        import torch

        image = self._clip.image(index)
        shrink = min(image.shape[:2]) > self._size
        resized = cv2.resize(
            image, (self._size, self._size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
        )
        values = (resized.astype(np.float32) / 255 - self._mean) / self._std
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def _session(clip: "Clip", model: Any, normalization: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    """A session of the model's memory over the clip's frames."""
    from transformers.models.sam2_video import modeling_sam2_video

    session: Any = modeling_sam2_video.Sam2VideoInferenceSession(
        video=None, video_height=clip.height, video_width=clip.width, dtype=model.dtype
    )
    session.processed_frames = _Frames(clip, _image_size(model), normalization)
    return session


def _image_size(model: Any) -> int:
    size = model.config.prompt_encoder_config.image_size
    return int(size if isinstance(size, int) else size[0])


def _mask_of(logits: "torch.Tensor", clip: "Clip") -> Mask:
    """The union (H, W) of all instruments in logits (objects, 1, h, w), within the field of view."""
    best = logits.float().amax(dim=(0, 1)).numpy()
    return (cv2.resize(best, (clip.width, clip.height), interpolation=cv2.INTER_LINEAR) > 0) & ~clip.ignored


def _prompts_by_search(clip: "Clip") -> list[Prompt]:
    """The masks that are found in the frames where they are largest, at most three far apart, as one instrument."""
    found = find_by_fusion(clip)
    masks = found.masks
    if masks is None:
        raise InputError(
            f"{clip.source}: nothing to follow ({found.note.rstrip('.')}); point at instruments with --sam2-click or "
            "--sam2-box."
        )
    parts = np.array_split(np.arange(len(clip)), min(PROMPTED_FRAMES, len(clip)))
    largest = [int(max(part, key=lambda i: int(masks.instrument(int(i)).sum()))) for part in parts]
    chosen = [i for i in largest if masks.instrument(i).any()]
    return [Prompt(i, 0, mask=masks.instrument(i)) for i in chosen]


def normalization_of(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation from the model's own files where they say so, ImageNet's otherwise.

    Raises InputError where they say something else than three numbers each, the deviations positive.
    """
    for file in ("video_preprocessor_config.json", "preprocessor_config.json"):
        if (folder / file).is_file():
            values = read_json(folder / file)
            values = values if isinstance(values, dict) else {}
            mean, std = values.get("image_mean"), values.get("image_std")
            if mean and std:
                return _three(folder / file, "image_mean", mean), _three(folder / file, "image_std", std)
    return IMAGENET_MEAN, IMAGENET_STD


def _three(file: Path, name: str, values: Any) -> tuple[float, ...]:
    numbers = isinstance(values, list) and len(values) == 3 and all(type(one) in (int, float) for one in values)
    if not numbers or (name == "image_std" and min(values) <= 0):
        raise InputError(f"{file}: {name} should be three numbers, of a deviation positive ones; download it again.")
    return tuple(float(one) for one in values)
