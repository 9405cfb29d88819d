"""Model files: those of three versions of Keras, our own, and what stands in the way of reading one."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import model_files
import numpy as np
import pytest

import cnnexplain
from cnnexplain import keras

TODAY = "keras-3.15.zip"
MODELS = model_files.MODELS
layers = keras.layers


def network():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.RandomState(0)
    model.fit(rng.rand(8, 6, 6, 1), rng.randint(0, 4, 8), verbose=0)
    return model


def pictures(count=3):
    return np.random.RandomState(5).rand(count, 6, 6, 1).astype(np.float32)


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


class TestFilesOfKeras:
    @pytest.mark.parametrize("archive, name", MODELS)
    def test_predictions_and_gradients(self, archive, name):
        model_files.check(model_files.load(archive, name, ".keras"), archive, name)
        model = model_files.load(archive, name, ".keras", dtype="float64", compile=False)
        assert {v.dtype.name for v in model.weights} <= {"float64", "int32"}
        model_files.check(model, archive, name, "float64")

    @pytest.mark.parametrize("archive, name", MODELS)
    def test_unzipped(self, archive, name, tmp_path):
        with zipfile.ZipFile(model_files.folder(archive) / f"{name}.keras") as zipped:
            zipped.extractall(tmp_path / "model")
        model = keras.models.load_model(tmp_path / "model", custom_objects={"Scale": model_files.Scale})
        model_files.check(model, archive, name)

    @pytest.mark.parametrize("archive, name", MODELS)
    def test_weights_alone(self, archive, name):
        """Into a model whose layers have other names."""
        model = model_files.load(archive, name, ".keras", compile=False)
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, variable.dtype.name))
        for k, layer in enumerate(model._flatten_layers(include_self=False)):
            layer.name = f"other_{k}"
        model.load_weights(model_files.folder(archive) / f"{name}.weights.h5")
        model_files.check(model, archive, name, gradients=False)

    @pytest.mark.parametrize("archive, name", MODELS)
    def test_the_optimizer_goes_on(self, archive, name):
        want = model_files.recorded(archive, name)["o"]
        model = model_files.load(archive, name, ".keras")
        if not want:
            assert model.optimizer is None
            return
        found = [np.asarray(v) for v in model.optimizer.variables]
        assert int(found[0]) == int(want[0]) == 1
        if archive == TODAY:
            assert len(found) == len(want)
            for a, b in zip(found, want, strict=True):
                np.testing.assert_array_equal(a, b)
        moments = [a for a in found[1:] if a.shape]
        # Keras 2 keeps momenta for SGD that it does not use
        wanted = [a for a in want[1:] if a.shape] if moments else []
        assert len(moments) == len(wanted)
        for a, b in zip(moments, wanted, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_what_it_was_compiled_with(self):
        for archive in model_files.VERSIONS:
            model = model_files.load(archive, "several", ".keras")
            rate = model.optimizer.get_config()["learning_rate"]
            assert rate["class_name"] == "ExponentialDecay" and rate["config"]["decay_steps"] == 100
            assert model.optimizer.get_config()["beta_1"] == pytest.approx(0.8)
            settings = model.get_compile_config()
            assert settings["loss_weights"] == {"kind": 1.0, "size": 0.5}
            assert set(settings["loss"]) == {"kind", "size"}
            model = model_files.load(archive, "branched", ".keras")
            assert model.optimizer.nesterov and model.optimizer.get_config()["momentum"] == pytest.approx(0.9)
            x = model_files.recorded(archive, "branched")["x"][0]
            logs = model.evaluate(x, np.zeros((3, 4)), verbose=0, return_dict=True)
            assert set(logs) == {"loss", "mae"} and logs["loss"] > 0
            frozen = model_files.load(archive, "nested", ".keras").get_layer("base")
            assert not frozen.trainable and not frozen.trainable_weights

    def test_training_goes_on(self):
        for archive in model_files.VERSIONS:
            model = model_files.load(archive, "sequential", ".keras")
            x = model_files.recorded(archive, "sequential")["x"][0]
            before = model.evaluate(x, np.array([0, 1, 2]), verbose=0)[0]
            model.fit(x, np.array([0, 1, 2]), epochs=5, verbose=0)
            assert model.evaluate(x, np.array([0, 1, 2]), verbose=0)[0] < before
            assert int(model.optimizer.iterations) == 6

    def test_training_that_keras_notes_without_being_told(self):
        x = keras.Input((4, 4, 3))
        y = keras.layers.RandomFlip()(x)
        y = keras.layers.Dropout(0.5)(y)
        y = keras.layers.Dropout(0.5)(y, training=True)
        y = keras.layers.BatchNormalization()(y, training=False)
        config = keras.Model(x, y).get_config()
        calls = {entry["name"]: entry["inbound_nodes"][0]["kwargs"] for entry in config["layers"][1:]}
        assert calls["random_flip"] == calls["dropout"] == {}
        # what Keras 3.15 writes for these calls
        calls["random_flip"]["training"] = True
        calls["dropout"]["training"] = False
        model = keras.Model.from_config(config)
        said = {layer.name: layer._inbound_nodes[-1].kwargs.get("training") for layer in model.layers[1:]}
        assert said == {
            "random_flip": None,
            "dropout": None,
            "dropout_1": True,
            "batch_normalization": False,
        }
        images = np.random.default_rng(0).uniform(size=(8, 4, 4, 3)).astype("float32")
        flipped = keras.Model(model.input, model.get_layer("random_flip").output)
        np.testing.assert_array_equal(flipped.predict(images, verbose=0), images)
        dropped = keras.Model(model.input, model.get_layer("dropout").output)
        np.testing.assert_array_equal(dropped.predict(images, verbose=0), images)
        assert 0.2 < (np.asarray(dropped(images, training=True)) == 0).mean() < 0.8

    def test_the_suffix_does_not_matter(self, tmp_path):
        source = model_files.folder(TODAY)
        for name, ending in (("a.h5", ".keras"), ("b.keras", ".h5"), ("c", ".keras")):
            (tmp_path / name).write_bytes((source / f"branched{ending}").read_bytes())
            model_files.check(keras.models.load_model(tmp_path / name), TODAY, "branched")

    def test_windows_wrote_backslashes(self, tmp_path):
        model = model_files.load(TODAY, "nested", ".keras", compile=False)
        with h5py.File(model_files.folder(TODAY) / "nested.weights.h5") as file:
            arrays = {}
            file.visititems(
                lambda n, o: arrays.__setitem__(n, o[()]) if isinstance(o, h5py.Dataset) else None
            )
        path = tmp_path / "a.weights.h5"
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                *outer, variable = name.split("/")
                group = file.require_group("\\".join(outer[:-1]) or "/").require_group("vars")
                group[variable] = array
        for variable in model.weights:
            variable.assign(np.zeros(variable.shape, variable.dtype.name))
        model.load_weights(path)
        model_files.check(model, TODAY, "nested")

    def test_packed_again(self, tmp_path):
        with (
            zipfile.ZipFile(model_files.folder(TODAY) / "mobile.keras") as source,
            zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as target,
        ):
            for name in source.namelist():
                target.writestr(name, source.read(name))
        model_files.check(keras.models.load_model(tmp_path / "a.keras"), TODAY, "mobile")

    def test_weights_in_npz(self, tmp_path):
        """Keras writes each group as a pickled dict of arrays."""
        archive = model_files.folder(TODAY) / "branched.keras"
        groups = {}
        with zipfile.ZipFile(archive) as source:
            texts = {name: source.read(name) for name in ("config.json", "metadata.json")}
            with h5py.File(io.BytesIO(source.read("model.weights.h5"))) as file:

                def note(name, thing):
                    if isinstance(thing, h5py.Dataset):
                        path, _, key = name.rpartition("/vars/")
                        groups.setdefault(path, {})[key] = thing[()]

                file.visititems(note)
        content = io.BytesIO()
        np.savez(content, **groups)
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as target:
            for name, text in texts.items():
                target.writestr(name, text)
            target.writestr("model.weights.npz", content.getvalue())
        model_files.check(keras.models.load_model(tmp_path / "a.keras"), TODAY, "branched")

        evil = io.BytesIO()
        groups["layers/shared"] = {"0": Evil()}
        np.savez(evil, **groups)
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as target:
            for name, text in texts.items():
                target.writestr(name, text)
            target.writestr("model.weights.npz", evil.getvalue())
        with pytest.raises(ValueError, match="which is not run"):
            keras.models.load_model(tmp_path / "a.keras")


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed-by-a-pickle",)


class TestOwnFiles:
    @pytest.mark.parametrize("zipped", [True, False])
    def test_round_trip(self, tmp_path, zipped):
        model = network()
        path = tmp_path / ("a.keras" if zipped else "a")
        for _ in range(2):  # the second time it takes the first one's place
            model.save(path, zipped=zipped)
        again = keras.models.load_model(path)
        assert same(again.get_weights(), model.get_weights())
        assert same(again.optimizer.variables, model.optimizer.variables)
        np.testing.assert_array_equal(
            again.predict(pictures(), verbose=0), model.predict(pictures(), verbose=0)
        )
        assert again.get_compile_config() == model.get_compile_config()
        assert os.listdir(tmp_path) == [path.name]  # nothing is left over
        assert keras.models.load_model(path, compile=False).optimizer is None
        again.fit(pictures(), np.array([0, 1, 2]), verbose=0)

    def test_weights(self, tmp_path):
        model, other = network(), keras.models.clone_model(network())
        model.save_weights(tmp_path / "a.weights.h5")
        other.load_weights(tmp_path / "a.weights.h5")
        assert same(other.get_weights(), model.get_weights())
        model.save(tmp_path / "a.keras")
        other = keras.models.clone_model(model)
        other.load_weights(tmp_path / "a.keras")
        assert same(other.get_weights(), model.get_weights())

    def test_names_and_preprocessing_travel(self, tmp_path):
        model = network()
        model.class_names = ("shoe", "shirt", "bag", "coat")
        model.preprocess = "tf"
        for name, zipped in (("a.keras", True), ("a", False), ("a.h5", None)):
            model.save(tmp_path / name, **({} if zipped is None else {"zipped": zipped}))
            again = keras.models.load_model(tmp_path / name)
            assert again.class_names == model.class_names and again.preprocess == "tf"
        with zipfile.ZipFile(tmp_path / "a.keras") as archive:
            notes = json.loads(archive.read("assets/cnnexplain.json"))
        assert notes == {"class_names": list(model.class_names), "preprocess": "tf"}

    def test_a_layer_in_two_models_stays_one(self, tmp_path):
        shared = layers.Dense(3, name="shared")
        inner = keras.Sequential([keras.Input((3,)), shared], name="inner")
        x = keras.Input((3,))
        model = keras.Model(x, inner(shared(x)))
        model.save(tmp_path / "a.keras")
        again = keras.models.load_model(tmp_path / "a.keras")
        assert len(again.weights) == 2 and again.get_layer("inner").layers[0] is again.get_layer("shared")
        data = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(again(data).numpy(), model(data).numpy())

    def test_subclasses(self, tmp_path):
        @keras.saving.register_keras_serializable("Tests")
        class Net(keras.Model):
            def __init__(self, units=3, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.first = layers.Dense(units)
                self.rest = [layers.Dense(units), layers.Dense(2)]

            def call(self, x):
                return self.rest[1](self.rest[0](self.first(x)))

            def get_config(self):
                return {**super().get_config(), "units": self.units}

        model = Net(5)
        data = np.random.RandomState(0).rand(2, 4).astype(np.float32)
        model(data)
        model.compile("sgd", "mse")
        model.fit(data, np.zeros((2, 2)), verbose=0)
        model.save(tmp_path / "a.keras")
        again = keras.models.load_model(tmp_path / "a.keras")
        np.testing.assert_array_equal(again(data).numpy(), model(data).numpy())
        other = Net(5)
        other(data)
        other.load_weights(tmp_path / "a.keras")
        np.testing.assert_array_equal(other(data).numpy(), model(data).numpy())

    def test_layers_that_store_themselves(self, tmp_path):
        class Table(layers.Layer):
            def build(self, shape):
                self.table = None

            def call(self, x):
                return x + (0.0 if self.table is None else float(self.table[0]))

            def save_own_variables(self, store):
                store["entries"] = np.array([3.0])

            def load_own_variables(self, store):
                self.table = np.asarray(store["entries"])

        model = keras.Sequential([keras.Input((2,)), Table()])
        model.save(tmp_path / "a.keras")
        again = keras.models.load_model(tmp_path / "a.keras", custom_objects={"Table": Table})
        np.testing.assert_array_equal(again.layers[0].table, [3.0])

    def test_names_of_files(self, tmp_path):
        model = network()
        for name, options, message in (
            ("a", {}, "`filepath` must end in `.keras`"),
            ("a.keras", {"zipped": False}, "must not end in `.keras` with `zipped=False`"),
            ("a.keras", {"nothing": 1}, r"not supported: \['nothing'\]"),
        ):
            with pytest.raises(ValueError, match=message):
                model.save(tmp_path / name, **options)
        with pytest.raises(ValueError, match="must end in `.weights.h5`"):
            model.save_weights(tmp_path / "a.txt")
        for name in ("a.keras", "a.h5"):
            model.save(tmp_path / name)
            with pytest.raises(FileExistsError, match="overwrite=True"):
                model.save(tmp_path / name, overwrite=False)
        model.save_weights(tmp_path / "a.weights.h5")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            model.save_weights(tmp_path / "a.weights.h5", overwrite=False)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "thesis.txt").write_text("mine")
        with pytest.raises(ValueError, match="holds something else than a model"):
            model.save(tmp_path / "folder", zipped=False)
        assert (tmp_path / "folder" / "thesis.txt").read_text() == "mine"

    @pytest.mark.parametrize("name", ["a.keras", "a.weights.h5", "a.h5"])
    def test_a_full_disk_leaves_the_good_file(self, tmp_path, monkeypatch, name):
        from cnnexplain.keras.saving import container

        model = network()
        write = model.save_weights if "weights" in name else model.save
        write(tmp_path / name)
        before = (tmp_path / name).read_bytes()

        def full(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(container.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before and os.listdir(tmp_path) == [name]

    def test_checkpoints(self, tmp_path):
        x, y = pictures(8), np.arange(8) % 4
        for name, only in (("{epoch}.keras", False), ("{epoch}.weights.h5", True)):
            model = network()
            keep = keras.callbacks.ModelCheckpoint(tmp_path / name, save_weights_only=only)
            model.fit(x, y, epochs=2, verbose=0, callbacks=[keep])
            last = tmp_path / name.format(epoch=2)
            if only:
                again = keras.models.clone_model(model)
                again.load_weights(last)
            else:
                again = keras.models.load_model(last)
                assert int(again.optimizer.iterations) == 3
            assert same(again.get_weights(), model.get_weights())


MEMORY = """
import sys
from pathlib import Path
from cnnexplain import keras
def used():  # at most so far; getrusage would tell what the process that started this one used
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10
small, large = sys.argv[1:]
keras.models.load_model(small)
before = used()
model = keras.models.load_model(large)
print(used() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers take memory of their own")
def test_opening_takes_the_memory_of_the_weights(tmp_path):
    """96 MB of weights: initial values, a copy of the file or of an array would each take as much again."""
    for name, units in (("small", 4), ("large", 2400)):
        model = keras.Sequential([keras.Input((10000,)), layers.Dense(units, kernel_initializer="zeros")])
        model.save(tmp_path / f"{name}.keras")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "small.keras"), str(tmp_path / "large.keras")],
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONPATH": str(Path(cnnexplain.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 80 <= int(done.stdout) < 130  # memory that the small model needed for a while serves again


class TestWhatDoesNotFit:
    def test_every_layer_and_group_is_named(self, tmp_path):
        network().save_weights(tmp_path / "a.weights.h5")
        other = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                layers.Conv2D(3, 3, name="first"),
                layers.Conv2D(2, 3, name="second"),
                layers.Flatten(),
                layers.Dense(7, name="last"),
            ]
        )
        before = other.get_weights()
        with pytest.raises(ValueError, match="its weights do not fit the model") as caught:
            other.load_weights(tmp_path / "a.weights.h5")
        message = str(caught.value)
        for part in (
            "layer 'second' (Conv2D) has no group",
            "group 'layers/batch_normalization' of 'batch_normalization' with arrays (3,), (3,), (3,), (3,)",
            "'kernel' of layer 'last' (Dense) has shape (8, 7), in the file (48, 4)",
            "'bias' of layer 'last'",
        ):
            assert part in message
        assert "'first'" not in message and same(other.get_weights(), before)
        with pytest.warns(UserWarning, match="left out: .*second"):
            other.load_weights(tmp_path / "a.weights.h5", skip_mismatch=True)
        assert not np.array_equal(other.get_weights()[0], before[0])
        assert np.array_equal(other.get_weights()[2], before[2])

    def test_unknown_classes(self):
        for archive in model_files.VERSIONS:
            with pytest.raises(ValueError) as caught:
                keras.models.load_model(model_files.folder(archive) / "custom.keras")
            message = str(caught.value)
            for part in (
                "'Scale'",
                "scale",
                "custom_objects={'Scale': Scale}",
                "register_keras_serializable",
            ):
                assert part in message

    def test_registered_classes(self):
        keras.saving.register_keras_serializable("Fixtures")(model_files.Scale)
        try:
            for archive in model_files.VERSIONS:
                model = keras.models.load_model(model_files.folder(archive) / "custom.keras")
                model_files.check(model, archive, "custom")
        finally:
            keras.saving.get_custom_objects().pop("Fixtures>Scale")
            del model_files.Scale._registered_name

    def test_an_unknown_loss(self, tmp_path):
        def mine(y, p):
            return keras.ops.mean(keras.ops.square(y - p), axis=-1)

        model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
        model.compile("sgd", mine)
        model.save(tmp_path / "a.keras")
        with pytest.raises(ValueError, match=r"compiled with: .*'mine'.*custom_objects=.*compile=False"):
            keras.models.load_model(tmp_path / "a.keras")
        assert keras.models.load_model(tmp_path / "a.keras", compile=False).optimizer is None
        again = keras.models.load_model(tmp_path / "a.keras", custom_objects={"mine": mine})
        assert again.evaluate(np.ones((2, 2)), np.ones((2, 1)), verbose=0) > 0

    @pytest.mark.parametrize(
        "content, message",
        [
            (b"", "it is empty"),
            (b"<!DOCTYPE html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"\x80\x02}q\x00.", "pickle"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04 and no more", "damaged"),
            (b"\x89HDF\r\n\x1a\n and no more", "damaged"),
            (b"nonsense", r"damaged or something else. Readable are a `.keras`"),
        ],
    )
    def test_what_is_no_model(self, tmp_path, content, message):
        path = tmp_path / "a.keras"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be read: .*{message}"):
            keras.models.load_model(path)
        with pytest.raises(ValueError, match="cannot be read"):
            network().load_weights(path)

    def test_other_things(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            keras.models.load_model(tmp_path / "nothing.keras")
        with pytest.raises(ValueError, match="no `config.json`"):
            keras.models.load_model(tmp_path)
        (tmp_path / "saved_model.pb").write_bytes(b"")
        with pytest.raises(ValueError, match="SavedModel"):
            keras.models.load_model(tmp_path)
        network().save_weights(tmp_path / "a.weights.h5")
        with pytest.raises(ValueError, match="model.load_weights"):
            keras.models.load_model(tmp_path / "a.weights.h5")
        with pytest.raises(ValueError, match="`dtype` must be"):
            keras.models.load_model(tmp_path, dtype="float16")
        with pytest.raises(ValueError, match="not yet been built"):
            keras.Sequential([layers.Dense(2)]).load_weights(tmp_path / "a.weights.h5")
        with pytest.raises(ValueError, match="`by_name`"):
            network().load_weights(tmp_path / "a.weights.h5", by_name=True)
