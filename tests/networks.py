"""What tests of whole networks share: small ones of every architecture, wide weights, masks."""

from __future__ import annotations

import numpy as np

from minikws.nn.layers import AttentionPool, Dropout, leaves

# Name of each architecture -> (T, F) and options that make it small.
SMALL = {
    "single_fc": ((13, 10), {}),
    "conv": ((13, 10), {}),
    "low_latency_conv": ((13, 10), {}),
    "low_latency_svdf": ((13, 10), {"num_units": 20}),
    "tiny_conv": ((13, 10), {}),
    "tiny_embedding_conv": ((25, 20), {}),
    "ds_cnn": ((13, 10), {}),
    "tc_resnet": ((13, 10), {"width": 0.5}),
    "raw_ds_conv": ((48, 160), {"width": 0.125}),
    "svdf_stream": ((13, 10), {"num_units": 12, "rank": 2}),
}


def spread_weights(network, rng):
    """Draw weights so that each layer's output is about as wide as its input; move the rest."""
    for _, layer in leaves(network.layers):
        for param in layer.params.values():
            n_in = max(1, param.size // param.shape[-1])
            param[...] = rng.normal(0, 1.2 / np.sqrt(n_in), param.shape)
        for name, buffer in layer.buffers.items():
            buffer[...] = rng.uniform(0.5, 1.5, buffer.shape) if name == "variance" else 0.1


def dropout_masks(network):
    """Return the factors of the last forward pass's dropouts, in their order: 0 or 1 / kept."""
    layers = [
        layer.dropout if isinstance(layer, AttentionPool) else layer
        for _, layer in leaves(network.layers)
    ]
    dropouts = [layer for layer in layers if isinstance(layer, Dropout)]
    return [
        np.ones(1, network.dtype)
        if d.mask is None
        else (d.mask / (1 - d.rate)).astype(network.dtype)
        for d in dropouts
    ]


def assert_close(found, expected, tolerance):
    """Fail where a value is further off than `tolerance` of the largest expected one."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max() + 1e-6
