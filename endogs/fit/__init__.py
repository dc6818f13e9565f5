"""The fit: optimizing a scene against the views of a clip."""
