"""DICOM: reading images of slices, writing tomography, and what comes in the same folder."""
