"""What lies in a clip's files, before it is known what it means."""
