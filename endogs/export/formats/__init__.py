"""Writers of file formats, one file each."""
