"""Twins of kernels in `minikws.dsp` whose layout is far from their reference's."""
