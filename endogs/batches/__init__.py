"""Many clips, on one machine or many, and one table of what came of them."""
