"""Camera, lens, ground, depth, duplicates and stamps of images. May import images and body."""
