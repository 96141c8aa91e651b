"""Camera, lens, ground, depth and time of an image. May import images and body."""
