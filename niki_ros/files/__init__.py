"""Files on disk: what kind one is, written whole or not at all, videos. May import common."""
