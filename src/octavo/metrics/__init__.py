"""Pure measures: functions of arrays, with their reasons for being undefined.

* `classification`: how well labels are told apart (numpy).
* `calibration`: whether a probability means what it says (numpy).
* `intervals`: how sure a measure is, by resampling patients (numpy).
* `delong`: how sure the area under the ROC curve is, in closed form (numpy).
* `paired`: whether one of two models is better on the same exams (numpy).
* `fairness`: whether a model ranks as well in one group of people as in another (numpy).
* `multiclass`: how well more than two classes are told apart (numpy).
* `localisation`: whether heat lies on known tissue (numpy).
* `similarity`: whether two maps agree; differentiable, also the training loss (torch).
* `summary`: everything that `evaluation.json` holds.
* `flat_keys`: measures, their intervals and their reasons as flat keys.
"""
