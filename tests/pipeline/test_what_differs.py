"""A run that does not go with a checkpoint is told by the options that differ."""

from endogs.pipeline.prepared_fit import what_differs


def test_options_are_named_with_their_values_then_and_now():
    before = {"seed": 0, "split": "standard", "fit": {"gaussians_cap": 55_000, "deformation": "spline", "tau": 1.0}}
    now = {"seed": 1, "split": "standard", "fit": {"gaussians_cap": 300, "deformation": "none", "tau": 1.0}}
    told = what_differs(before, now)
    assert told == "--deformation spline then, none now; --gaussians 55000 then, 300 now; seed 0 then, 1 now"


def test_long_values_and_such_as_only_one_has_are_named_alone():
    before = {"clip": "a" * 40, "frames_without_tissue": [1, 2]}
    assert what_differs(before, {"clip": "b" * 40}) == "clip; frames without tissue"


def test_other_segments_are_told_by_their_option_alone():
    before = {"frames": [80, 320, 240], "segment": 0, "segment_frames": [0, 25], "fit": {"iterations": 65}}
    now = before | {"segment_frames": [0, 32], "fit": {"iterations": 80}, "training frames": "b"}
    told = what_differs(before, now)
    assert told == "--segment-frames, by which segment 1 has frames 0 to 32 and had frames 0 to 25"
    assert "--iterations" in what_differs(before, now | {"frames": [90, 320, 240]}), "another clip is told as such"
