"""
Motion and skeletons to train on: readers, stores, splits, augmentation and batches.

Imports the rooms corrupt, files and common. A file of another form is an InputError.
"""
