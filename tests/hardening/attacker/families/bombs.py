"""Small files that unpack, or promise, far more than a machine holds."""

import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attacker.case import Case, Workplace
from attacker.pictures import png, tiff
from attacker.samples import clip_at
from attacker.tensors import Tensors

READ_TO_THE_END = (
    *(("calibrated", "calibration.json"), ("endonerf", "*.npy"), ("c3vd", "pose.txt"), ("tum", "groundtruth.txt")),
    *(
        ("stereomis", "*.ini"),
        ("video", "*.mp4"),
        ("colmap", "*.bin"),
        ("colmap-text", "cameras.txt"),
        ("dvrk", "*.csv"),
    ),
    *(("endomapper", "*.xml"), ("dvrk", "left.yaml"), ("hamlyn", "intrinsics.txt")),
)
"""Layouts, and which of their files are read as a whole."""


def bomb(at: Workplace) -> Case:
    """One bomb, put where it would be read."""
    make = at.random.choice(BOMBS)
    return make(at)


def _clip(at: Workplace, name: str) -> tuple[Path, tuple[str, ...]]:
    shutil.copytree(at.sample(name), at.folder / "clip")
    clip, options = clip_at(name, at.folder / "clip")
    return at.folder / "clip", ("inspect", str(clip.relative_to(at.folder)), "--out", "sheet.png", *options)


def _first(root: Path, pattern: str) -> Path:
    return sorted(root.rglob(pattern))[0]


def picture(at: Workplace) -> Case:
    """A picture whose header promises gigabytes, or which unpacks to them, or all pictures of a clip so."""
    root, command = _clip(at, at.random.choice(("images", "endonerf", "calibrated", "hamlyn", "tum", "nerfstudio")))
    files = sorted(root.rglob("*.png"))
    side = at.random.choice((20_000, 32_000, 60_000, 65_535, 2**31 - 1))
    channels = at.random.choice((0, 2))
    content = png(side, side, 8, channels, b"\0" * 10_000_000 if side < 40_000 else b"")
    chosen = files if at.random.random() < 0.3 else [at.random.choice(files)]
    for file in chosen:
        file.write_bytes(content)
    return Case(f"PNG of {side} x {side}", command, tuple(file.name for file in chosen))


def tiff_depth(at: Workplace) -> Case:
    """A TIFF that promises more than there is."""
    root, command = _clip(at, at.random.choice(("c3vd", "scared")))
    file = at.random.choice(sorted(root.rglob("*.tif*")))
    width, height = at.random.choice(
        ((30_000, 30_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (2**32 - 1, 2**32 - 1))
    )
    file.write_bytes(
        tiff(
            width,
            height,
            at.random.choice((8, 16, 32)),
            at.random.choice((1, 3)),
            strip_bytes=at.random.choice((16, 2**32 - 1)),
        )
    )
    return Case(f"TIFF of {width} x {height}", command, (file.name,))


def exr_depth(at: Workplace) -> Case:
    """An EXR whose window or chunks promise gigabytes."""
    root, command = _clip(at, "calibrated")
    for i, file in enumerate(sorted((root / "depth").glob("*.png"))):
        side = at.random.choice((32_767, 2**31 - 1, 10_000)) if i == 0 else 16
        (root / "depth" / (file.stem + ".exr")).write_bytes(
            exr(side, side, at.random.choice((0, 3)), at.random.random() < 0.5)
        )
        file.unlink()
    return Case("EXR of many pixels", command, ("000000.exr", "depth", "calibration.json"))


def exr(width: int, height: int, compression: int, long_chunk: bool) -> bytes:
    """A scan-line EXR file of zeros, of which only the first chunk is there."""

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value

    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<II", 20000630, 2)
    head += attribute("channels", "chlist", b"Z\0" + struct.pack("<iiii", 2, 0, 1, 1) + b"\0")
    head += attribute("compression", "compression", bytes([compression]))
    head += attribute("dataWindow", "box2i", window) + attribute("displayWindow", "box2i", window)
    head += attribute("lineOrder", "lineOrder", b"\0") + attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += (
        attribute("screenWindowCenter", "v2f", b"\0" * 8)
        + attribute("screenWindowWidth", "float", struct.pack("<f", 1))
        + b"\0"
    )
    packer = zlib.compressobj(9)
    block = b"".join(packer.compress(b"\0" * 2**20) for _ in range(300 if long_chunk else 1)) + packer.flush()
    chunk = struct.pack("<ii", 0, len(block)) + block
    return head + struct.pack("<Q", len(head) + 8) + chunk


def workbook(at: Workplace) -> Case:
    """An .xlsx with cells far to the right, entities that multiply, or a sheet that unpacks to gigabytes."""
    root, command = _clip(at, "endoslam-high")
    file = _first(root, "*.xlsx")
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = next(name for name in members if "worksheets/" in name)
    act = at.random.choice(("column", "entities", "long", "text", "rows"))
    text = members[sheet].decode()
    if act == "column":
        members[sheet] = text.replace('r="A1"', 'r="ZZZZZZZ1"', 1).replace('r="B2"', 'r="ZZZZZZ2"', 1).encode()
    elif act == "entities":
        members[sheet] = (_laughs() + text[text.index("<worksheet") :].replace("<v>", "<v>&z;", 1)).encode()
    elif act == "rows":
        members[sheet] = text.replace(
            "</sheetData>", '<row r="99999999"><c r="A99999999"><v>1</v></c></row></sheetData>'
        ).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            if act in ("long", "text") and name == sheet:
                with archive.open(name, "w", force_zip64=True) as out:
                    out.write(content[: content.index(b"<sheetData>") + 11])
                    piece = b"<row><c><v>1</v></c></row>" * 40_000 if act == "long" else b"x" * 2**20
                    for _ in range(400):
                        out.write(piece)
            else:
                archive.writestr(name, content)
    return Case(f"workbook: {act}", command, (file.name,))


def _laughs() -> str:
    """XML's entities, each ten of the one before."""
    lines = ['<!ENTITY a "ha">'] + [
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghij", "bcdefghijz", strict=True)
    ]
    return f"<?xml version='1.0'?><!DOCTYPE x [{''.join(lines)}]>"


def xml(at: Workplace) -> Case:
    """Entities that multiply, or name a file, in EndoMapper's calibration."""
    root, command = _clip(at, "endomapper")
    file = _first(root, "*.xml")
    text = file.read_text()
    first = text.index("<rig")
    if at.random.random() < 0.5:
        text = _laughs() + text[first:].replace("<width>", "<width>&z;", 1).replace("<params>", "<params>&z;", 1)
    else:
        text = (
            f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY z SYSTEM "file:///etc/passwd"><!ENTITY y SYSTEM "{at.url}">]>'
            + text[first:].replace("<params>", "<params>&z;&y;", 1)
        )
    file.write_text(text)
    return Case("XML entities", command, (file.name,))


def deep(at: Workplace) -> Case:
    """Lists in lists, a hundred thousand of them, in a JSON or TOML file."""
    depth = at.random.choice((500, 5_000, 100_000))
    name, sample = at.random.choice(
        (
            ("transforms.json", "nerfstudio"),
            ("calibration.json", "calibrated"),
            ("frame_data000000.json", "scared"),
            ("Seq_007_info.json", "endomapper-sequence"),
            ("calibration.json", "tum"),
        )
    )
    if at.random.random() < 0.25:
        shutil.copytree(at.sample("files"), at.folder, dirs_exist_ok=True)
        (at.folder / "recipe.toml").write_text("title = " + at.random.choice(("[", "{a=")) * depth)
        return Case("deep TOML", ("reconstruct", "recipe.toml", "--data", "clip", "--out", "new"), ("recipe.toml",))
    root, command = _clip(at, sample)
    file = _first(root, name)
    value = "[" * depth + "]" * depth
    file.write_text(
        at.random.choice((value, f'{{"fx": {value}, "frames": {value}, "camera-pose": {value}}}', '{"a":' * depth))
    )
    return Case(f"{name} {depth} deep", command, (name,))


def endless(at: Workplace) -> Case:
    """Files without an end, or of 12 GB of holes, in place of text, arrays and videos."""
    sample, pattern = at.random.choice(READ_TO_THE_END)
    root, command = _clip(at, sample)
    file = at.random.choice(sorted(root.rglob(pattern)))
    file.unlink()
    act = at.random.choice(("/dev/zero", "/dev/full", "/dev/urandom", "sparse", "sparse"))
    if act == "sparse":
        with file.open("wb") as out:
            out.truncate(12 << 30)
    else:
        file.symlink_to(act)
    return Case(f"{file.name} is {act}", command, (file.name, file.stem, "clip"))


def arrays(at: Workplace) -> Case:
    """npy and npz headers that promise more than is there, or archives that unpack to gigabytes."""
    act = at.random.choice(("poses", "tracks", "tracks", "depth"))
    shape = at.random.choice(("(10000000, 17)", "(1000000000, 17)", "(2000000000,)", "(100000, 100000)"))
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    header = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    if act == "poses":
        root, command = _clip(at, "endonerf")
        _first(root, "*.npy").write_bytes(header + b"\0" * 1000)
        return Case(f"poses of {shape}", command, ("poses_bounds.npy",))
    if act == "depth":
        root, command = _clip(at, "calibrated")
        for file in sorted((root / "depth").glob("*.png")):
            np.save(file.with_suffix(".npy"), np.ones((16, 24), np.float32))
            file.unlink()
        _first(root / "depth", "*.npy").write_bytes(header)
        return Case(f"depth of {shape}", command, ("000000.npy", "depth"))
    shutil.copytree(at.sample("scene-none"), at.folder, dirs_exist_ok=True)
    with (
        zipfile.ZipFile(at.folder / "tracks.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("positions.npy", "w", force_zip64=True) as out,
    ):
        out.write(header)
        for _ in range(at.random.choice((1, 3000))):
            out.write(b"\0" * 2**20)
    return Case(f"tracks of {shape}", ("evaluate", "out", "--tracks", "tracks.npz"), ("tracks.npz",))


def scene(at: Workplace) -> Case:
    """A scene of a few kilobytes with very many pixels, frames, knots or rows in its numbers."""
    kind = at.random.choice(("none", "spline", "bases", "hexplane", "mlp", "lowrank"))
    shutil.copytree(at.sample(f"scene-{kind}"), at.folder, dirs_exist_ok=True)
    path = at.folder / "out" / "scene.safetensors"
    file = Tensors.read(path)
    about = json.loads(file.metadata["endogs"])
    act = at.random.choice(("pixels", "pixels", "pixels", "frames", "knots", "settings", "sparse"))
    if act == "pixels":
        about["width"], about["height"] = at.random.choice(
            ((16_384, 16_384), (60_000, 60_000), (10**9, 10**9), (10**9, 1), (40_000, 20_000))
        )
    elif act == "frames":
        about["times"] = [i / 1e5 for i in range(400_000)]
        for name in list(file.tensors):
            if name.startswith("visibility."):
                del file.tensors[name]
    elif act in ("knots", "settings"):
        for key in about["deformation"]["settings"]:
            about["deformation"]["settings"][key] = at.random.choice(
                (10**9, 1e9, 2**40, [i * 1.0 for i in range(200_000)])
            )
    file.metadata["endogs"] = json.dumps(about)
    file.write(path)
    if act == "sparse":
        _sparse(path, file)
    what = at.random.choice(
        (
            *(("export", kind, "out", "--out", "new") for kind in ("points", "splats", "mesh", "depth", "cameras")),
            *(("export", "html", "out", "--out", "new.html"), ("export", "video", "out", "--out", "new.mp4")),
            *(
                ("export", "tracks", "out", "--out", "new.csv"),
                ("evaluate", "out"),
                ("render", "out", "--out", "new", "--time", "0"),
            ),
            ("render", "out", "--out", "new.mp4"),
        )
    )
    return Case(
        f"{kind} scene: many {act} {about['width']} x {about['height']}", what, ("scene.safetensors", "out", "clip")
    )


def _sparse(path: Path, file: Tensors) -> None:
    """The same file whose Gaussians are ten gigabytes of holes."""
    rows = 10 * 2**30 // 56
    entries = {"base": {"dtype": "F32", "shape": [rows, 14], "data_offsets": [0, rows * 56]}}
    text = json.dumps({"__metadata__": file.metadata, **entries}).encode()
    with path.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + rows * 56)


def model(at: Workplace) -> Case:
    """COLMAP's binary files with counts that nothing follows."""
    root, command = _clip(at, "colmap")
    file = at.random.choice(sorted(root.rglob("*.bin")))
    content = bytearray(file.read_bytes())
    content[:8] = struct.pack("<Q", at.random.choice((2**63, 2**40, 10**9, 2**64 - 1)))
    file.write_bytes(bytes(content))
    return Case(f"{file.name}: a count", command, (file.name,))


def playlist(at: Workplace) -> Case:
    """A video that is a list of other places: ffmpeg's formats that name files and addresses."""
    port = at.url.rsplit(":", 1)[1].split("/")[0]
    session = (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    manifest = f'<Period><AdaptationSet mimeType="video/mp4"><Representation><BaseURL>{at.url}/</BaseURL>'
    texts = {
        "clip.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{at.url}/a.ts\n#EXT-X-ENDLIST\n",
        "clip.ffconcat": f"ffconcat version 1.0\nfile {at.url}/a.mp4\n",
        "clip.sdp": session,
        "clip.mpd": f'<?xml version="1.0"?><MPD>{manifest}</Representation></AdaptationSet></Period></MPD>',
        "clip.rtsp": f"rtsptext\n{at.url.replace('http', 'rtsp')}\n",
    }
    name = at.random.choice(sorted(texts))
    shown = at.random.choice((name, "clip.mp4", "clip.avi"))
    (at.folder / shown).write_text(texts[name])
    if at.random.random() < 0.2:
        shown = at.random.choice(
            (
                at.url,
                f"concat:{at.url}|x",
                f"hls+{at.url}",
                f"tcp:{at.url[5:]}",
                f"file,{at.url}",
                f"subfile,,start,0,end,9,,:{at.url}",
            )
        )
    return Case(f"{name} as {shown}", ("inspect", shown, "--out", "sheet.png"), (shown, "clip"))


def table(at: Workplace) -> Case:
    """A text table with a line, a field or a number without an end."""
    sample, pattern = at.random.choice(
        (
            ("dvrk", "*.csv"),
            ("endoslam-unity", "*.csv"),
            ("endoslam-tracker", "*.txt"),
            ("c3vd", "pose.txt"),
            ("tum", "groundtruth.txt"),
        )
    )
    root, command = _clip(at, sample)
    file = at.random.choice(sorted(root.rglob(pattern)))
    text = file.read_text()
    act = at.random.choice(("field", "line", "digits", "rows"))
    long = {
        "field": '"' + "x" * 3_000_000,
        "line": "1," * 2_000_000,
        "digits": "9" * 1_000_000,
        "rows": text * min(200_000, 20_000_000 // len(text)),
    }[act]
    file.write_text(text + long + "\n")
    return Case(f"{file.name}: a long {act}", command, (file.name,))


BOMBS: tuple[Callable[[Workplace], Case], ...] = (
    *(picture, picture, tiff_depth, exr_depth, workbook, workbook, xml, deep, deep, endless, endless, arrays, arrays),
    *(scene, scene, scene, model, playlist, playlist, table),
)
