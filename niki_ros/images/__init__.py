"""Pixels: scaling, cutting out, drawing; the only room with OpenCV below it. May import body."""
