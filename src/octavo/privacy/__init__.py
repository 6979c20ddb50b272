"""What a file says about a person, and how it is kept to oneself.

DICOM files are written anew without it, after the profile of the standard; a file that will not open is described without
a word of it. Reading drops it anyway, in `octavo.formats`.
"""
