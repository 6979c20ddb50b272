"""Pure measures: functions of arrays, with their reasons for being undefined.

* `classification`: how well labels are told apart (numpy).
* `calibration`: whether a probability means what it says (numpy).
* `intervals`: how sure a measure is, by resampling patients (numpy).
* `delong`: how sure the area under the ROC curve is, in closed form (numpy).
* `localisation`: whether heat lies on known tissue (numpy).
* `similarity`: whether two maps agree; differentiable, also the training loss (torch).
* `summary`: everything that `evaluation.json` holds.
"""
