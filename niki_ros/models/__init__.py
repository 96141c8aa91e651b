"""Model folders: graphs and their manifests, shipped ones and your own. May import files."""
