"""Folders as data sets really lie on disk, read again: prints a row for each, what happened, and whether that is right.

`python tests/replay_layouts.py [SHARED]`, with the package on the path. SHARED holds cases/readers/ and real_files/,
which are not part of the project (their licences forbid it), and is looked for beside the checkout and above it;
without it nothing is replayed. Leaves with 1 when a row is wrong.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from endogs.clip import Clip, ClipOptions, load_clip
from endogs.errors import InputError

Outcome = Clip | InputError


@dataclass(frozen=True)
class Row:
    """One folder, and what would be right."""

    name: str
    make: Callable[[Path, Path], Path]
    """Of the shared folder and an empty one: the folder to read."""
    right: Callable[[Outcome], bool]
    calibration: str = ""
    """Name of the file for --calibration, in what was made."""


def case(name: str) -> Callable[[Path, Path], Path]:
    """A folder that lies ready."""
    return lambda shared, _: shared / "cases" / "readers" / name


def copied(name: str, *moves: tuple[str, str], extra: tuple[tuple[str, str], ...] = ()) -> Callable[[Path, Path], Path]:
    """A copy with parts renamed, and with files of real_files/ put in under other names."""

    def make(shared: Path, empty: Path) -> Path:
        folder = empty / name
        shutil.copytree(shared / "cases" / "readers" / name, folder)
        for old, new in moves:
            (folder / new).parent.mkdir(parents=True, exist_ok=True)
            (folder / old).rename(folder / new)
        for source, target in extra:
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(shared / source, folder / target)
        return folder

    return make


def reimnerf(shared: Path, empty: Path) -> Path:
    """The frames of a small C3VD folder under the names of REIM-NeRF's transforms."""
    source = shared / "cases" / "readers" / "c3vd_half_size"
    (empty / "images").mkdir()
    found = json.loads((shared / "real_files" / "c3vd" / "t1v1_transforms_train.json").read_text())
    found["frames"] = found["frames"][:2]
    for number, frame in enumerate(found["frames"]):
        shutil.copy(source / f"{number:04d}_color.png", empty / frame["file_path"])
    (empty / "transforms_train.json").write_text(json.dumps(found))
    return empty


def is_refused(*words: str) -> Callable[[Outcome], bool]:
    """Refused with a sentence that has all of the words."""
    return lambda found: isinstance(found, InputError) and all(word in str(found) for word in words)


def is_read(**wanted: object) -> Callable[[Outcome], bool]:
    """Read, with attributes of these values; `says` is in a note, `fx` the focal length to 2 %."""

    def judge(found: Outcome) -> bool:
        if isinstance(found, InputError):
            return False
        said = " ".join([*found.notes, *getattr(found, "contradictions", [])])
        values = {**wanted}
        words, fx, count = values.pop("says", ""), values.pop("fx", None), values.pop("frames", None)
        return (
            str(words) in said
            and (fx is None or abs(found.K[0, 0, 0] / float(str(fx)) - 1) < 0.02)
            and (count is None or len(found) == count)
            and all(getattr(found, name) == value for name, value in values.items())
        )

    return judge


SETTINGS = "real_files/nrslam_settings"
ROWS = (
    Row("C3VD at half the size", case("c3vd_half_size"), is_read(kind="c3vd", fx=384.6, static_camera=False)),
    Row(
        "C3VDv2 with config.ini and mask.png",
        copied(
            "c3vd_half_size",
            ("0000_color.png", "rgb/0000.png"),
            ("0001_color.png", "rgb/0001.png"),
            ("0000_depth.tiff", "depth/0000_depth.tiff"),
            ("0001_depth.tiff", "depth/0001_depth.tiff"),
            extra=(("real_files/c3vdv2/config.ini", "config.ini"), ("real_files/c3vdv2/mask.png", "mask.png")),
        ),
        is_read(kind="c3vd", fx=383.9, says="config.ini"),
    ),
    Row("C3VD by EndoGSLAM, no camera", case("c3vd_endogslam"), is_refused("calibration.json", "undistorted")),
    Row("REIM-NeRF", reimnerf, is_read(kind="nerfstudio", units="mm", fx=383.7, static_camera=False)),
    Row(
        "OpenCV JSON of a pair",
        copied(
            "scared_toolkit_pair_synthetic",
            ("left_51.png", "images/51.png"),
            ("right_51.png", "images_right/51.png"),
            ("4_1.json", "calibration.json"),
        ),
        is_read(kind="calibrated-folder", units="mm", has_right=True),
    ),
    Row("OpenCV JSON for another size", case("frames_only"), is_refused("width is 1280"), "real_files/scared/4_1.json"),
    Row("NR-SLAM's PinHole", case("frames_only"), is_read(fx=766.4), f"{SETTINGS}/hamlyn_01/settings.yaml"),
    Row("NR-SLAM's folder", case("nrslam_endomapper"), is_read(fx=358.6, K_is_guess=False)),
    Row("SCARED of EndoDAC", case("scared_afsfm"), is_refused("data/left")),
    Row("SCARED, R^T and -t", case("scared_raw_pose_RT_negT"), is_read(says="-transposed-negated")),
    Row("SCARED, poses only", case("scared_raw_pose_only_json"), is_read(kind="scared-video", static_camera=False)),
    Row(
        "SCARED, toolkit's pair", case("scared_toolkit_pair_synthetic"), is_refused("left", "images_right/", "--images")
    ),
    Row(
        "SCARED, a calibration beside the frames' own",
        case("scared_raw_pose_RT_negT"),
        is_read(says="not used: endoscope_calibration.yaml"),
    ),
    Row(
        "StereoMIS, a split of some frames",
        copied("stereomis_ini_of_P3", extra=(("real_files/stereomis/P2_0/test_split.csv", "test_split.csv"),)),
        is_read(kind="stereomis", says="frames 2899 to 13824"),
    ),
    Row("C3VD's poses by columns", case("c3vd_half_size"), is_read(says="pose.txt is read as column-major")),
    Row("StereoMIS, every second pose", case("stereomis_gt_every_second"), is_read(kind="stereomis", says="no pose")),
    Row("StereoMIS, poses late", case("stereomis_gt_late"), is_read(kind="stereomis", says="no pose")),
    Row("StereoMIS, poses in mm", case("stereomis_gt_mm"), is_read(kind="stereomis", says="--pose-unit-mm 1 ")),
    Row("StereoMIS, another ini", case("stereomis_ini_of_P3"), is_read(kind="stereomis")),
)


def find_shared(named: list[str]) -> Path | None:
    """The folder with the cases, None when there is none."""
    here = Path(__file__).resolve().parents[1]
    places = [Path(name) for name in named] or [parent / "shared" for parent in (here, *here.parents)]
    return next((place for place in places if (place / "cases" / "readers").is_dir()), None)


def replay(row: Row, shared: Path) -> tuple[str, bool]:
    """What reading the folder came to, in one line, and whether that is right."""
    with tempfile.TemporaryDirectory() as empty:
        path = row.make(shared, Path(empty))
        options = ClipOptions(calibration=shared / row.calibration if row.calibration else None)
        try:
            found: Outcome = load_clip(path, options)
        except InputError as error:
            found = error
        right = row.right(found)
    if isinstance(found, InputError):
        return f"refused: {str(found).replace(empty, '').replace(str(shared), '')}"[:230].replace("\n", " "), right
    moving = "still" if found.static_camera else f"moving {np.ptp(found.world_to_camera[:, :3, 3], axis=0).max():.3g}"
    notes = [note for note in found.notes if "frame rate" not in note]
    text = f"{found.kind}, {len(found)} frames, fx {found.K[0, 0, 0]:.1f}, {moving} {found.units}; {' | '.join(notes)}"
    return text.replace(empty, "").replace(str(shared), "")[:330], right


def main() -> None:
    """Replay every row."""
    shared = find_shared(sys.argv[1:])
    if shared is None:
        print("the shared cases are not here: nothing is replayed")
        return
    wrong = 0
    for row in ROWS:
        text, right = replay(row, shared)
        wrong += not right
        print(f"{'right' if right else 'WRONG'} | {row.name} | {text}", flush=True)
    print(f"{len(ROWS) - wrong} of {len(ROWS)} right")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
