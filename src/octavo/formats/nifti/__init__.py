"""NIfTI-1 and -2 in one file, and ANALYZE 7.5 pairs."""
