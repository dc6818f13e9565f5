"""The whole way from a clip to an output folder."""
