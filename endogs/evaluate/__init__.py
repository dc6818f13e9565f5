"""Floor 6: how good a scene is, beside what needs no scene at all."""
