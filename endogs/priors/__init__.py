"""Floor 3: what is guessed about a clip before fitting: depth, speculars, usable masks, motion."""
