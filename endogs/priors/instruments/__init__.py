"""Instruments in the picture: given with the clip, found by their colour, or followed by SAM 2."""
