"""Images from a video, a camera, an address, a folder or a bag. May import messages and scene."""
