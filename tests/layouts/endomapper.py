"""An EndoMapper sequence of the corner through a fisheye, as published, or its frames with the calibration beside."""

import json
from pathlib import Path

import cv2
import numpy as np
from layouts import corner

PARAMETERS = (88.0, 95.0, 92.25, 75.75, -0.139, -0.0003, 0.0015, -0.00013)
"""fx, fy, cx, cy with pixel centres at integers, k1 to k4."""


def rays() -> np.ndarray:
    """(H, W, 3) directions through the pixels of the fisheye, by OpenCV."""
    y, x = np.mgrid[: corner.HEIGHT, : corner.WIDTH].astype(np.float64)
    fx, fy, cx, cy, *k = PARAMETERS
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    flat = cv2.fisheye.undistortPoints(np.stack([x, y], -1).reshape(-1, 1, 2), K, np.array(k)).reshape(*x.shape, 2)
    return np.concatenate([flat, np.ones((*x.shape, 1))], -1)


def write_calibration(file: Path, model: str = "calibu_fu_fv_u0_v0_kb4", parameters: tuple = PARAMETERS) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = "; ".join(f"{value:g}" for value in parameters)
    file.write_text(
        f"""<rig>
    <camera>
        <camera_model name="" index="0" serialno="0" type="{model}" version="8">
            <width> {corner.WIDTH} </width>
            <height> {corner.HEIGHT} </height>
            <right> [1;0;0] </right> <down> [0;1;0] </down> <forward> [0;0;1] </forward>
            <params> [{values}] </params>
        </camera_model>
        <pose><T_wc> [1,0,0,0;0,1,0,0;0,0,1,0] </T_wc></pose>
    </camera>
</rig>
"""
    )


def frames(count: int = 3) -> list[np.ndarray]:
    return [corner.see(pose, rays()).image for pose in corner.world_to_camera(count)]


def write_frames(root: Path) -> None:
    (root / "images").mkdir(parents=True)
    for i, image in enumerate(frames()):
        cv2.imwrite(str(root / "images" / f"out{i + 9}.png"), image[..., ::-1])
    write_calibration(root / "Endoscope_01_geometrical.xml")


def write_sequence(root: Path, endoscope: object = "3") -> Path:
    """The published tree below `root`; returns the sequence's folder."""
    import av

    folder = root / "Sequences" / "Seq_007"
    folder.mkdir(parents=True)
    (folder / "Seq_007_info.json").write_text(json.dumps({"endoscope_number": endoscope, "meta-data": []}))
    write_calibration(root / "Calibrations" / "Endoscope_03" / "Endoscope_03_geometrical.xml")
    with av.open(str(folder / "Seq_007.mov"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "4", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = corner.WIDTH, corner.HEIGHT, "yuv420p"
        for image in frames():
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    return folder
