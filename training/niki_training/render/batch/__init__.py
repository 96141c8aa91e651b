"""Crops of rendered people as whole batches in torch, on a CPU or a GPU."""
