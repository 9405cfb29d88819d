"""`cnnexplain explain`: files, folders and globs, classes, and everything that it writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import answers, clothes
from PIL import Image

import cnnexplain as cx
from cnnexplain import cli, demo, keras
from cnnexplain.cli import networks, pictures, sheet, views


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def size(path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


class TestPictures:
    def test_a_folder_with_a_damaged_file(self, here, capsys):
        images = clothes(here / "in" / "deeper", 4, damaged=True)
        assert cli.main(["explain", "lecture", "in", "--batch-size", "3"]) == 1
        out, error = capsys.readouterr()
        assert error == "cnnexplain: in/deeper/damaged.png: damaged, or no picture\n"
        names = demo.load_network().class_names
        for place, p in enumerate(answers(images)):
            best = int(p.argmax())
            assert f"in/deeper/{place}.png: {names[best]} (class {best}), probability {p[best]:.3f}" in out
        written = {path.name for path in (here / "explanations").iterdir()}
        assert written == {*(f"{i}.png" for i in range(4)), "contact-sheet.png"}
        assert size("explanations/contact-sheet.png")[1] > size("explanations/0.png")[1]

    def test_one_picture(self, here, capsys):
        clothes(here, 1)
        assert cli.main(["explain", "lecture", "0.png"]) == 0
        assert capsys.readouterr().out.endswith("written: explanation.png\n")
        assert [path.name for path in here.iterdir() if path.name != "0.png"] == ["explanation.png"]
        assert size("explanation.png")[0] > 500

    def test_globs_folders_and_files_are_joined(self, here):
        clothes(here / "a", 2)
        clothes(here / "b" / "c", 2)
        (here / "b" / "notes.txt").write_text("no picture")
        found = pictures.find(["a/1.png", "a", "**/0.png", "b"])
        assert [path.as_posix() for path in found] == ["a/1.png", "a/0.png", "b/c/0.png", "b/c/1.png"]

    def test_files_of_one_name(self, here):
        for name in ("a", "b"):
            clothes(here / name, 1)
        assert cli.main(["explain", "lecture", "a", "b", "--out", "made"]) == 0
        assert {path.name for path in (here / "made").iterdir()} == {"0.png", "0-2.png", "contact-sheet.png"}

    @pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "I;16", "1", "CMYK"])
    def test_kinds_of_pictures(self, here, kind):
        image = clothes(here, 1)[0]
        grey = Image.fromarray(image)
        made = Image.fromarray(image.astype(np.uint16) * 257) if kind == "I;16" else grey.convert(kind)
        made.save("kind.tif")
        reader = pictures.Reader((28, 28, 1))
        fed = np.asarray(reader.read(here / "kind.tif").fed)
        assert not reader.failed and fed.shape == (28, 28)
        if kind not in ("1", "P", "CMYK", "I;16"):
            assert np.array_equal(fed, image)

    def test_a_photograph_from_a_phone_stands_upright(self, here):
        image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
        exif = image.getexif()
        exif[0x0112] = 6  # the top is at the right
        image.save("turned.png", exif=exif)
        turned = np.asarray(pictures.Reader((None, None, 1)).read(here / "turned.png").fed)
        assert np.array_equal(turned, np.rot90(np.asarray(image), -1))

    def test_a_network_that_takes_any_size(self, here, capsys):
        layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, activation="relu")]
        layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        model.preprocess = "none"
        model.save("any.keras")
        for place, shape in enumerate([(20, 30), (20, 30), (31, 17)]):
            pixels = np.random.default_rng(place).integers(0, 256, (*shape, 3), np.uint8)
            Image.fromarray(pixels).save(f"{place}.png")
        assert cli.main(["explain", "any.keras", "0.png", "1.png", "2.png", "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["pictures"]) == 3


class TestWhatIsTold:
    def test_json_has_what_the_network_and_the_method_give(self, here, capsys):
        images = clothes(here / "in", 3)
        arguments = ["explain", "lecture", "in", "--json", "--method", "layer_cam", "--layer", "conv2d_2"]
        assert cli.main([*arguments, "--out", "all.npz"]) == 0
        told = json.loads(capsys.readouterr().out)
        network = demo.load_network()
        p = answers(images)
        e = cx.explain.layer_cam(network, images / np.float32(255), layer="conv2d_2")
        assert told["model"] == "lecture" and told["layer"] == "conv2d_2" and told["written"] == ["all.npz"]
        assert told["cnnexplain"] == cx.__version__ and told["failed"] == [] and not told["interrupted"]
        for place, one in enumerate(told["pictures"]):
            assert one["file"] == f"in/{place}.png"
            assert [c["class_index"] for c in one["classes"]] == (-p[place]).argsort()[:5].tolist()
            assert [c["probability"] for c in one["classes"]] == pytest.approx(
                np.sort(p[place])[:-6:-1], abs=1e-6
            )
            (explained,) = one["explained"]
            assert explained["class_name"] == network.class_names[p[place].argmax()]
            assert explained["score"] == pytest.approx(e.score[place], rel=1e-5)
        with np.load("all.npz") as arrays:
            np.testing.assert_allclose(arrays["map"], e.map, atol=1e-5)
            assert np.array_equal(arrays["images"][..., 0], images)
            assert json.loads(str(arrays["about"]))["files"] == [f"in/{i}.png" for i in range(3)]

    def test_the_most_probable_classes(self, here, capsys):
        p = answers(clothes(here, 1))[0]
        assert cli.main(["explain", "lecture", "0.png", "--top", "3", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["pictures"][0]["explained"]
        assert [e["class_index"] for e in told] == (-p).argsort()[:3].tolist()
        wide = size("explanation.png")[0]
        assert cli.main(["explain", "lecture", "0.png", "--json"]) == 0
        assert wide == 2 * size("explanation.png")[0] - 10

    @pytest.mark.parametrize("text", ["7", "Sneaker", "sneaker"])
    def test_a_class_by_number_or_name(self, here, text, capsys):
        clothes(here, 1)
        assert cli.main(["explain", "lecture", "0.png", "--class", text]) == 0
        said = capsys.readouterr().out
        assert said.startswith("0.png: Sneaker (class 7), probability 0.0") and "; the network sees " in said

    def test_a_class_that_is_not_there(self, here, capsys):
        clothes(here, 1)
        assert cli.main(["explain", "lecture", "0.png", "--class", "Sneakers"]) == 2
        assert "near it are Sneaker (7)" in capsys.readouterr().err
        assert cli.main(["explain", "lecture", "0.png", "--class", "3", "--top", "2"]) == 2
        assert "leave out --class, or --top" in capsys.readouterr().err

    def test_one_sigmoid_unit_is_two_classes(self, here, capsys):
        model = keras.Sequential(
            [keras.Input((28, 28, 1)), keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()]
            + [keras.layers.Dense(1, activation="sigmoid")]
        )
        model.class_names = ("shoe", "shirt")
        model.save("two.keras")
        images = clothes(here, 2)
        p = model.predict(images[..., None].astype(np.float32), verbose=0)[:, 0]
        assert cli.main(["explain", "two.keras", "0.png", "1.png", "--preprocess", "none", "--json"]) == 0
        for one, expected in zip(json.loads(capsys.readouterr().out)["pictures"], p, strict=True):
            told = {c["class_name"]: c["probability"] for c in one["classes"]}
            assert told == pytest.approx({"shirt": expected, "shoe": 1 - expected}, abs=1e-5)

    def test_dark_pictures_on_a_light_ground(self, here, capsys):
        image = clothes(here, 1)[0]
        Image.fromarray(255 - image).save("light.png")
        assert cli.main(["explain", "lecture", "0.png"]) == 0
        expected = capsys.readouterr().out.split(": ", 1)[1]
        assert cli.main(["explain", "lecture", "light.png", "--invert"]) == 0
        assert capsys.readouterr().out.split(": ", 1)[1] == expected

    def test_notes_name_their_pictures(self, here, capsys):
        clothes(here, 2)
        Image.new("L", (28, 28)).save("black.png")
        assert cli.main(["explain", "lecture", "0.png", "black.png", "--method", "input_x_gradient"]) == 0
        note = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("note: "))
        assert "zero at every pixel" in note and note.endswith("(black.png)")


class TestWhatIsWritten:
    @pytest.mark.parametrize("name", ["e.png", "e.jpg", "e.svg", "e.pdf", "e.npz"])
    def test_one_picture(self, here, name):
        clothes(here, 1)
        assert cli.main(["explain", "lecture", "0.png", "--out", name]) == 0
        data = (here / name).read_bytes()
        begins = {"png": b"\x89PNG", "jpg": b"\xff\xd8", "svg": b"<?xml", "pdf": b"%PDF", "npz": b"PK"}[
            name[2:]
        ]
        assert data.startswith(begins)

    def test_several_pictures(self, here, capsys):
        clothes(here / "in", 3)
        assert cli.main(["explain", "lecture", "in", "--out", "sheet.pdf"]) == 0
        assert (here / "sheet.pdf").read_bytes().startswith(b"%PDF")
        assert cli.main(["explain", "lecture", "in", "--out", "sheet.svg"]) == 2
        assert ".svg is for one picture" in capsys.readouterr().err

    def test_full_pages_are_written_at_once(self, here):
        sheets = sheet.Sheets(here / "s.png", most=2)
        for count in range(5):
            sheets.add(Image.new("RGB", (100, 50), "red"))
            assert len(list(here.glob("s*.png"))) == max(0, count // 2)
        assert [path.name for path in sheets.close()] == ["s-1.png", "s-2.png", "s-3.png"]
        assert size("s-1.png") == (200, 50) and size("s-3.png") == (100, 50)

    def test_maps_have_the_photograph_s_proportions(self):
        e = cx.explain.grad_cam(demo.load_network(), np.eye(28, dtype=np.float32))[0]
        photo = views.photograph(Image.new("RGB", (400, 100)), 300)
        assert photo.size == (300, 75) == views.over(photo, e).size
        assert views.photograph(Image.new("L", (28, 14)), 300).size == (280, 140)

    def test_a_map_lies_where_it_is(self):
        e = cx.explain.grad_cam(demo.load_network(), np.eye(28, dtype=np.float32))[0]
        over = np.asarray(views.over(Image.new("RGB", (280, 280)), e), float).sum(2)
        row, column = np.unravel_index(over.argmax(), over.shape)
        peak = np.unravel_index(e.map.argmax(), e.map.shape)
        assert abs(row / 10 - peak[0]) <= 2 and abs(column / 10 - peak[1]) <= 2

    def test_long_names_are_cut_in_their_middle(self):
        font = sheet._font(15)
        cut = sheet._cut("a-very-long-name-of-a-picture.jpg", font, 120)
        assert font.getlength(cut) <= 120 and cut.startswith("a-v") and cut.endswith(".jpg") and "…" in cut
        assert sheet._cut("short", font, 120) == "short"


class TestNetworks:
    def test_names_in_any_spelling(self):
        assert networks.application("efficientnet-lite0") == "EfficientNetLite0"
        assert networks.application("resnet_50_v2") == "ResNet50V2" and networks.application("ResNet") is None

    def test_a_file_remembers_its_preprocessing(self, here, capsys):
        clothes(here, 1)
        network = demo.load_network()
        del network.facts
        network.save("bare.keras")
        assert cli.main(["explain", "bare.keras", "0.png"]) == 2
        assert "choose --preprocess, one of caffe" in capsys.readouterr().err
        assert cli.main(["explain", "bare.keras", "0.png", "--preprocess", "unit"]) == 0
        said = capsys.readouterr().out
        assert cli.main(["explain", "lecture", "0.png"]) == 0
        assert capsys.readouterr().out == said

    @pytest.mark.parametrize(
        "model, more, reason",
        [
            ("EficientNetLite0", [], "did you mean EfficientNetLite0?"),
            ("painting", [], "MODEL must be a file, lecture or a network"),
            ("gone.keras", [], "there is no file gone.keras"),
            ("0.png", [], "MODEL comes before the pictures, as in `lecture 0.png`"),
            ("1.png", [], "MODEL comes before the pictures, and there is no file 1.png"),
            ("AlexNet", [], "there are no ImageNet weights of AlexNet: give --weights FILE"),
            ("lecture", ["--weights", "none"], "--weights is for networks of keras.applications"),
            ("VGG16", ["--weights", "gone.h5"], "--weights must be imagenet, none or a file that exists"),
        ],
    )
    def test_wrong_models(self, here, model, more, reason, capsys):
        clothes(here, 1)
        assert cli.main(["explain", model, "0.png", *more]) == 2
        out, error = capsys.readouterr()
        assert not out and error.startswith("cnnexplain: ") and reason in error and error.count("\n") == 1

    def test_what_a_download_says_is_not_part_of_the_output(self, here, monkeypatch, capsys):
        def network(weights="imagenet"):
            assert weights == "imagenet"
            print("Downloading data from somewhere")
            return demo.load_network()

        clothes(here, 1)
        monkeypatch.setattr(keras.applications, "MobileNet", network, raising=False)
        assert cli.main(["explain", "MobileNet", "0.png", "--json"]) == 0
        out, error = capsys.readouterr()
        assert json.loads(out)["model"] == "MobileNet" and error == "Downloading data from somewhere\n"

    def test_a_network_of_two_inputs(self, here, capsys):
        a, b = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
        both = keras.layers.Flatten()(keras.layers.Add()([a, b]))
        keras.Model([a, b], keras.layers.Dense(2)(both)).save("two.keras")
        clothes(here, 1)
        assert cli.main(["explain", "two.keras", "0.png", "--preprocess", "none"]) == 2
        assert "models with one input of pictures" in capsys.readouterr().err
