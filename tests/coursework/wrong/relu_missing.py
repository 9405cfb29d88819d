"""The sum is enlarged as it is: no ReLU."""

from solution import channel_weights, enlarge, feature_gradients, normalise, saliency, weighted_sum  # noqa: F401


def grad_cam(model, images, class_index, layer):
    features, gradients = feature_gradients(model, images, class_index, layer)
    heatmap = weighted_sum(features, channel_weights(gradients))
    return normalise(enlarge(heatmap, images))
