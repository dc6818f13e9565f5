"""The shareable player: a scene and everything that shows it, in one HTML file."""
