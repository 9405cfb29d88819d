"""Data sets: windows, padding, files, and elements that threads make ahead of time."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

import cnnexplain as tf
from cnnexplain import keras

Dataset = tf.data.Dataset
AUTOTUNE = tf.data.AUTOTUNE


def lists(dataset):
    return [np.asarray(item).tolist() for item in dataset]


def own_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("cnnexplain-")]


def assert_threads_end():
    deadline = time.monotonic() + 5
    while own_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert own_threads() == []


@pytest.fixture
def no_threads_left():
    """After the test no thread of a data set lives on."""
    yield
    gc.collect()
    assert_threads_end()


def slow(x):
    time.sleep(0.002)
    return x * 2


class TestSteps:
    def test_window(self):
        def windows(*arguments, **options):
            return [lists(w) for w in Dataset.range(7).window(*arguments, **options)]

        assert windows(3) == [[0, 1, 2], [3, 4, 5], [6]]
        assert windows(3, drop_remainder=True) == [[0, 1, 2], [3, 4, 5]]
        assert windows(3, 2, 1, True) == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
        assert windows(3, 1, 2, True) == [[0, 2, 4], [1, 3, 5], [2, 4, 6]]
        assert windows(2, 5) == [[0, 1], [5, 6]]
        for arguments in ((3,), (3, 2, 1, True), (3, 1, 2, True), (2, 5), (9, 1, 1, True)):
            dataset = Dataset.range(7).window(*arguments)
            assert len(dataset) == len(list(dataset))
        pairs = Dataset.zip((Dataset.range(4), Dataset.range(10, 14))).window(2)
        assert [(lists(a), lists(b)) for a, b in pairs] == [([0, 1], [10, 11]), ([2, 3], [12, 13])]
        series = Dataset.range(5).window(3, 1, drop_remainder=True).flat_map(lambda w: w.batch(3))
        assert lists(series.map(lambda w: (w[:-1], w[-1])).map(lambda x, y: y)) == [2, 3, 4]

    def test_padded_batch(self):
        ragged = Dataset.range(1, 4).map(lambda n: (tf.fill((int(n), 2), n), tf.ones(int(n))))
        x, y = next(iter(ragged.padded_batch(3)))
        assert x.shape == (3, 3, 2) and x.numpy()[1].tolist() == [[2, 2], [2, 2], [0, 0]]
        assert y.numpy().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
        x, y = next(iter(ragged.padded_batch(2, ([4, None], [-1]), (np.int64(-1), 7.0))))
        assert x.shape == (2, 4, 2) and x.numpy()[0, 1:].tolist() == [[-1, -1]] * 3
        assert y.numpy().tolist() == [[1, 7], [1, 1]]
        assert len(list(ragged.padded_batch(2, drop_remainder=True))) == 1
        with pytest.raises(ValueError, match="`padded_shapes` must not be less"):
            next(iter(ragged.padded_batch(3, ([2, 2], [None]))))
        with pytest.raises(ValueError, match="`padded_shapes` must have 2 dimensions"):
            next(iter(ragged.padded_batch(3, ([2], [None]))))

    def test_choosing(self):
        numbers = Dataset.range(6)
        assert lists(numbers.take_while(lambda x: x < 3)) == [0, 1, 2]
        assert lists(numbers.map(lambda x: x % 3).unique()) == [0, 1, 2]
        assert lists(numbers.scan(0, lambda s, x: (s + int(x), s + int(x)))) == [0, 1, 3, 6, 10, 15]
        assert lists(numbers.batch(2).rebatch(3)) == [[0, 1, 2], [3, 4, 5]]
        assert int(numbers.take(1).get_single_element()) == 0
        with pytest.raises(ValueError, match="must have one element"):
            numbers.get_single_element()
        mixed = Dataset.sample_from_datasets([numbers, Dataset.range(10, 13)], [0.5, 0.5], seed=1)
        assert sorted(lists(mixed)) == [0, 1, 2, 3, 4, 5, 10, 11, 12] and lists(mixed) == lists(mixed)
        assert lists(Dataset.random(seed=3).take(3)) == lists(Dataset.random(seed=3).take(3))
        assert lists(Dataset.counter(2, 3).take(3)) == [2, 5, 8]
        iterator = iter(numbers)
        assert int(iterator.get_next()) == 0 and int(next(iterator)) == 1

    def test_interleave(self):
        dataset = Dataset.range(1, 4).interleave(
            lambda x: Dataset.from_tensors(x).repeat(3), cycle_length=2, block_length=2, num_parallel_calls=2
        )
        assert lists(dataset) == [1, 1, 2, 2, 1, 2, 3, 3, 3]
        with pytest.raises(TypeError, match="must return a dataset"):
            list(Dataset.range(2).flat_map(lambda x: x))

    def test_list_files(self, tmp_path):
        for name in ("b.txt", "a.txt", "c.bin"):
            (tmp_path / name).write_text(name)
        found = list(Dataset.list_files(str(tmp_path / "*.txt"), shuffle=False))
        assert found == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
        assert sorted(Dataset.list_files([str(tmp_path / "*.bin"), str(tmp_path / "*.txt")])) == [
            *found,
            str(tmp_path / "c.bin"),
        ]
        with pytest.raises(ValueError, match="must match a file"):
            Dataset.list_files(str(tmp_path / "*.png"))

    def test_one_seed_orders_pictures_and_masks_alike(self):
        pictures = Dataset.range(40).shuffle(10, seed=3)
        masks = Dataset.range(40).map(lambda x: -x).shuffle(10, seed=3)
        for _ in range(2):
            assert all(int(a) == -int(b) for a, b in Dataset.zip((pictures, masks)))
        again = Dataset.range(40).shuffle(10, seed=3)
        first, second = lists(again), lists(again)
        assert first == lists(Dataset.range(40).shuffle(10, seed=3)) and first != second

    def test_wrong_arguments(self):
        with pytest.raises(TypeError, match="`map_func` must be a function"):
            Dataset.range(2).map(3)
        with pytest.raises(TypeError, match="unexpected keyword"):
            Dataset.range(2, step=3)
        with pytest.raises(ValueError, match="`weights` must hold 1"):
            Dataset.sample_from_datasets([Dataset.range(2)], [1, 2])


class TestErrors:
    @pytest.mark.parametrize("calls", [None, 3])
    @pytest.mark.parametrize("where", [1, 7])
    def test_a_map_function_s_error_names_the_element(self, calls, where, no_threads_left):
        broken = [True]

        def function(x):
            if int(x) == where and broken[0]:
                raise KeyError("no such thing")
            return slow(x)

        dataset = Dataset.range(12).map(function, num_parallel_calls=calls).prefetch(2)
        seen = []
        with pytest.raises(KeyError, match="no such thing") as caught:
            for x in dataset:
                seen.append(int(x))
        assert seen == [2 * k for k in range(where)]
        assert f"element {where} of the dataset" in "".join(traceback.format_exception(caught.value))
        broken[0] = False
        assert lists(dataset) == [2 * k for k in range(12)]

    def test_a_generator_s_error_names_the_element(self, no_threads_left):
        def generate():
            yield 1.0
            time.sleep(0.001)
            raise RuntimeError("out of paper")

        dataset = Dataset.from_generator(generate, output_signature=tf.TensorSpec((), "float32"))
        for _ in range(2):
            iterator = iter(dataset.prefetch(1))
            assert float(next(iterator)) == 1
            with pytest.raises(RuntimeError, match="out of paper") as caught:
                next(iterator)
            assert "element 1 of the dataset" in "".join(traceback.format_exception(caught.value))
            with pytest.raises(StopIteration):
                next(iterator)

    def test_a_batch_of_different_shapes_is_named(self):
        dataset = Dataset.range(1, 5).map(lambda n: tf.ones(1 if int(n) < 3 else int(n))).batch(2)
        with pytest.raises(ValueError, match="one shape") as caught:
            list(dataset)
        assert "batch 1 of the dataset" in "".join(traceback.format_exception(caught.value))


class TestThreads:
    def test_parallel_calls_keep_the_order_and_overlap(self, no_threads_left):
        active, most, lock = [0], [0], threading.Lock()

        def function(x):
            with lock:
                active[0] += 1
                most[0] = max(most[0], active[0])
            time.sleep(0.004)
            with lock:
                active[0] -= 1
            return x + 1

        dataset = Dataset.range(20).map(function, num_parallel_calls=4)
        assert lists(dataset) == list(range(1, 21))
        assert 2 <= most[0] <= 4

    def test_any_order_when_asked(self, no_threads_left):
        def function(x):
            time.sleep(0.05 if int(x) == 3 else 0.001)
            return x

        dataset = Dataset.range(12).map(function, num_parallel_calls=4, deterministic=False)
        found = lists(dataset)
        assert sorted(found) == list(range(12)) and found != sorted(found)

    def test_prefetch_reads_ahead(self, no_threads_left):
        made = []

        def function(x):
            time.sleep(0.002)
            made.append(int(x))
            return x

        iterator = iter(Dataset.range(20).map(function).prefetch(3))
        for k in range(4):
            assert int(next(iterator)) == k
        deadline = time.monotonic() + 5
        while len(made) < 7 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.02)
        assert 6 <= len(made) <= 8  # three wait, and no more

    def test_fast_elements_take_no_thread(self, no_threads_left):
        iterator = iter(Dataset.range(50).map(lambda x: x, num_parallel_calls=4).prefetch(2))
        next(iterator)
        for _ in range(40):
            assert int(next(iterator)) >= 0
        names = own_threads()
        assert len(names) <= 5  # none on an idle machine

    @pytest.mark.parametrize("end", ["break", "take", "forget", "interrupt", "close"])
    def test_an_iteration_that_is_left_ends_its_threads(self, end, no_threads_left):
        dataset = Dataset.range(1000).map(slow, num_parallel_calls=3).prefetch(4)
        if end == "take":
            assert len(lists(dataset.take(8))) == 8
        elif end == "forget":
            iterator = iter(dataset)
            for _ in range(8):
                next(iterator)
            assert own_threads()
            del iterator
        elif end == "interrupt":
            with pytest.raises(KeyboardInterrupt):
                for k, _ in enumerate(dataset):
                    if k == 8:
                        raise KeyboardInterrupt
        elif end == "close":
            loop = [dataset]
            loop.append(loop)  # a cycle, for the garbage collector
            loop.append(iter(dataset))
            for _ in range(8):
                next(loop[-1])
            del loop
        else:
            for k, _ in enumerate(dataset):
                if k == 8:
                    break

    def test_ctrl_c_does_not_wait_for_a_function_that_hangs(self, tmp_path):
        program = """
import os, signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
import cnnexplain as tf
from cnnexplain.data import threads
threads.PATIENCE = 0.1
released = threading.Event()
def function(x):
    if int(x) < 3:
        time.sleep(0.001)
    else:
        released.wait(60)
    return x
dataset = tf.data.Dataset.range(9).map(function, num_parallel_calls=2).prefetch(2)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    for x in dataset:
        pass
except KeyboardInterrupt:
    print("stopped", time.monotonic() - begin < 20)
released.set()
"""
        command = [sys.executable, "-c", program]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
        assert run.stdout == "stopped True\n" and run.stderr == ""

    def test_training_that_is_interrupted_ends_the_threads(self, no_threads_left):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.ones((400, 2), "float32")

        def prepared(x, y):
            time.sleep(0.001)
            return x, y

        dataset = Dataset.from_tensor_slices((x, x[:, :1])).map(prepared, 2).batch(4).prefetch(2)

        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 5:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            model.fit(dataset, verbose=0, callbacks=[Stop()])
        assert_threads_end()
        assert caught.tb  # which holds what `fit` held
        model.fit(dataset.take(3), verbose=0)

    @pytest.mark.parametrize("calls", [1, 2, 4])
    def test_random_numbers_do_not_depend_on_the_threads(self, calls, no_threads_left):
        layer = keras.layers.Dropout(0.5, seed=4)

        def function(x):
            time.sleep(0.0005 * (int(x) % 3))
            noise = tf.random.uniform((3,)) + tf.random.normal((3,), seed=7)
            return noise + layer(np.ones(3, "float32"), training=True)

        def draw():
            tf.random.set_seed(5)
            base = Dataset.range(12).shuffle(12)
            dataset = base.map(function, num_parallel_calls=calls if calls > 1 else None)
            return np.stack([np.asarray(item) for item in dataset.prefetch(3)])

        first, other = draw(), tf.random.uniform((1,))
        second, again = draw(), tf.random.uniform((1,))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(other, again)
        seeded = Dataset.range(12).map(lambda x: slow(tf.random.normal((1,), seed=7)), calls)
        assert len(np.unique(lists(seeded))) == 12  # another draw for each element

    def test_tapes_of_the_main_thread_are_left_alone(self, no_threads_left):
        v = tf.Variable(2.0)
        dataset = Dataset.range(10).map(lambda x: slow(tf.cast(x, tf.float32)) * v, 2).prefetch(2)
        with tf.GradientTape() as tape:
            total = sum(v * v for _ in dataset)
        assert float(tape.gradient(total, v)) == 40


class TestSequences:
    class Numbers(keras.utils.PyDataset):
        def __init__(self, count=12, wait=0.002, broken=None, **kwargs):
            super().__init__(**kwargs)
            self.count, self.wait, self.broken = count, wait, broken
            self.begins = self.ends = 0
            self.threads = set()

        def __len__(self):
            return self.count

        def __getitem__(self, index):
            time.sleep(self.wait)
            self.threads.add(threading.current_thread().name)
            if index == self.broken:
                raise OSError("disk full")
            return np.full((2, 1), index, "float32"), np.zeros((2, 1), "float32")

        def on_epoch_begin(self):
            self.begins += 1

        def on_epoch_end(self):
            self.ends += 1

    @pytest.fixture
    def model(self):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    @pytest.mark.parametrize("workers", [1, 3])
    def test_workers_keep_the_order(self, model, workers, no_threads_left):
        source = self.Numbers(workers=workers, max_queue_size=2)
        model.set_weights([np.ones((1, 1)), np.zeros(1)])
        np.testing.assert_array_equal(model.predict(source, verbose=0)[:, 0], np.repeat(np.arange(12), 2))
        model.fit(source, epochs=2, verbose=0)
        assert source.begins >= 2 and source.ends == 2
        assert (len(source.threads) > 1) == (workers > 1)

    def test_fit_shuffles_the_batches_unless_told_not_to(self, model):
        orders = []

        class Noted(self.Numbers):
            def __getitem__(self, index):
                orders.append(index)
                return super().__getitem__(index)

        source = Noted(wait=0)
        model.fit(source, verbose=0, shuffle=False)
        assert orders == list(range(12))
        orders.clear()
        model.fit(source, verbose=0)
        assert sorted(orders) == list(range(12)) and orders != list(range(12))

    @pytest.mark.parametrize("workers", [1, 3])
    def test_errors_surface(self, model, workers, no_threads_left):
        source = self.Numbers(workers=workers, broken=7)
        with pytest.raises(OSError, match="disk full") as caught:
            model.fit(source, verbose=0)
        assert "batch 7" in "".join(traceback.format_exception(caught.value))
        source.broken = None
        model.fit(source, verbose=0)

    def test_settings(self):
        source = self.Numbers(workers=2, use_multiprocessing=True, max_queue_size=3)
        assert (source.workers, source.use_multiprocessing, source.max_queue_size) == (2, True, 3)
        source.workers = 5
        assert source.workers == 5 and source.num_batches == 12

        class Forgetful(keras.utils.PyDataset):
            def __init__(self):
                pass

        with pytest.warns(UserWarning, match=r"should call `super\(\)"):
            assert Forgetful().workers == 1
        with pytest.raises(NotImplementedError, match="num_batches"):
            Forgetful().num_batches  # noqa: B018

    def test_a_user_s_generator_outlives_fit(self, model):
        x = np.ones((2, 1), "float32")

        def endless():
            while True:
                yield x, x

        source = endless()
        for _ in range(2):
            assert len(model.fit(source, steps_per_epoch=2, epochs=2, verbose=0).history["loss"]) == 2
        assert next(source)[0] is x
