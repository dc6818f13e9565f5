"""COLMAP on a folder of pictures, in a process of its own: its libraries and OpenCV's do not bear one another.

    python colmap_process.py FOLDER

FOLDER holds images/ and masks/ (NAME.png beside each NAME, black where nothing counts), and camera.json with the
pinhole camera. poses.json is written: of the largest model, for each picture that it holds, world to camera (3, 4) and
the number of its points, and the focal length.

J. L. Schoenberger and J.-M. Frahm, "Structure-from-Motion Revisited", 2016.
"""

import json
import sys
from pathlib import Path
from typing import Any

OVERLAP = 12
"""Frames, before each and with doubling distances, that are matched with it."""


def main(folder: Path) -> None:
    """Find the cameras of the pictures in `folder`."""
    import pycolmap

    camera = json.loads((folder / "camera.json").read_text())
    database, images = folder / "database.db", folder / "images"
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "PINHOLE"
    reader.camera_params = ",".join(str(camera[name]) for name in ("fx", "fy", "cx", "cy"))
    reader.mask_path = folder / "masks"
    cpu = pycolmap.Device.cpu
    pycolmap.extract_features(
        database, images, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reader, device=cpu
    )
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap, pairing.quadratic_overlap = OVERLAP, True
    pycolmap.match_sequential(database, pairing_options=pairing, device=cpu)
    options = pycolmap.IncrementalPipelineOptions()
    options.ba_refine_focal_length = bool(camera["focal_is_guess"])
    options.ba_refine_principal_point = options.ba_refine_extra_params = False
    options.random_seed = 0
    (folder / "models").mkdir()
    models = pycolmap.incremental_mapping(database, images, folder / "models", options)
    best = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
    (folder / "poses.json").write_text(json.dumps({"models": len(models)} | _described(best)))


def _described(model: Any) -> dict[str, Any]:
    """Poses, and points' distances, of a model as JSON; empty for None."""
    if model is None:
        return {"images": {}}
    found = {}
    for image in model.images.values():
        if image.has_pose:
            pose = image.cam_from_world().matrix()
            found[image.name] = {"pose": pose.tolist(), "points": int(image.num_points3D)}
    focal = next(iter(model.cameras.values())).focal_length_x
    points = [point.xyz.tolist() for point in model.points3D.values()]
    return {
        "images": found,
        "focal": float(focal),
        "points": points,
        "error": float(model.compute_mean_reprojection_error()),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
