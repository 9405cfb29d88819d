"""Where does the network look? Your name:"""

import numpy as np

import cnnexplain as tf
from cnnexplain import keras


def channel_weights(gradients):
    """One weight for each feature map.

    gradients: (n, height, width, maps), of the score by the feature maps.
    Returns: (n, maps).
    """
    raise NotImplementedError


def grad_cam(model, images, class_index, layer):
    """Grad-CAM maps.

    images: (n, height, width, 3); class_index: n integers; layer: the name of a layer.
    Returns: (n, height, width), from 0 to 1.
    """
    raise NotImplementedError


def saliency(model, images, class_index):
    """Saliency maps.

    images: (n, height, width, 3); class_index: n integers.
    Returns: (n, height, width), from 0 to 1.
    """
    raise NotImplementedError


if __name__ == "__main__":
    model = keras.models.load_model("model.keras")
    images = np.load("images.npy")
    tf.print(grad_cam(model, images, [0] * len(images), "last"))
