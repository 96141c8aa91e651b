"""Import of released weights into networks of this project. May import export and data."""
