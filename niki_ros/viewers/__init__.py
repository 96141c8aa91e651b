"""Bodies drawn for a person: Rerun and a web page. May import sources."""
