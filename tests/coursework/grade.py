"""Grades a submission: pytest grade.py --grades-submission FILE."""

import pytest

from cnnexplain import explain
from cnnexplain.testing import assert_same_map, tiny_images, tiny_model

CLASSES = [1, 3, 0]


@pytest.fixture
def network():
    """A network and images on which the usual mistakes show: not square, maps of both signs."""
    return tiny_model(1), tiny_images(3, seed=1)


@pytest.mark.points(2)
def test_channel_weights(submission, network):
    expected = explain.grad_cam(*network, CLASSES)
    student = submission.channel_weights(expected.steps["gradients"])
    assert_same_map(student, expected, of="channel weights")


@pytest.mark.points(5)
@pytest.mark.limits(seconds=20, megabytes=1000)
def test_grad_cam(submission, network, credit):
    model, images = network
    with credit(3, "one image", partly={"not-normalised": 2, "relu-missing": 1}):
        expected = explain.grad_cam(model, images[:1], CLASSES[0])
        student = submission.grad_cam(model, images[:1], CLASSES[:1], "last")
        assert_same_map(student, expected, model=model, images=images[:1])
    with credit(2, "a batch"):
        expected = explain.grad_cam(model, images, CLASSES)
        student = submission.grad_cam(model, images, CLASSES, "last")
        assert_same_map(student, expected, model=model, images=images)


@pytest.mark.points(3)
@pytest.mark.limits(seconds=20, megabytes=1000)
def test_saliency(submission, network):
    model, images = network
    expected = explain.saliency(model, images, CLASSES)
    student = submission.saliency(model, images, CLASSES)
    assert_same_map(student, expected, model=model, images=images)
