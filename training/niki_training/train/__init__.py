"""Training of the solver networks. Imports the rooms data, corrupt, networks, files and common."""
