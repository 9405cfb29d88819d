"""`load_img`, `img_to_array` and their relatives under Keras 2's name."""

from ..utils.image import array_to_img, img_to_array, load_img, save_img

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]
