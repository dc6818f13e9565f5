"""What leaves endogs: points, splats, meshes, videos, depth maps, cameras and tracks that other programs open, and a
page that plays the scene. Each kind has its module; `endogs.export.commands` runs them."""
