"""What files of pictures and videos say about themselves, and which of them are frames."""
