"""Recordings: which there are, to which partition they belong, and batches of them.

`data` never imports `frontend`: it hands over samples, and whoever trains makes features.
"""
