"""A nerfstudio data set of the corner: transforms.json as its documentation says, with masks and depth when asked."""

import json
from pathlib import Path

import cv2
import numpy as np
from layouts import corner
from layouts.colmap import DISTORTIONS, rays


def write_nerfstudio(
    root: Path, model: str = "PINHOLE", count: int = 5, shared: bool = True, depth: bool = False, masks: bool = False
) -> np.ndarray:
    """Frames listed backwards; returns world_to_camera (F, 4, 4) in mm. Poses are in metres; depth in mm, 16 bits."""
    (root / "images").mkdir(parents=True)
    poses = corner.world_to_camera(count)
    along = rays(model)
    bent = (*DISTORTIONS[model], 0.0, 0.0, 0.0, 0.0)
    names = ("k1", "k2", "k3", "k4") if model == "OPENCV_FISHEYE" else ("k1", "k2", "p1", "p2")
    camera = {
        "camera_model": model,
        "fl_x": corner.K[0, 0],
        "fl_y": corner.K[1, 1],
        "cx": corner.K[0, 2],
        "cy": corner.K[1, 2],
        "w": corner.WIDTH,
        "h": corner.HEIGHT,
        **dict(zip(names, bent, strict=False)),
    }
    frames = []
    for i, pose in enumerate(poses):
        view = corner.see(pose, along)
        name = f"frame_{i + 8}.png"
        cv2.imwrite(str(root / "images" / name), view.image[..., ::-1])
        camera_to_world = np.linalg.inv(pose)
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = (  # right, up, backward
            camera_to_world[:3, 0],
            -camera_to_world[:3, 1],
            -camera_to_world[:3, 2],
        )
        matrix[:3, 3] = camera_to_world[:3, 3] / 1000
        entry = {"file_path": f"images/{name}", "transform_matrix": matrix.tolist()}
        if depth:
            (root / "depths").mkdir(exist_ok=True)
            cv2.imwrite(str(root / "depths" / f"d{i}.png"), np.rint(view.depth).astype(np.uint16))
            entry["depth_file_path"] = f"depths/d{i}.png"
        if masks:  # black where there is an instrument, and named so that numbers would mislead
            (root / "masks").mkdir(exist_ok=True)
            mask = np.full((corner.HEIGHT, corner.WIDTH), 255, np.uint8)
            mask[: 20 + 10 * i, :40] = 0
            cv2.imwrite(str(root / "masks" / f"m{(i + 1) % count + 8}.png"), mask)
            entry["mask_path"] = f"masks/m{(i + 1) % count + 8}.png"
        frames.append(entry if shared else {**camera, **entry})
    (root / "transforms.json").write_text(json.dumps({**(camera if shared else {}), "frames": frames[::-1]}))
    return poses
