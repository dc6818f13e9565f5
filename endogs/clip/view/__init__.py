"""What an endoscope sees within its picture, and how pictures are framed."""
