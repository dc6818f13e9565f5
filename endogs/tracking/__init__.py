"""Where a camera is, found from what it sees."""
