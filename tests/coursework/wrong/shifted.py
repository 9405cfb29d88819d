"""Enlarges by hand and looks up pixel i at i * h / H: the map lies too far down and right."""

import numpy as np
from solution import channel_weights, feature_gradients, normalise, saliency, weighted_sum  # noqa: F401


def interpolate(values, length):
    places = np.arange(length) * len(values) / length
    return np.interp(places, np.arange(len(values)), values)


def grad_cam(model, images, class_index, layer):
    height, width = images.shape[1:3]
    features, gradients = feature_gradients(model, images, class_index, layer)
    heatmap = np.maximum(weighted_sum(features, channel_weights(gradients)), 0)
    heatmap = np.apply_along_axis(interpolate, 1, heatmap, height)
    heatmap = np.apply_along_axis(interpolate, 2, heatmap, width)
    return normalise(heatmap)
