"""What every room uses: errors, checks of arrays, settings. Imports nothing of this package."""
