"""The toy experiment of Zhou et al. 2016. Imports the rooms evaluate, networks and files."""
