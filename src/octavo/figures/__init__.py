"""Pictures and reports: what a scan looks like, where a model looked, how well it does, for people to read.

* `overlay`: one B-scan with heat; `en_face`: the scan and its heat from the front; `animation`: every B-scan in turn.
* `curves`: ROC, precision and recall, calibration, confusion, training, agreement.
* `explanation`: all pictures of one map of one exam, and the section of a report that shows them.
* `report`: one self-contained HTML file; `evaluation_sections`: the sections of a report about a classifier.

Nothing is imported here, so that a command pays only for the pictures it makes.
"""
