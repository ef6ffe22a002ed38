"""One layer: branch and bound over signs, thresholds of growing streams of rows, least active counts."""
