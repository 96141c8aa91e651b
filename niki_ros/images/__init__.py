"""Pixel operations, contrast, drawing and boxes, with OpenCV. May import body."""
