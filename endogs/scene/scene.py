"""A scene: canonical Gaussians, their deformation, and the cameras and units of the clip they were fitted to."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.camera import Camera
from endogs.errors import InputError
from endogs.gaussians import MEANS, Gaussians, all_finite
from endogs.scene.appearance import PLAIN, Appearance
from endogs.scene.deformation.deformation import Deformation
from endogs.scene.origin import Origin
from endogs.scene.stored_masks import StoredMasks
from endogs.scene.visibility import Visibility


@dataclass
class Scene:
    """A deformable set of Gaussians."""

    base: Tensor
    """(N, 14) canonical Gaussians, packed as in `endogs.gaussians`."""
    deformation: Deformation
    """How they change over time."""
    times: np.ndarray
    """(F,) float64 seconds of the clip's frames."""
    K: np.ndarray
    """(F, 3, 3) float64 intrinsics of the frames, pixels."""
    world_to_camera: np.ndarray
    """(F, 4, 4) float64 poses of the frames."""
    width: int
    """Image width in pixels."""
    height: int
    """Image height in pixels."""
    units: str = "relative"
    """"mm" or "relative" (median depth of the first frame = 100)."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """JSON: a record for people and other programs, such as the fit's whole configuration. endogs itself reads
    `origin`, never this."""
    visibility: Visibility | None = None
    """Which frames show each Gaussian; None where nobody looked."""
    appearance: Appearance = PLAIN
    """How colours depend on the camera, the light and the exposure."""
    origin: Origin = field(default_factory=Origin)
    """Where the scene came from: clip, options, split, masks."""
    masks: StoredMasks | None = None
    """The tissue masks that the scene was fitted with; None where it had none, or does not hold them."""
    identity: Tensor | None = None
    """(N,) int64, from 1 up: numbers by which Gaussians are known again in other segments of a `SceneChain`; None for
    a scene that is no segment."""
    file: Path | None = field(default=None, compare=False)
    """Where the scene was read from."""

    @property
    def called(self) -> str:
        """How sentences begin that are about the scene."""
        return "the scene" if self.file is None else str(self.file)

    def __len__(self) -> int:
        """Number of Gaussians."""
        return self.base.shape[0]

    @torch.no_grad()
    def packed_at(self, time: float) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds, before their appearance: see `shown_at` for colours.

        Raises InputError where the deformation's numbers are so large that the Gaussians are not finite.
        """
        return self._finite(self.deformation.packed_at(self.base, time), time)

    @torch.no_grad()
    def shown_at(self, time: float, camera: Camera | None = None) -> Tensor:
        """The packed Gaussians (N, 14) at `time`, seconds, in the colours that `camera` shows.

        Without a camera, that of the clip's nearest frame.
        """
        packed = self.packed_at(time)
        if self.appearance.plain:
            return packed
        camera = self.camera(self.nearest_frame(time)) if camera is None else camera.to(packed.device)
        return self._finite(self.appearance.shown(packed, camera, time), time)

    @torch.no_grad()
    def moved_since(self, time: float, since: float) -> tuple[Tensor, Tensor]:
        """The packed Gaussians (N, 14) at `time`, and how far each has moved (N, 3) since another, seconds."""
        now = self.packed_at(time)
        return now, now[:, MEANS] - self.packed_at(since)[:, MEANS]

    def gaussians_at(self, time: float, camera: Camera | None = None) -> Gaussians:
        """`shown_at` with unit quaternions."""
        packed = self.shown_at(time, camera)
        packed[:, 3:7] = torch.nn.functional.normalize(packed[:, 3:7], dim=1)
        return Gaussians.from_packed(packed)

    @property
    def duration(self) -> float:
        """Time of the last frame, seconds."""
        return float(self.times[-1])

    @property
    def static_camera(self) -> bool:
        """Whether one camera serves all frames."""
        return bool(np.allclose(self.world_to_camera, self.world_to_camera[:1]) and np.allclose(self.K, self.K[:1]))

    @property
    def placed(self) -> NDArray[np.bool_]:
        """(F,) False for frames for which no pose was found: theirs lies between those of others."""
        found = np.ones(len(self.times), bool)
        found[[i for i in self.origin.unplaced_frames or () if i < len(found)]] = False
        return found

    def to(self, device: torch.device | str) -> "Scene":
        """The same scene on another device."""
        tensors = {name: tensor.to(device) for name, tensor in self.deformation.tensors().items()}
        deformation = type(self.deformation).from_parts(tensors, self.deformation.settings())
        appearance = self.appearance.to(device)
        return replace(self, base=self.base.to(device), deformation=deformation, appearance=appearance)

    @property
    def device(self) -> torch.device:
        """Where its Gaussians are."""
        return self.base.device

    def part_at(self, time: float) -> "Scene":
        """The scene that is shown at `time`, seconds, all of it in memory: itself, and of a chain the segment."""
        return self

    def parts_at(self, time: float) -> tuple[tuple["Scene", float], ...]:
        """The scenes whose pictures are mixed at `time`, seconds, and their shares, which sum to 1 (`draw_scene`)."""
        return ((self, 1.0),)

    def select(self, keep: Tensor) -> "Scene":
        """The scene of the Gaussians selected by `keep`: a (N,) mask, or row indices."""
        visibility = None if self.visibility is None else self.visibility.select(keep)
        return replace(
            self,
            base=self.base[keep],
            deformation=self.deformation.select(keep),
            visibility=visibility,
            appearance=self.appearance.select(keep),
            identity=None if self.identity is None else self.identity[keep.to(self.identity.device)],
        )

    def steady(self) -> "Scene":
        """The scene without the clip's changes of exposure."""
        return replace(self, appearance=self.appearance.steady)

    def camera(self, frame: int) -> Camera:
        """The camera of a frame of the clip."""
        return Camera.from_numpy(self.K[frame], self.world_to_camera[frame], self.width, self.height).to(self.device)

    def nearest_frame(self, time: float) -> int:
        """The clip's frame nearest to `time`, seconds."""
        return int(np.argmin(np.abs(self.times - time)))

    def tissue_mask(self, frame: int) -> NDArray[np.bool_]:
        """The stored mask (H, W) of a frame, True = tissue. Raises InputError for one that is damaged."""
        assert self.masks is not None
        try:
            return self.masks.tissue_mask(frame)
        except ValueError as error:
            raise InputError(f"{self.called}: its {error}; copy it or fit it again") from error

    def _finite(self, packed: Tensor, time: float) -> Tensor:
        if not all_finite(packed):
            raise InputError(
                f"{self.called}: its Gaussians are not finite at {time:g} s, so its deformation or appearance is "
                "damaged; copy it or fit it again"
            )
        return packed
