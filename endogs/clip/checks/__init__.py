"""One look at a clip: whether its cameras, views and depth fit its pictures."""
