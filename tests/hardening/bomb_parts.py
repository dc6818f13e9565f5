"""What bombs are made of: images, arrays, tables, archives and videos that ask for more than they are."""

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
import openpyxl
from layouts.dvrk import write_dvrk, write_yaml
from layouts.exr import attribute, write_exr
from samples.clip_samples import write_images, write_video

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
    """A workbook of openpyxl's in which the sheet is exchanged, and where they are given with shared texts."""
    honest, file = io.BytesIO(), io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["text"])
    book.save(honest)
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in source.namelist():
            archive.writestr(part, sheet if part == name else source.read(part))
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
            return os.system, ("touch endogs-was-here",)

    return pickle.dumps(Harm())


BIG_JPEG = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1" + bytes(64)
BIG_WEBP = b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff" + bytes(8)
BIG_BMP = b"BM" + struct.pack("<IIIIii", 200, 0, 54, 40, 2**31 - 1, -(2**31)) + struct.pack("<HH", 1, 24) + bytes(64)
INI = (
    b"[StereoLeft]\nres_x = %(a)s\n"
    + b"".join(b"%c = %s\n" % (97 + i, b"%%(%c)s" % (98 + i) * 1000) for i in range(8))
    + b"i = 1\n"
)
