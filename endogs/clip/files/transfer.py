"""HDR pictures (PQ and HLG, ITU-R BT.2100) as the sRGB pictures that everything else works on."""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Transfer = Literal["PQ", "HLG"]
TRANSFERS: dict[int, Transfer] = {16: "PQ", 18: "HLG"}
"""FFmpeg's and ITU-T H.273's codes of the HDR transfer characteristics."""
BT2020 = 9
"""H.273's code of the primaries of BT.2020."""
REFERENCE_WHITE = 203.0
"""cd/m2 of a white surface in HDR (ITU-R BT.2408, table 1), which becomes sRGB's white."""
HLG_PEAK = 1000.0
"""cd/m2 of the display for which HLG has the system gamma 1.2 (BT.2100, table 5, note 5e)."""
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear light from the primaries of BT.2020 to those of BT.709, which are sRGB's (ITU-R BT.2407, section 2)."""
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
"""Of BT.2020's primaries."""


def to_srgb(rgb: NDArray[np.uint16], transfer: Transfer, primaries: int = BT2020) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) sRGB of full-range uint16 (H, W, 3) HDR pictures.

    Display light by BT.2100's PQ EOTF, or HLG inverse OETF and OOTF (1000 cd/m2, gamma 1.2), over REFERENCE_WHITE, in
    BT.709's primaries. What is brighter than the reference white is white, as in a camera without HDR.
    """
    import cv2

    light = _light(transfer)[rgb]
    if transfer == "HLG":
        luminance = light @ LUMINANCE
        light *= (HLG_PEAK / REFERENCE_WHITE * np.power(np.maximum(luminance, 1e-6), 0.2))[..., None]
    if primaries == BT2020:
        light = np.asarray(cv2.transform(light, TO_BT709), np.float32)
    return _srgb()[(np.clip(light, 0, 1) * 65535 + 0.5).astype(np.uint16)]


@lru_cache(2)
def _light(transfer: Transfer) -> NDArray[np.float32]:
    """Linear light of the 65536 values: over REFERENCE_WHITE for PQ, of the scene in [0, 1] for HLG."""
    signal = np.arange(65536) / 65535
    if transfer == "PQ":  # SMPTE ST 2084, BT.2100 table 4
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        power = signal ** (1 / m2)
        light = 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) / REFERENCE_WHITE
    else:  # BT.2100 table 5
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return light.astype(np.float32)


@lru_cache(1)
def _srgb() -> NDArray[np.uint8]:
    """sRGB of 65536 values of linear light (IEC 61966-2-1)."""
    light = np.arange(65536) / 65535
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)
