"""Compiled forms of the formulas in `nn.functional`, with the batch as the last axis in memory."""
