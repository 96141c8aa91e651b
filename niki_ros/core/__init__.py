"""The algorithm: numpy and scipy only, no middleware, no neural-network library."""
