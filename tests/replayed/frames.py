"""Rows about frames, what files say about themselves, and time (INPUTS.md, part A)."""

import cv2
import numpy as np
from replayed.outcome import Outcome, Row


def frame_rows() -> list[Row]:
    """The rows of cases 01 to 13, 21 to 24, 30 to 32, 36, 38 and 41."""
    return [
        Row("01-rotation", "rotated90.mp4", lambda o: shows(o, 12, (128, 160))),
        Row("01-rotation", "rotated180.mp4", lambda o: shows(o, 12, (160, 128))),
        Row("01-rotation", "plain.mp4", lambda o: near(o, "f", 8)),
        *(
            Row("02-color-matrix", f"{m}_{r}_{c}.mp4", lambda o: near(o, "f", 8))
            for m in ("bt601", "bt709")
            for r in ("tv", "pc")
            for c in ("444", "420")
        ),
        *(Row("02-color-matrix", n, lambda o: near(o, "f", 8)) for n in ("mjpeg.avi", "prores.mov", "hevc10.mp4")),
        *(
            Row("03-hdr", f"hdr_{n}.mp4", lambda o: near(o, "f", 8) or o.says("HDR"))
            for n in ("arib-std-b67", "smpte2084")
        ),
        Row("04-edit-list", "trimmed.mp4", lambda o: o.holds(14) and not o.says("damaged")),
        *(
            Row("05-cover-art", n, lambda o: shows(o, 12, (160, 128)))
            for n in ("poster_first.mkv", "thumbtrack_first.mov", "preview_and_main.mp4", "poster_last.mp4")
        ),
        *(
            Row("07-timestamps-restart", n, lambda o: o.holds(24) and o.says("clock"))
            for n in ("joined.ts", "joined.mpg", "joined.vob")
        ),
        Row("08-interlaced", "flagged.mpg", lambda o: o.holds(12) and o.says("interlaced")),
        Row("08-interlaced", "unflagged.mp4", lambda o: o.holds(12) and o.says("interlaced")),
        *(
            Row("09-avi-bframes", n, lambda o: o.holds(24) and even(o, 0.04) and not o.says("damaged"))
            for n in ("h264.avi", "xvid.avi", "xvid_unpacked.avi")
        ),
        Row("10-equal-timestamps", "one_twice.mkv", lambda o: o.holds(16) or o.says("1 of")),
        Row("10-equal-timestamps", "pairs.mkv", lambda o: o.holds(16) or o.says("8 of")),
        Row("11-gap", "pause.mkv", lambda o: o.holds(16) and o.says("pause")),
        Row("11-gap", "phone_vfr.mkv", lambda o: o.holds(16) and not even(o, 1 / 30)),
        *(Row("13-tiff-stack", n, lambda o: o.holds(12)) for n in ("clip.gif", "clip.webp", "clip_apng.png", "folder")),
        *(Row("21-deep-png", f"bits{n}", lambda o: as_bright(o, "bits16")) for n in (10, 12, 16)),
        *(Row("22-image-kinds", n, lambda o: o.says("transparen")) for n in ("rgba_cutout", "rgba_cutout_black")),
        Row("22-image-kinds", "exif6", lambda o: o.says("turned") or shows(o, 8, (128, 160))),
        *(Row("22-image-kinds", n, lambda o: o.holds(8)) for n in ("cmyk", "palette", "grey", "mixed")),
        Row("23-png-and-jpg-twins", "twins", lambda o: o.holds(8)),
        Row("23-png-and-jpg-twins", "mostly_heic", lambda o: o.says("HEIC", "6")),
        Row("24-mac-windows-leftovers", ".", lambda o: o.holds(8) and o.says("numbers")),
        *(
            Row("36-odd-and-oblong", n, lambda o: o.holds(12))
            for n in ("odd.mp4", "odd_ffv1.mkv", "gray16.mkv", "gray10.mkv", "alpha.mov", "rgbpng.mov", "dv.dv")
        ),
        Row("36-odd-and-oblong", "pal_wide.mp4", lambda o: o.holds(12) and o.says("square")),
        *(Row("36-odd-and-oblong", n, lambda o: o.holds(12)) for n in ("uyvy.avi", "wmv.wmv", "raw.h264", "raw.mjpeg")),
        *(
            Row("38-half-images", n, broken_file_is_named)
            for n in (
                *("jpeg_cut", "jpeg_cut_progressive", "jpeg_flipped_bytes"),
                *("png_cut", "tiff_cut", "webp_cut", "html", "zero"),
            )
        ),
        *(
            Row("30-nerfstudio-variants", n, lambda o: o.holds(8) and not o.clip.static_camera)
            for n in ("backslash", "bom", "bom16", "case", "windows_absolute", "no_extension", "fisheye_ingp")
        ),
        *(
            Row("31-colmap-variants", n, lambda o: o.holds(8) and not o.clip.static_camera)
            for n in (
                "bom",
                "crlf",
                "subfolder",
                "path_names",
                "dense",
                "sparse_text",
                "colmap_sparse",
                "colmap_masks_half",
            )
        ),
        *(
            Row(
                "32-calibration-files",
                "clip.mp4",
                lambda o: o.holds(8) and abs(o.clip.K[0, 0, 0] / 170 - 1) < 0.02,
                calibration=n,
            )
            for n in ("bom.json", "cameras.txt", "kalibr.yaml", "matlab.json", "opencv.yml", "ros.yaml", "column.json")
        ),
        Row("32-calibration-files", "clip.mp4", lambda o: o.says("binary form"), calibration="calib.mat"),
        Row("41-labels-beside-frames", "image_and_mask", lambda o: o.holds(8) or o.says("mask")),
        Row("41-labels-beside-frames", "cholecseg8k", lambda o: o.holds(8) or o.says("mask")),
        Row("41-labels-beside-frames", "mask_bmp", lambda o: o.holds(8) and o.says("undistorted_mask.bmp")),
    ]


def shows(outcome: Outcome, frames: int, size: tuple[int, int]) -> bool:
    """So many frames of that size (width, height), with the drawn tissue's white block at the top left."""
    clip = outcome.clip
    return outcome.holds(frames) and clip is not None and (clip.width, clip.height) == size


def near(outcome: Outcome, folder: str, most: float) -> bool:
    """Whether the first frame is within `most` of 255 of 0000.png in `folder` where both are flat."""
    truth = cv2.imread(str(outcome.path.parent / folder / "0000.png"))[..., ::-1]
    if outcome.clip is None:
        return False
    places = ((14, 18), (110, 18), (60, 60))
    seen = outcome.clip.image(0).astype(float)
    return max(float(np.abs(seen[r - 3 : r + 3, c - 3 : c + 3] - truth[r - 3 : r + 3, c - 3 : c + 3]).mean())
               for r, c in places) <= most  # fmt: skip


def even(outcome: Outcome, step: float) -> bool:
    """Whether all frames are `step` seconds apart."""
    return outcome.clip is not None and bool(np.abs(np.diff(outcome.clip.times) - step).max() < 1.5e-3)


def as_bright(outcome: Outcome, other: str) -> bool:
    """Whether the first frame is as bright as the first of the folder `other`."""
    truth = cv2.imread(str(outcome.path.parent / other / "0000.png"))
    return outcome.clip is not None and abs(float(outcome.clip.image(0).mean()) - float(truth.mean())) < 4


def broken_file_is_named(outcome: Outcome) -> bool:
    """Reading the clip or its frame 4 is refused with the file's name."""
    from endogs.errors import InputError

    if outcome.clip is None:
        return outcome.says("0004.")
    try:
        outcome.clip.image(4)
    except InputError as error:
        return "0004." in str(error)
    return False
