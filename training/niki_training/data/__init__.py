"""Motion: readers of data sets, the store on disk, splits, batches, skeletons."""
