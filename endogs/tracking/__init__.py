"""The camera of a moving endoscope from its video: a sparse map of corners, and where each frame was taken.

`track_clip` in `tracker.py` is the front door; a `Tracker` takes frames one by one as they come.
"""
