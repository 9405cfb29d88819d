"""Every public class as plain data and back, pickled and copied; its configuration is equal to Keras's."""

from __future__ import annotations

import copy
import json
import pickle

import constructors
import numpy as np
import pytest

from cnnexplain import keras

RECORDED = json.loads((constructors.FIXTURES / "keras_configs.json").read_text())["families"]
EVERY = [(family, name) for family in constructors.FAMILIES for name in constructors.classes(keras, family)]
LAYERS = [name for family, name in EVERY if family == "layers"]

# Keys that are here and not in Keras, where a layer or loss made from its configuration forgets the argument.
FORGOTTEN_BY_KERAS = {
    ("layers", "RandomGrayscale"): {"seed"},
    ("losses", "CosineSimilarity"): {"axis"},
    ("losses", "Huber"): {"delta"},
    ("losses", "SparseCategoricalCrossentropy"): {"axis"},
    ("metrics", "CosineSimilarity"): {"axis"},
    ("metrics", "SparseTopKCategoricalAccuracy"): {"from_sorted_ids"},
    ("initializers", "Identity"): {"gain"},
}
# (family, class, key): why the value is another one
OTHER_VALUES = {
    ("layers", "Lambda", "function"): "Keras writes the name alone, here the module stands beside it",
    ("metrics", "MeanMetricWrapper", "fn"): "Keras writes the name alone, here the module stands beside it",
    ("layers", "RandomCrop", "seed"): "drawn",
    ("layers", "SpatialDropout1D", "dtype"): "one form for all layers; both are read",
    ("layers", "SpatialDropout2D", "dtype"): "one form for all layers; both are read",
    ("regularizers", "L1", "l1"): "Keras rounds to float32",
    ("regularizers", "OrthogonalRegularizer", "factor"): "Keras rounds to float32",
}


def plain(config):
    """As it would stand in a file."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(config)))


def family_module(family):
    return keras.optimizers.schedules if family == "optimizers.schedules" else getattr(keras, family)


def test_every_class_has_its_entry():
    for family in constructors.FAMILIES:
        classes = constructors.classes(keras, family)
        missing = [
            name
            for name, cls in classes.items()
            if constructors.needs_arguments(cls) and name not in constructors.ARGUMENTS[family]
        ]
        assert not missing, f"{family}: no arguments in constructors.py for {missing}"
        assert set(constructors.ARGUMENTS[family]) <= set(classes)
        assert set(classes) == set(RECORDED[family]), "run tests/fixtures/make_keras_configs.py"
    assert set(constructors.INPUTS) <= set(LAYERS)


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_configuration_is_keras_s(family, name):
    config = constructors.make(keras, family, name).get_config()
    wanted = RECORDED[family][name]
    assert set(config) - FORGOTTEN_BY_KERAS.get((family, name), set()) == set(wanted)
    here = plain(config)
    for key, value in wanted.items():
        if (family, name, key) not in OTHER_VALUES:
            assert here[key] == value, key


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_configuration_comes_back(family, name):
    thing = constructors.make(keras, family, name)
    config = plain(thing.get_config())
    again = type(thing).from_config(thing.get_config())
    assert type(again) is type(thing) and plain(again.get_config()) == config
    from_file = type(thing).from_config(copy.deepcopy(config))
    assert plain(from_file.get_config()) == config


@pytest.mark.parametrize(("family", "name"), [pair for pair in EVERY if pair[0] != "dtype_policies"])
def test_serialize_and_deserialize(family, name):
    module, thing = family_module(family), constructors.make(keras, family, name)
    described = json.loads(json.dumps(module.serialize(thing)))
    again = module.deserialize(described)
    assert type(again) is type(thing)
    assert plain(again.get_config()) == plain(thing.get_config())
    whole = keras.saving.deserialize_keras_object(plain(thing))
    assert type(whole) is type(thing) and plain(whole.get_config()) == plain(thing.get_config())


@pytest.mark.parametrize("way", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
@pytest.mark.parametrize(("family", "name"), EVERY)
def test_copies_and_pickles(family, name, way):
    thing = constructors.make(keras, family, name)
    again = way(thing)
    assert again is not thing and type(again) is type(thing)
    assert plain(again.get_config()) == plain(thing.get_config())


def inputs_of(name):
    rng = np.random.RandomState(3)
    if name in constructors.INTEGERS:
        return [rng.randint(0, constructors.INTEGERS[name], (2, 5))]
    return [
        rng.rand(*shape).astype("float32") for shape in constructors.INPUTS.get(name, constructors.IMAGES)
    ]


def called(name, layer):
    values = inputs_of(name)
    if name.startswith("Random") or name in ("AugMix", "MixUp", "CutMix", "RandAugment"):
        return [np.array(layer(values[0], training=False))]
    if name in constructors.CELLS:
        outputs = layer(values[0][:, 0, 0], layer.get_initial_state(batch_size=2))
    elif name in constructors.APART:
        outputs = layer(*values)
    else:
        outputs = layer(values[0] if len(values) == 1 else values)
    return [np.array(output) for output in keras.tree.flatten(outputs)]


@pytest.mark.parametrize("name", LAYERS)
def test_a_rebuilt_layer_computes_the_same(name):
    layer = constructors.make(keras, "layers", name)
    wanted = called(name, layer)
    rng = np.random.RandomState(5)
    values = [
        rng.rand(*weight.shape).astype(weight.dtype) if weight.dtype.kind == "f" else weight
        for weight in layer.get_weights()
    ]
    layer.set_weights(values)
    wanted = called(name, layer)
    rebuilt = keras.layers.deserialize(plain(layer))
    if not rebuilt.built:
        called(name, rebuilt)
    rebuilt.set_weights(layer.get_weights())
    for again in (rebuilt, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert [weight.shape for weight in again.get_weights()] == [weight.shape for weight in values]
        for got, value in zip(called(name, again), wanted, strict=True):
            np.testing.assert_array_equal(got, value)


def test_metrics_are_copied_with_their_state():
    metric = keras.metrics.MeanSquaredError()
    metric.update_state([[1.0], [2.0]], [[2.0], [4.0]])
    for again in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert float(again.result()) == 2.5
        again.update_state([[0.0]], [[0.0]])
    assert float(metric.result()) == 2.5
    assert float(type(metric).from_config(metric.get_config()).result()) == 0.0


@pytest.mark.parametrize("module", [keras.activations, keras.losses, keras.metrics])
def test_functions_by_name(module):
    names = ["relu", "gelu"] if module is keras.activations else ["mean_squared_error", "huber"]
    for name in names:
        function = getattr(module, name)
        described = module.serialize(function)
        assert module.deserialize(json.loads(json.dumps(described))) is function
        if module is not keras.metrics:  # there the name stands for the class
            assert module.get(name) is function


@pytest.mark.parametrize("way", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_callbacks_are_copied(way, tmp_path):
    made = {
        "BackupAndRestore": [tmp_path / "backup"],
        "CSVLogger": [tmp_path / "log.csv"],
        "EarlyStopping": [],
        "LearningRateScheduler": [_half],
        "ModelCheckpoint": [str(tmp_path / "model.keras")],
        "ReduceLROnPlateau": [],
        "TerminateOnNaN": [],
        "History": [],
    }
    for name, arguments in made.items():
        thing = getattr(keras.callbacks, name)(*map(str_or_function, arguments))
        assert type(way(thing)) is type(thing)


def str_or_function(value):
    return value if callable(value) else str(value)


def _half(epoch, rate):
    return rate / 2
