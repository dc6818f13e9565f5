"""What a click means: the whole thing it lies on, no more, and a jaw up to the instrument it belongs to."""

import cv2
import numpy as np
from samples.tool_clip import HEIGHT, WIDTH, overlap, shaft, tissue, tool_frame

from endogs.priors.instruments.click_outline import Look, added_patch, removed_patch

NOTHING = np.zeros((HEIGHT, WIDTH), bool)


def look(image):
    return Look(image, np.zeros(image.shape[:2], np.float32))


def test_a_click_on_a_shaft_adds_the_shaft_and_leaves_the_tissue():
    found = added_patch(look(tool_frame(80)), 40, 62, NOTHING, ~NOTHING)
    assert overlap(found, shaft(80)) > 0.9


def test_evidence_joins_what_colour_parts():
    """A shaft with a white wrist is one instrument where the log odds say so."""
    image = tool_frame(80)
    wrist = shaft(80) & (np.arange(WIDTH) > 50)
    image[wrist] = (230, 228, 215)
    odds = np.where(shaft(80), 3.0, -3.0).astype(np.float32)
    found = added_patch(Look(image, odds), 25, 65, NOTHING, ~NOTHING)
    assert overlap(found, shaft(80)) > 0.9


def test_a_click_on_the_tip_of_a_jaw_adds_all_of_it():
    image, jaw = tool_frame(60), np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(jaw, (60, 50), (95, 42), 1, 4)
    jaw = jaw.view(bool) & ~shaft(60)
    image[jaw] = (150, 140, 140)
    image = cv2.GaussianBlur(image, (0, 0), 0.7)
    found = added_patch(look(image), 93, 42.5, shaft(60), ~NOTHING)
    assert overlap(found, jaw) > 0.6
    assert not (found & shaft(60)).any()


def test_nothing_is_added_where_a_mask_is_or_the_user_said_no():
    frame = look(tool_frame(80))
    assert not added_patch(frame, 40, 62, shaft(80), ~NOTHING).any()
    kept = NOTHING.copy()
    kept[:, 60:] = True
    assert not (added_patch(frame, 40, 62, NOTHING, ~kept) & kept).any()


def test_a_click_takes_away_what_leaked_and_leaves_the_instrument():
    leak = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(leak, (80, 62), 14, 1, -1)
    leak = leak.view(bool) & ~shaft(80)
    found = removed_patch(look(tool_frame(80)), 80, 70, shaft(80) | leak, NOTHING)
    assert overlap(found, leak) > 0.7
    assert (found & shaft(80)).sum() < 0.05 * shaft(80).sum()


def test_a_separate_false_patch_goes_whole():
    patch = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(patch, (120, 80), 9, 1, -1)
    found = removed_patch(look(tissue()), 120, 80, patch.view(bool) | shaft(80), NOTHING)
    assert np.array_equal(found, patch.view(bool))
    assert not removed_patch(look(tissue()), 20, 110, shaft(80), NOTHING).any()
