"""The readers, one file per layout."""
