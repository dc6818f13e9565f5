"""Small files that ask for much: each writer makes one below a folder and returns what a user would open."""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from clip_samples import write_calibrated, write_endonerf, write_images, write_video
from layouts.colmap import write_colmap
from layouts.dvrk import write_dvrk, write_yaml
from layouts.endomapper import write_frames
from layouts.endoslam import write_high_camera, write_unity
from layouts.exr import attribute, write_exr
from layouts.hamlyn import write_hamlyn
from layouts.nerfstudio import write_nerfstudio
from layouts.stereomis import write_stereomis
from layouts.tum_rgbd import write_tum

Writer = Callable[[Path], object]
"""Writes below a folder; returns what a user opens: a path, a path and more, or nothing for the folder itself."""


def opened(found: object, root: Path) -> Path:
    """The path that a writer means."""
    first = found[0] if isinstance(found, tuple) else found
    return first if isinstance(first, Path) else root


def deflated_zeros(megabytes: int) -> bytes:
    """A zlib stream of so many zeros, made quickly: a block that begins afresh may be repeated."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (megabytes - 1) + packer.flush()


def png(width: int, height: int, pixels: bytes = b"", bits: int = 1, kind: int = 0) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def tiff(width: int, height: int, *more: tuple[int, int, int, int]) -> bytes:
    """A directory of tags (tag, type, count, value) and a few bytes that may be pixels."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64), *more]
    kept = {tag[0]: tag for tag in tags}
    listed = b"".join(struct.pack("<HHII", *kept[number]) for number in sorted(kept))
    return struct.pack("<2sHI", b"II", 42, 72) + bytes(64) + struct.pack("<H", len(kept)) + listed + bytes(4)


def image(name: str, data: bytes) -> Writer:
    """A folder with one such image."""

    def written(root: Path) -> Path:
        root.mkdir()
        (root / name).write_bytes(data)
        return root

    return written


def depth(name: str, data: bytes) -> Writer:
    """A folder of images with such a depth map."""

    def written(root: Path) -> Path:
        write_images(root / "images", 1, "{:06d}.png")
        (root / "depth").mkdir()
        (root / "depth" / name).write_bytes(data)
        return root

    return written


def npy(shape: object, kind: str = "<f8", data: bytes = bytes(64)) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def exr_of_4_gigabytes(root: Path) -> Path:
    """One honest EXR file whose first chunk is exchanged for another."""
    place = depth("000000.exr", b"")(root) / "depth" / "000000.exr"
    write_exr(place, {"Z": np.ones((16, 24), np.float32) * 9}, 3)
    data = place.read_bytes()
    at = data.rindex(struct.pack("<Q", len(data) - 8 - struct.unpack_from("<I", data, data.rindex(b"\x78") - 4)[0]))
    packed = deflated_zeros(4096)
    place.write_bytes(data[: at + 8] + struct.pack("<iI", 0, len(packed)) + packed)
    return root


def exr_header(width: int, height: int, channels: int) -> bytes:
    listed = b"".join(b"c%d\0" % i + struct.pack("<iIii", 2, 0, 1, 1) for i in range(channels)) + b"\0"
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = attribute("channels", "chlist", listed) + attribute("compression", "compression", b"\3")
    return struct.pack("<II", 20000630, 2) + attributes + attribute("dataWindow", "box2i", box) + bytes(4096)


def changed(write: Writer, name: str, change: Callable[[bytes], bytes]) -> Writer:
    """An honest folder in which one file holds something else."""

    def written(root: Path) -> Path:
        found = write(root)
        file = next(root.rglob(name))
        file.write_bytes(change(file.read_bytes()))
        return opened(found, root)

    return written


def huge(write: Writer, name: str) -> Writer:
    """An honest folder with one file of 12 GB, which take no room on the disk."""

    def written(root: Path) -> Path:
        found = write(root)
        os.truncate(next(root.rglob(name)), 12 << 30)
        return opened(found, root)

    return written


def exchanged(write: Writer, name: str, put: Callable[[Path], object]) -> Writer:
    """An honest folder in which something else than a file has a file's name."""

    def written(root: Path) -> Path:
        found = write(root)
        file = next(root.rglob(name))
        file.unlink()
        put(file)
        return opened(found, root)

    return written


def workbook(sheet: bytes, shared: bytes | None = None, name: str = "xl/worksheets/sheet1.xml") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, sheet)
        if shared is not None:
            archive.writestr("xl/sharedStrings.xml", shared)
    return file.getvalue()


def sheet(cells: str) -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'.encode()


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE rig [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]><rig>&j;</rig>"
).encode()
SECRET = b'<?xml version="1.0"?><!DOCTYPE rig [<!ENTITY a SYSTEM "file:///etc/passwd">]><rig>&a;</rig>'
DEEP = b"[" * 200_000 + b"]" * 200_000


def tracks(root: Path, says: int) -> Path:
    """An npz file whose positions unpack to as much as it `says`, by the archive's directory, and are short."""
    root.mkdir()
    with zipfile.ZipFile(root / "tracks.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("positions.npy", npy((1000, 5_000_000, 3)) + bytes(1000))
        archive.filelist[0].file_size = says
    return root / "tracks.npz"


def file(name: str, data: bytes) -> Writer:
    def written(root: Path) -> Path:
        root.mkdir()
        (root / name).write_bytes(data)
        return root / name

    return written


def raw_video(root: Path) -> Path:
    """An AVI of raw pictures whose header says 40 000 x 40 000 pixels."""
    import av

    root.mkdir()
    with av.open(str(root / "clip.avi"), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "bgr24"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode(None))
    data = (root / "clip.avi").read_bytes()
    at = data.index(b"strf") + 12
    (root / "clip.avi").write_bytes(data[:at] + struct.pack("<ii", 40_000, 40_000) + data[at + 8 :])
    return root / "clip.avi"


def many_samples(root: Path) -> Path:
    """An MP4 that says that it has a thousand million frames, all of one size and one duration, in one chunk."""
    root.mkdir()
    video = write_video(root / "clip.mp4", [0, 40, 80])
    data = bytearray(video.read_bytes())
    count = 10**9
    sizes, times, chunks = (data.index(name) for name in (b"stsz", b"stts", b"stsc"))
    data[sizes + 8 : sizes + 16] = struct.pack(">II", 1, count)
    data[times + 12 : times + 16] = struct.pack(">I", count)
    data[chunks + 16 : chunks + 20] = struct.pack(">I", count)
    video.write_bytes(data)
    return video


def playlist(name: str, text: str) -> Writer:
    """A text that names a video beside it, which is not what was opened, and an address."""

    def written(root: Path) -> Path:
        root.mkdir()
        write_video(root / "other.mp4", [0, 40, 80])
        (root / name).write_text(text.format(folder=root))
        return root / name

    return written


def colon_name(root: Path) -> Path:
    """A video whose name is one of FFmpeg's protocols."""
    root.mkdir()
    os.chdir(root)
    return write_video(root / "plain.mp4", [0, 40]).rename(root / "concat:a|b.mp4")


def phantom(change: Callable[[dict], object]) -> Writer:
    def written(root: Path) -> Path:
        from dataclasses import asdict

        from endogs.phantom.config import Phantom

        values = {name: value for name, value in asdict(Phantom(root)).items() if name != "out"}
        change(values)
        (root / "truth").mkdir(parents=True)
        (root / "truth" / "phantom.json").write_text(json.dumps(values))
        return root

    return written


def front_matter(root: Path) -> Path:
    file("README.md", b"---" + b"\n" * 300_000)(root)
    return root


def preprocessing(text: str) -> Writer:
    return lambda root: file("preprocessor_config.json", text.encode())(root).parent


def dvrk(root: Path) -> Path:
    write_dvrk(root)
    write_yaml(root)
    return root


def with_pickle() -> bytes:
    class Harm:
        def __reduce__(self) -> tuple:
            return os.system, ("touch /tmp/endogs-was-here",)

    return pickle.dumps(Harm())


BIG_JPEG = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1" + bytes(64)
BIG_WEBP = b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff" + bytes(8)
BIG_BMP = b"BM" + struct.pack("<IIIIii", 200, 0, 54, 40, 2**31 - 1, -(2**31)) + struct.pack("<HH", 1, 24) + bytes(64)
INI = (
    b"[StereoLeft]\nres_x = %(a)s\n"
    + b"".join(b"%c = %s\n" % (97 + i, b"%%(%c)s" % (98 + i) * 1000) for i in range(8))
    + b"i = 1\n"
)

BOMBS: dict[str, tuple[str, Writer, str]] = {
    "png 20000 x 20000": ("clip", image("a.png", png(20_000, 20_000, deflated_zeros(48))), "is 20000 x 20000 pixels"),
    "png of 2^31": ("clip", image("a.png", png(2**31, 2**31)), "2147483648 x 2147483648"),
    "png beyond memory": ("clip", image("a.png", png(16_384, 16_384, bits=16, kind=6)), "needs 6.4 GB of memory"),
    "jpeg of 65535": ("clip", image("a.jpg", BIG_JPEG), "65535 x 65535"),
    "webp of 2^24": ("clip", image("a.webp", BIG_WEBP), "16777216 x 16777216"),
    "bmp of 2^31": ("clip", image("a.bmp", BIG_BMP), "2147483647 x 2147483648"),
    "tiff of 2^32": ("clip", image("a.tif", tiff(2**32 - 1, 2**32 - 1)), "4294967295 x 4294967295"),
    "tiff in giant tiles": (
        "clip",
        image("a.tif", tiff(9, 9, (322, 4, 1, 2**20), (323, 4, 1, 2**20))),
        "not a readable",
    ),
    "tiff of 2^31 samples": ("clip", image("a.tif", tiff(8, 8, (277, 3, 1, 65535))), "a.tif"),
    "tiff with a giant strip": ("clip", image("a.tif", tiff(8, 8, (279, 4, 1, 2**32 - 1))), ""),
    "tiff with 2^31 strips": ("clip", image("a.tif", tiff(8, 8, (273, 4, 2**31, 8), (279, 4, 2**31, 8))), "a.tif"),
    "netpbm of 2^31": ("clip", image("a.png", b"P6 2000000000 2000000000 255\n"), "not a readable image"),
    "png of 12 GB": ("clip", huge(write_endonerf, "*0.color.png"), "12884901888 bytes"),
    "npy of 10^18": ("clip", depth("0.npy", npy((10**9, 10**9))), "not a readable .npy"),
    "npy of 400 digits": ("clip", depth("0.npy", npy(f"(1{'0' * 400},)")), "not a readable .npy"),
    "npy of objects": ("clip", depth("0.npy", npy((1,), "|O", with_pickle())), "holds object, not numbers"),
    "npy that is a pickle": ("clip", depth("0.npy", with_pickle()), "not a readable .npy"),
    "npy that is a zip": ("clip", depth("0.npy", workbook(b"")), "not a readable .npy"),
    "npy with a deep header": ("clip", depth("0.npy", npy("(" * 4000)), "not a readable .npy"),
    "npy of texts": ("clip", depth("0.npy", npy((1,), "<U16")), "not numbers"),
    "poses of 12 GB": ("clip", huge(write_endonerf, "poses_bounds.npy"), "12884901888 bytes"),
    "exr of 4 GB": ("clip", exr_of_4_gigabytes, "hold more than 1536 bytes"),
    "exr of 2^30": ("clip", depth("0.exr", exr_header(2**30, 2**30, 1)), "1073741824 x 1073741824"),
    "exr of 10^5 channels": ("clip", depth("0.exr", exr_header(16, 16, 100_000)), "more than 32 channels"),
    "deep calibration": ("clip", changed(write_calibrated, "calibration.json", lambda _: DEEP), "nested deeper"),
    "deep transforms": ("clip", changed(write_nerfstudio, "*.json", lambda _: DEEP), "nested"),
    "not a number": ("clip", changed(write_calibrated, "*.json", lambda d: d.replace(b"21.0", b"NaN")), "NaN is not"),
    "400 digits": ("clip", changed(write_calibrated, "*.json", lambda d: d.replace(b"21.0", b"9" * 400)), "64 bits"),
    "true for a number": (
        "clip",
        changed(write_calibrated, "*.json", lambda d: d.replace(b"21.0", b"true")),
        "fx is True",
    ),
    "json of 12 GB": ("clip", huge(write_calibrated, "calibration.json"), "12884901888 bytes"),
    "json in UTF-16": ("clip", changed(write_calibrated, "*.json", lambda d: d.decode().encode("utf-16")), "JSON"),
    "json pipe": ("clip", exchanged(lambda r: write_tum(r, 3), "groundtruth.txt", os.mkfifo), ""),
    "table of 12 GB": ("clip", huge(lambda r: write_tum(r, 3), "groundtruth.txt"), "12884901888 bytes"),
    "superscript": (
        "clip",
        changed(lambda r: write_tum(r, 3), "groundtruth.txt", lambda _: "² ".encode() * 8),
        "line 1",
    ),
    "superscript name": ("clip", changed(lambda r: write_images(r, 1, "²{}.png"), "*.png", lambda d: d), "read"),
    "long name": ("clip", changed(lambda r: write_tum(r, 3), "rgb.txt", lambda _: b"1 " + b"x" * 5000), "is not there"),
    "path of a long name": ("clip", lambda root: root / ("x" * 5000), "cannot be reached"),
    "path with a NUL": ("clip", lambda root: Path(f"{root}/a\0b"), "no such file"),
    "nobody's home": ("clip", lambda root: Path("~nobody-here/clip"), "home folder"),
    "column ZZZZZZZ": (
        "clip",
        changed(write_high_camera, "*.xlsx", lambda _: workbook(sheet('<row><c r="ZZZZZZZ1"/></row>'))),
        "too many or nowhere",
    ),
    "rows up to XFD": (
        "clip",
        changed(write_high_camera, "*.xlsx", lambda _: workbook(sheet('<row><c r="XFD1"/></row>' * 10_000))),
        "too many or nowhere",
    ),
    "workbook of 1 GB": (
        "clip",
        changed(write_high_camera, "*.xlsx", lambda _: workbook(bytes(40 << 20))),
        "unpacks to more than",
    ),
    "laughing workbook": (
        "clip",
        changed(write_high_camera, "*.xlsx", lambda _: workbook(sheet(""), LAUGHS)),
        "declares a document type",
    ),
    "deep workbook": (
        "clip",
        changed(write_high_camera, "*.xlsx", lambda _: workbook(sheet("<a>" * 500_000 + "</a>" * 500_000))),
        "no column",
    ),
    "laughing calibration": ("clip", changed(write_frames, "*.xml", lambda _: LAUGHS), "document type"),
    "calibration of another file": ("clip", changed(write_frames, "*.xml", lambda _: SECRET), "document type"),
    "calibration of 12 GB": ("clip", huge(write_frames, "*.xml"), "12884901888 bytes"),
    "ini of terabytes": ("clip", changed(lambda r: write_stereomis(r, 2), "*.ini", lambda _: INI), "no number under"),
    "lines of a ROS file": (
        "clip",
        changed(dvrk, "left.yaml", lambda d: d.replace(b"camera_matrix:", b"camera_matrix:" + b"\n " * 5000)),
        "read",
    ),
    "letters of cam.txt": ("clip", changed(write_unity, "cam.txt", lambda _: b"a" * 3_000_000), "holds neither K"),
    "cell of 10 MB": ("clip", changed(write_unity, "*.csv", lambda d: d + b"1" * 10_000_000), "field larger"),
    "csv pipe": ("clip", exchanged(write_unity, "*.csv", os.mkfifo), "Poses/ holds no"),
    "matrix of 12 GB": ("clip", huge(lambda r: write_hamlyn(r, 2), "intrinsics.txt"), "12884901888 bytes"),
    "2^63 cameras": ("clip", changed(write_colmap, "cameras.bin", lambda d: b"\xff" * 8 + d[8:]), "truncated"),
    "2^63 images": ("clip", changed(write_colmap, "images.bin", lambda d: b"\xff" * 8 + d[8:]), "truncated"),
    "2^63 points": ("clip", changed(write_colmap, "images.bin", lambda d: d[:-8] + b"\xff" * 8), "truncated"),
    "no colmap camera": (
        "clip",
        changed(lambda r: write_colmap(r, binary=False), "cameras.txt", lambda d: d.replace(b"200", b"0")),
        "no usual numbers",
    ),
    "raw video of 40000": ("clip", raw_video, "not a video"),
    "video of 10^9 frames": ("clip", many_samples, ""),
    "hls": ("clip", playlist("a.m3u8", "#EXTM3U\n#EXTINF:1,\n{folder}/other.mp4\n"), "playlist"),
    "hls called mp4": ("clip", playlist("a.mp4", "#EXTM3U\n#EXTINF:1,\nother.mp4\n"), "playlist"),
    "hls to the network": ("clip", playlist("a.mp4", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"), "playlist"),
    "ffconcat": ("clip", playlist("a.mp4", "ffconcat version 1.0\nfile other.mp4\n"), "playlist"),
    "sdp": (
        "clip",
        playlist("a.sdp", "v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        "playlist",
    ),
    "text": ("clip", playlist("a.txt", "nothing to see\n" * 99), "not a video"),
    "name of a protocol": ("clip", colon_name, "read"),
    "absent protocol": ("clip", lambda root: Path("concat:a|b"), "no such file"),
    "absent address": ("clip", lambda root: Path("http://127.0.0.1:9/a.mp4"), "no such file"),
    "deep recipe": ("recipe", file("a.toml", b"a = " + DEEP), "nested too deep"),
    "endless recipe": ("recipe", lambda root: Path("/dev/zero"), "not a regular file"),
    "full recipe": ("recipe", lambda root: Path("/dev/full"), "not a regular file"),
    "recipe of 12 GB": ("recipe", huge(file("a.toml", b"a = 1"), "a.toml"), "12884901888 bytes"),
    "recipe folder": ("recipe", lambda root: root.parent, "not a regular file"),
    "tracks of 2 GB": ("tracks", lambda root: tracks(root, 2**31), "unpacks to more than"),
    "tracks beyond memory": ("tracks", lambda root: tracks(root, 10**9), "needs 3.0 GB of memory"),
    "tracks that lie": ("tracks", lambda root: tracks(root, 100), "tracks.npz"),
    "tracks that are none": ("tracks", file("a.npz", b"PK\5\6" + b"\xff" * 18), "not a readable"),
    "trajectory": ("trajectory", file("a.txt", b"1e29 1 1 1 0 0 0 1e308\n"), "not a TUM trajectory"),
    "endless trajectory": ("trajectory", lambda root: Path("/dev/zero"), "not a regular file"),
    "phantom of strings": ("phantom", phantom(lambda v: v.update(width="640")), "not the options"),
    "phantom of 10^9": ("phantom", phantom(lambda v: v.update(width=10**9)), "out of range"),
    "phantom of another kind": ("phantom", phantom(lambda v: v.update(camera="flying")), "not the options"),
    "model card": ("licence", front_matter, "read"),
    "preprocessing of lists": (
        "preprocessing",
        preprocessing('{"resample": [], "rescale_factor": []}'),
        "rescale_factor",
    ),
    "preprocessing of 10^9": ("preprocessing", preprocessing('{"size": 1000000000}'), "is not understood"),
    "preprocessing of two": ("preprocessing", preprocessing('{"image_mean": [1, 2]}'), "2 numbers"),
}
"""By name: who reads it, what writes it, and what the sentence says; "read" for what is no more than odd."""
