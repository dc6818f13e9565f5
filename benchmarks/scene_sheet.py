"""One picture of what a scene is worth: the clip, the scene without instruments, its depth, and views from elsewhere.

    python benchmarks/scene_sheet.py CLIP SCENE OUT.jpg [--frames 4] [--degrees 10]

Rows are frames that the fit did not see (any where it saw all); columns are the clip, the scene in the clip's camera,
the error where the clip shows tissue (x 8), depth, and the scene seen from `--degrees` to the left and from above,
turned about the point that the camera looks at.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from endogs.camera import Camera
from endogs.clip.splits import split_frames
from endogs.geometry import invert_rigid
from endogs.pictures.source_clip import load_source_clip
from endogs.render import rasterize
from endogs.scene import Scene
from endogs.scene.scene_file import load_scene

TITLES = ("clip", "scene, instruments removed", "error x 8 on tissue", "depth", "from the left", "from above")


def turned(scene: Scene, frame: int, pivot: float, yaw: float, pitch: float) -> Camera:
    """The frame's camera turned about the point at depth `pivot` on its axis, radians."""
    (cy, sy), (cp, sp) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    move = np.eye(4)
    move[:3, :3] = turn
    move[:3, 3] = np.array([0, 0, pivot]) - turn @ np.array([0, 0, pivot])
    camera_to_world = invert_rigid(scene.world_to_camera[frame]) @ move
    return Camera.from_numpy(scene.K[frame], invert_rigid(camera_to_world), scene.width, scene.height)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--degrees", type=float, default=10)
    options = parser.parse_args()
    scene = load_scene(options.scene)
    clip = load_source_clip(scene, options.scene, options.clip)
    test = split_frames(len(clip), "standard").test
    frames = [test[i] for i in np.linspace(0, len(test) - 1, options.frames).round().astype(int)]
    angle = np.deg2rad(options.degrees)
    rows, scale = [], 360 / scene.width
    for frame in frames:
        gaussians = scene.gaussians_at(float(scene.times[frame]))
        with torch.no_grad():
            drawn = rasterize(gaussians, scene.camera(frame))
            depth = drawn.depth.numpy()
            near, far = np.percentile(depth[depth > 0], [1, 99])
            views = [turned(scene, frame, float(np.median(depth[depth > 0])), *a) for a in ((-angle, 0), (0, -angle))]
            others = [rasterize(gaussians, view).color.numpy() for view in views]
        truth = clip.image(frame) / 255.0
        error = np.abs(drawn.color.numpy() - truth).mean(-1, keepdims=True) * 8 * clip.tissue_mask(frame)[..., None]
        shade = np.clip((depth - near) / (far - near), 0, 1) * 255
        colors = cv2.applyColorMap(shade.astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1] / 255
        pictures = [truth, drawn.color.numpy(), error.repeat(3, -1), colors, *others]
        small = [cv2.resize(np.clip(p, 0, 1).astype(np.float32), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                 for p in pictures]  # fmt: skip
        rows.append(np.concatenate(small, 1))
    sheet = (np.concatenate(rows) * 255).astype(np.uint8)
    header = np.full((24, sheet.shape[1], 3), 255, np.uint8)
    for column, title in enumerate(TITLES):
        place = (8 + column * sheet.shape[1] // len(TITLES), 17)
        cv2.putText(header, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.out), np.concatenate([header, sheet])[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
