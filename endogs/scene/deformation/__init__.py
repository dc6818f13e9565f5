"""How Gaussians move: the deformations, a file each."""
