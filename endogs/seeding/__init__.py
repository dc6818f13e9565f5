"""The first Gaussians of a scene: placed on tissue, following tracks of the optical flow."""
