"""Put the pipeline together from names and settings. May import all parts of the algorithm."""
