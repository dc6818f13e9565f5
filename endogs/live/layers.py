"""The pictures a viewer offers of a scene: colour, depth, normals, deformation, and the clip's input beside them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from endogs.clip import Clip
from endogs.depth_colors import color_depth
from endogs.live.legend import draw_legend
from endogs.live.viewpoint import SURE, Orbit, Viewpoint, endoscope_view, orbit_view
from endogs.pictures.scene_frames import scene_depth_range
from endogs.pictures.source_clip import judged_masks
from endogs.render.backends import rasterize_packed
from endogs.render.rendering import Rendering
from endogs.scene import Scene
from endogs.scene.appearance import LAMP_AT_LENS, Light
from endogs.scene.drawing import draw_scene
from endogs.scene.relight import relit

Layer = Literal[
    "Colour", "Depth", "Normals", "Deformation", "Input", "Input beside render", "Instruments marked", "Albedo"
]
LAYERS: tuple[Layer, ...] = get_args(Layer)[:-1]
OF_LIGHT: tuple[Layer, ...] = ("Albedo",)
"""Layers of scenes that know their light. In their other layers the lamp goes along with the view."""
OF_THE_CLIP: tuple[Layer, ...] = ("Input", "Input beside render", "Instruments marked")
"""Layers that need the clip, and are seen through the endoscope only."""
LOOKS = 8
"""Instants at which the largest deformation of a clip is looked for."""
MOST_INSTANTS = 64
"""Instants since which the largest deformation is remembered."""
INSTRUMENT_TINT = (255, 176, 0)
"""RGB of the mark over instruments."""
Picture = NDArray[np.uint8]


def layers_of(clip: Clip | None, lit: bool = False) -> tuple[Layer, ...]:
    """The layers that can be drawn: those of the clip only where it was found, instruments only with masks, the albedo
    only where the scene is `lit`.
    """
    more = OF_LIGHT if lit else ()
    if clip is None:
        return (*(layer for layer in LAYERS if layer not in OF_THE_CLIP), *more)
    return (*(LAYERS if clip.has_masks else LAYERS[:-1]), *more)


class Painter:
    """Draws layers of one scene. The ranges of its colours are those of the whole clip, so colours do not flicker."""

    def __init__(self, scene: Scene, clip: Clip | None = None) -> None:
        """`clip` has the frames that the scene was fitted to."""
        self.scene, self.clip = scene, clip
        self._depth_range: tuple[float, float] | None = None
        self._largest_deformation: dict[float, float] = {}
        self._tissue_mask: Callable[[int], NDArray[np.bool_]] | None = None

    def replace_scene(self, scene: Scene) -> None:
        """Draw a newer state of the same scene; colour ranges stay as they were."""
        self.scene = scene

    def viewpoint(self, look: Orbit | None, layer: Layer, time: float, canvas: tuple[int, int]) -> Viewpoint:
        """The view of `look` (None: through the endoscope) on a canvas (width, height); some layers allow one only."""
        if layer == "Input beside render":
            return endoscope_view(self.scene, time, canvas, panel=1, panels=2)
        if look is None or layer in OF_THE_CLIP:
            return endoscope_view(self.scene, time, canvas)
        return orbit_view(look, canvas)

    @torch.no_grad()
    def draw(
        self, view: Viewpoint, time: float, layer: Layer, since: float = 0.0, light: Light = LAMP_AT_LENS
    ) -> Picture:
        """RGB uint8 (h, w, 3) of the canvas at `time` seconds; deformation is counted from `since` seconds.

        Raises ValueError when the layer needs a clip and there is none, and InputError for another light on colours
        that know none.
        """
        canvas = np.zeros((view.canvas[1], view.canvas[0], 3), np.uint8)
        column, row = view.corner
        place = canvas[row : row + view.camera.height, column : column + view.camera.width]
        if layer == "Depth":
            place[:] = self._depth(view, time)
        elif layer == "Normals":
            place[:] = self._normals(view, time)
        elif layer == "Deformation":
            place[:] = self._deformation(view, time, since)
        elif layer == "Albedo":
            place[:] = self._color(view, time, Light(ambient_only=True))
        elif layer == "Input":
            place[:] = self._input(view, time)
        elif layer == "Instruments marked":
            place[:] = self._marked(view, time, light)
        else:
            place[:] = self._color(view, time, light)
        if layer == "Input beside render":
            left = endoscope_view(self.scene, time, view.canvas, panel=0, panels=2)
            column, row = left.corner
            canvas[row : row + left.camera.height, column : column + left.camera.width] = self._input(left, time)
        if layer == "Depth":
            draw_legend(canvas, *self.depth_range(), f"depth {self.unit}", cv2.COLORMAP_TURBO)
        if layer == "Deformation":
            title = f"moved since {since:.2f} s {self.unit}"
            draw_legend(canvas, 0.0, self.largest_deformation(since), title, cv2.COLORMAP_INFERNO)
        return canvas

    @torch.no_grad()
    def depth(self, view: Viewpoint, time: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """z-depth and alpha (H, W) of the view's camera at `time`."""
        rendering = draw_scene(self.scene, time, view.camera)
        return rendering.depth.float().cpu().numpy(), rendering.alpha.float().cpu().numpy()

    @property
    def unit(self) -> str:
        """The scene's unit as a legend writes it."""
        return "(mm)" if self.scene.units == "mm" else "(relative)"

    def depth_range(self) -> tuple[float, float]:
        """The range of the depth colours, world units."""
        if self._depth_range is None:
            self._depth_range = scene_depth_range(self.scene)
        return self._depth_range

    def largest_deformation(self, since: float) -> float:
        """The upper end of the deformation colours, world units: the 99th percentile over the opaque Gaussians at the
        clip's liveliest of a few instants.
        """
        if since not in self._largest_deformation:
            if len(self._largest_deformation) >= MOST_INSTANTS:
                self._largest_deformation.clear()
            largest = 0.0
            for frame in np.unique(np.linspace(0, len(self.scene.times) - 1, LOOKS).round().astype(int)):
                now, path = self.scene.moved_since(float(self.scene.times[frame]), since)
                moved = path.norm(dim=1)[torch.sigmoid(now[:, 10]) >= 0.1]
                if moved.numel():
                    largest = max(largest, float(np.percentile(moved.cpu().numpy(), 99)))
            self._largest_deformation[since] = max(largest, 1e-6)
        return self._largest_deformation[since]

    def _color(self, view: Viewpoint, time: float, light: Light) -> Picture:
        return eight_bit(draw_scene(in_light(self.scene, light), time, view.camera).color)

    def _depth(self, view: Viewpoint, time: float) -> Picture:
        depth, alpha = self.depth(view, time)
        return color_depth(np.where(alpha >= SURE, depth, np.float32(0)), *self.depth_range())

    def _normals(self, view: Viewpoint, time: float) -> Picture:
        # Of the drawn surface, from its depth: a Gaussian's own shortest axis says little where it is nearly round.
        depth, alpha = self.depth(view, time)
        normal = surface_normals(depth, view.camera.K.double().numpy())
        # Towards the viewer is blue, to the right red, upwards green, as in most normal maps.
        shown = (normal * np.array([127.5, -127.5, -127.5], np.float32) + 128).astype(np.uint8)
        return np.asarray(shown * (alpha >= SURE)[..., None], np.uint8)

    def _deformation(self, view: Viewpoint, time: float, since: float) -> Picture:
        now, path = self.scene.moved_since(time, since)
        rendering = render(now, view, features=path.norm(dim=1, keepdim=True))
        assert rendering.features is not None
        alpha = rendering.alpha.float().cpu().numpy()
        share = rendering.features[..., 0].float().cpu().numpy() / np.maximum(alpha, 1e-6)
        level = np.clip(share / self.largest_deformation(since) * 255 + 0.5, 0, 255).astype(np.uint8)
        colors = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[..., ::-1]
        return np.asarray(colors * (alpha >= SURE)[..., None], np.uint8)

    def _input(self, view: Viewpoint, time: float) -> Picture:
        image = self._clip().image(self.scene.nearest_frame(time))
        size = (view.camera.width, view.camera.height)
        shrinks = size[0] < image.shape[1]
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))

    def _marked(self, view: Viewpoint, time: float, light: Light) -> Picture:
        clip = self._clip()
        if self._tissue_mask is None:  # may be a search through the whole clip
            self._tissue_mask = judged_masks(self.scene, clip)
        tissue = self._tissue_mask(self.scene.nearest_frame(time)).astype(np.uint8)
        size = (view.camera.width, view.camera.height)
        hidden = cv2.resize(1 - tissue, size, interpolation=cv2.INTER_NEAREST)
        image = self._color(view, time, light)
        tinted = np.asarray(0.65 * image + 0.35 * np.array(INSTRUMENT_TINT), np.uint8)
        image = np.ascontiguousarray(np.where(hidden[..., None] > 0, tinted, image))
        outlines, _ = cv2.findContours(hidden, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, INSTRUMENT_TINT, 1, cv2.LINE_AA)
        return image

    def _clip(self) -> Clip:
        if self.clip is None:
            raise ValueError("this layer shows the clip, and the clip was not found")
        return self.clip


def in_light(scene: Scene, light: Light) -> Scene:
    """The scene as `light` shows it, in the exposure of its frames unless the light is even, which shows the albedo.

    Raises InputError for another light on colours that know none.
    """
    if light == LAMP_AT_LENS:
        return scene
    lit = relit(scene, light, Path("the scene"))
    if light.ambient_only:
        return lit
    return replace(lit, appearance=replace(lit.appearance, exposure=scene.appearance.exposure))


def render(packed: Tensor, view: Viewpoint, features: Tensor | None = None) -> Rendering:
    """Packed Gaussians (N, 14) through a view's camera, on the Gaussians' device."""
    return rasterize_packed(packed, view.camera.to(packed.device), features=features)


def surface_normals(depth: NDArray[np.float32], K: NDArray[np.float64]) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) in camera axes, facing the camera, of a z-depth map (H, W) smoothed by a pixel or two.

    The cross product of the surface's two tangents, from differences over neighbouring pixels.
    """
    smooth = cv2.GaussianBlur(depth, (0, 0), 1.5)
    du, dv = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    x = ((np.arange(depth.shape[1]) + 0.5 - K[0, 2]) / K[0, 0]).astype(np.float32)[None, :]
    y = ((np.arange(depth.shape[0]) + 0.5 - K[1, 2]) / K[1, 1]).astype(np.float32)[:, None]
    # The point is z (x, y, 1); tangents are its derivatives by column and row, and this is their cross product / z.
    fx, fy = np.float32(K[0, 0]), np.float32(K[1, 1])
    normal = np.stack([fx * du, fy * dv, -(smooth + fx * du * x + fy * dv * y)], -1)
    length = np.sqrt(np.einsum("hwc,hwc->hw", normal, normal))[..., None]
    return np.asarray(normal / np.maximum(length, 1e-12), np.float32)


def eight_bit(image: Tensor) -> Picture:
    """uint8 (H, W, 3) of an image (H, W, 3) in [0, 1], rounded, values outside clipped."""
    levels = (image.permute(2, 0, 1) * 255 + 0.5).clamp_(0, 255).to(torch.uint8)  # in the planes' own order
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())
