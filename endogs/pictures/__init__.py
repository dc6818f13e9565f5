"""Floor 5: pictures of a scene, and the files that show them; each name is loaded from its own module."""
