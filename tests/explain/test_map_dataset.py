"""Many files by one method: on this machine and on a cluster of processes, one of which is killed."""

from __future__ import annotations

import os
import signal
import time
import types

import numpy as np
import pytest
from PIL import Image

import cnnexplain as cx
from cnnexplain import explain, keras
from cnnexplain.explain import Mapped, map_dataset


def scaled(x):
    return x / 255


@pytest.fixture(scope="module")
def network():
    return cx.demo.load_network()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 pictures, of which 4 is no picture and 7 is not there."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(cx.demo.load_test_images()[0][:12]):
        explain.picture(image).save(folder / f"{i:02d}.png")
    (folder / "04.png").write_text("no picture")
    (folder / "07.png").unlink()
    return folder


@pytest.fixture(scope="module")
def files(folder):
    return [folder / f"{i:02d}.png" for i in range(12)]


@pytest.fixture(scope="module")
def expected(network, files):
    """What `explain` gives for each file alone."""
    good = [i for i in range(12) if i not in (4, 7)]
    return {i: explain.grad_cam(network, files[i], preprocess=scaled)[0] for i in good}


def check(found, files, expected):
    """Each file once, in order, with the bits of its own explanation."""
    assert [(one.index, one.file) for one in found] == [(i, str(f)) for i, f in enumerate(files)]
    assert [one.index for one in found if one.error] == [4, 7]
    assert "damaged or no picture" in found[4].error and "there is no file" in found[7].error
    for i, e in expected.items():
        np.testing.assert_array_equal(found[i].explanation.map, e.map)
        np.testing.assert_array_equal(found[i].explanation.raw, e.raw)
        np.testing.assert_array_equal(found[i].explanation.images, e.images)
        assert found[i].explanation.class_name == e.class_name


class TestHere:
    @pytest.mark.parametrize("batch_size", [1, 5, 100])
    def test_each_file_once_in_order(self, network, files, expected, batch_size):
        made = map_dataset(network, files, preprocess=scaled, batch_size=batch_size)
        assert isinstance(made, types.GeneratorType)
        check(list(made), files, expected)

    def test_nothing_is_computed_before_it_is_asked_for(self, network, files):
        seen = []
        made = map_dataset(network, files, preprocess=lambda x: seen.append(len(x)) or x / 255, batch_size=2)
        assert not seen
        next(made)
        assert seen == [2]

    def test_settings_reach_the_method(self, network, files):
        made = map_dataset(
            network,
            files[:3],
            "layer_cam",
            class_index=[5, 6, 7],
            layer="conv2d_2",
            preprocess=scaled,
            steps=True,
        )
        found = [one.explanation for one in made]
        assert [(e.class_index, e.method, e.layer) for e in found] == [
            (c, "layer_cam", "conv2d_2") for c in (5, 6, 7)
        ]
        assert found[0].steps and found[0].steps["activations"].shape == (7, 7, 64)
        one = next(map_dataset(network, files[:1], class_index=2, preprocess=scaled))
        assert one.explanation.class_index == 2 and not one.explanation.steps

    def test_written_files(self, network, files, expected, tmp_path):
        seen = []
        found = map_dataset(
            network,
            files,
            preprocess=scaled,
            output=tmp_path / "new" / "maps",
            progress=lambda *at: seen.append(at),
        )
        assert isinstance(found, list) and seen[-1] == (12, 12)
        assert [one.index for one in found if one.error] == [4, 7]
        written = sorted((tmp_path / "new" / "maps").iterdir())
        assert [path.name for path in written] == [f"{i:06d}-{i:02d}.npz" for i in expected]
        for i, e in expected.items():
            assert found[i].explanation is None and found[i].path in written
            with np.load(found[i].path) as arrays:
                np.testing.assert_array_equal(arrays["map"], e.map)

    def test_a_file_that_cannot_be_written_leaves_no_half_of_it(self, network, files, tmp_path, monkeypatch):
        def full(self, path):
            path.write_bytes(b"PK")
            raise OSError(28, "No space left on device")

        written = map_dataset(network, files[:1], preprocess=scaled, output=tmp_path)
        monkeypatch.setattr(explain.Explanation, "save", full)
        with pytest.raises(OSError, match="No space left"):
            map_dataset(network, files, preprocess=scaled, output=tmp_path)
        assert list(tmp_path.iterdir()) == [written[0].path]

    def test_pictures_of_many_sizes(self, tmp_path):
        layers = [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.GlobalAveragePooling2D(),
        ]
        model = keras.Sequential([*layers, keras.layers.Dense(3)])
        files = []
        for i, size in enumerate([(9, 12), (20, 7), (9, 12)]):
            files.append(tmp_path / f"{i}.png")
            Image.new("RGB", size, "red").save(files[-1])
        found = list(map_dataset(model, files, class_index=0, preprocess="none"))
        assert [one.explanation.map.shape for one in found] == [(12, 9), (7, 20), (12, 9)]

    def test_no_files(self, network):
        assert list(map_dataset(network, [])) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "nothing"}, "`method` must be one of"),
            ({"layer": "nothing"}, "nothing"),
            ({"preprocess": None}, "`preprocess` must be given"),
            ({"class_index": 10}, "class_index"),
            ({"class_index": [1, 2]}, "one for each of the 12 files. Received: 2"),
            ({"batch_size": 0}, "`batch_size` must be a positive integer"),
            ({"files": "a.png"}, "sequence of paths"),
        ],
    )
    def test_settings_that_do_not_fit_are_no_fault_of_a_file(self, network, files, options, message):
        options = {"files": files, "preprocess": scaled} | options
        with pytest.raises(ValueError, match=message):
            list(map_dataset(network, **options))

    @pytest.mark.parametrize("client", [3, "tcp://127.0.0.1:8786"])
    def test_what_is_no_client(self, network, files, client):
        with pytest.raises(
            TypeError, match=r"must be a distributed.Client of a cluster. Received: (int|str)"
        ):
            list(map_dataset(network, files, client=client))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
class TestCluster:
    @pytest.fixture(scope="class")
    @staticmethod
    def client():
        distributed = pytest.importorskip("distributed")
        options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with (
            distributed.LocalCluster(silence_logs=50, **options) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client

    def test_the_same_bits_as_here(self, client, network, files, expected):
        check(
            list(map_dataset(network, files, preprocess=scaled, client=client, batch_size=3)), files, expected
        )

    def test_workers_are_killed_half_way(self, client, network, files, expected, tmp_path):
        many = [file for file in files for _ in range(4)]  # 48 files in 24 batches
        workers = list(client.run(os.getpid).values())

        def kill(done, total):
            if done in (10, 20):  # one, then the other: nobody holds the model any more
                os.kill(workers[done // 10 - 1], signal.SIGKILL)

        found = map_dataset(
            network, many, preprocess=lambda x: (time.sleep(0.1), x / 255)[1], client=client, batch_size=2,
            output=tmp_path, progress=kill,
        )  # fmt: skip
        assert not set(workers) & set(client.run(os.getpid).values())
        assert [one.index for one in found] == list(range(48))
        assert [one.index // 4 for one in found if one.error] == [4] * 4 + [7] * 4
        assert len(list(tmp_path.iterdir())) == 40
        for one in found:
            if one.error is None:
                with np.load(one.path) as arrays:
                    np.testing.assert_array_equal(arrays["raw"], expected[one.index // 4].raw)

    def test_settings_that_do_not_fit(self, client, network, files):
        with pytest.raises(ValueError, match="`method` must be one of"):
            list(map_dataset(network, files, "nothing", client=client))

    def test_stopping_early_leaves_nothing_behind(self, client, network, files):
        made = map_dataset(network, files * 10, preprocess=scaled, client=client, batch_size=1)
        assert isinstance(next(made), Mapped)
        made.close()
        deadline = time.monotonic() + 10
        while client.futures and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not client.futures
