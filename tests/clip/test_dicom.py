"""DICOM files of several frames: every frame, at the file's own times."""

import sys
from contextlib import suppress

import cv2
import numpy as np
import pytest
from drawn_frames import HEIGHT, WIDTH, tissue
from written_videos import number, numbered, write

from endogs.clip import ClipOptions, load_clip
from endogs.errors import InputError

FRAMES = [tissue(i) for i in range(5)]


def dicom(path, pixels, syntax, shape=(HEIGHT, WIDTH), frames=5, **values):
    """A data set with the attributes of PS3.3 that frames need; `values` replace or add to them."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.Rows, data.Columns, data.NumberOfFrames = *shape, frames
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    for name, value in values.items():
        setattr(data, name, value)
    data.PixelData = pixels
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


NATIVE = "1.2.840.10008.1.2.1"


def test_frames_as_they_are_with_their_time(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.stack(FRAMES).tobytes(), NATIVE, FrameTime="50")
    clip = load_clip(path)
    assert (clip.kind, len(clip)) == ("dicom", 5)
    for index, frame in enumerate(FRAMES):
        np.testing.assert_array_equal(clip.image(index), frame)
    np.testing.assert_allclose(np.diff(clip.times), 0.05)
    assert len(load_clip(path, ClipOptions(stride=2, fps=10))) == 3


def test_uneven_frame_times_are_kept(tmp_path):
    vector = ["0", "40", "40", "500", "40"]
    clip = load_clip(dicom(tmp_path / "a.dcm", np.stack(FRAMES).tobytes(), NATIVE, FrameTimeVector=vector))
    np.testing.assert_allclose(clip.times, [0, 0.04, 0.08, 0.58, 0.62])


@pytest.mark.parametrize("meaning", ["MONOCHROME1", "MONOCHROME2"])
def test_gray_of_twelve_bits(tmp_path, meaning):
    gray = np.stack([frame[..., 0].astype(np.uint16) * 16 for frame in FRAMES])
    values = {"SamplesPerPixel": 1, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    path = dicom(tmp_path / "a", gray.tobytes(), NATIVE, PhotometricInterpretation=meaning, CineRate="20", **values)
    clip = load_clip(path)
    expected = FRAMES[2][..., :1] if meaning == "MONOCHROME2" else 255 - FRAMES[2][..., :1]
    assert np.abs(clip.image(2).astype(int) - expected).max() <= 1
    assert any("12 bits: 4095 is white" in note for note in clip.notes)
    assert clip.times[1] == pytest.approx(0.05)


def test_jpeg_frames(tmp_path):
    encaps = pytest.importorskip("pydicom.encaps")
    files = [cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() for frame in FRAMES]
    jpeg = "1.2.840.10008.1.2.4.50"
    path = dicom(tmp_path / "a.dcm", encaps.encapsulate(files), jpeg, PhotometricInterpretation="YBR_FULL_422")
    clip = load_clip(path)
    assert np.abs(clip.image(3).astype(int) - FRAMES[3]).mean() < 12
    assert any("frame rate is unknown" in note for note in clip.notes)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"NumberOfFrames": 2**31 - 1}, "not as many as it says"),
        ({"Rows": 65535, "Columns": 65535}, "65535 x 65535"),
        ({"BitsStored": 60000}, "60000 bits"),
        ({"FrameTime": "1e999"}, None),
    ],
)
def test_what_a_file_says_of_itself_is_not_believed(tmp_path, values, told):
    path = dicom(tmp_path / "a.dcm", np.stack(FRAMES).tobytes(), NATIVE, **values)
    if told is None:
        assert any("no numbers" in note for note in load_clip(path).notes)
    else:
        with pytest.raises(InputError, match=told):
            load_clip(path)


def test_a_data_set_deflated_as_a_whole_is_refused(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.stack(FRAMES).tobytes(), "1.2.840.10008.1.2.1.99")
    with pytest.raises(InputError, match="deflated"):
        load_clip(path)


def test_damaged_files_are_frames_or_a_sentence(tmp_path):
    whole = dicom(tmp_path / "a.dcm", np.stack(FRAMES).tobytes(), NATIVE, FrameTime="50").read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(150):
        data = bytearray(whole[: len(whole) - int(rng.integers(0, 3)) * 1000])
        for place in rng.integers(132, 700, int(rng.integers(1, 6))):
            data[place] = int(rng.integers(0, 256))
        (tmp_path / "b.dcm").write_bytes(data)
        with suppress(InputError):
            load_clip(tmp_path / "b.dcm").image(0)


def test_a_video_inside(tmp_path):
    encaps = pytest.importorskip("pydicom.encaps")
    film = write(tmp_path / "film.mp4", [numbered(i) for i in range(9)]).read_bytes()
    path = dicom(
        tmp_path / "a.dcm", encaps.encapsulate([film]), "1.2.840.10008.1.2.4.102", (48, 64), 9, FrameTime="100"
    )
    clip = load_clip(path)
    assert [number(clip.image(i)) for i in range(len(clip))] == list(range(9))
    np.testing.assert_allclose(np.diff(clip.times), 0.1)
    assert (clip.source, clip.name) == (path, "a")


def test_without_pydicom_it_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(40))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"a\.dcm: DICOM files are read with pydicom: pip install pydicom"):
        load_clip(tmp_path / "a.dcm")
    with pytest.raises(InputError, match=r"perhaps you mean the video .*a\.dcm"):
        load_clip(tmp_path)


def test_files_that_are_cut_or_empty_are_refused(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.stack(FRAMES).tobytes(), NATIVE)
    whole = path.read_bytes()
    for length in (132, 150, 300, 500, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.dcm"):
            load_clip(path).image(4)
