"""Pixel operations, contrast, drawing and boxes; the only room with cv2. May import body."""
