"""Files on disk: their kind, atomic writing, checks of output paths, videos. May import common."""
