import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from llava_model.data.samples import parse_sample
from recipes.pocket.clipart import Drawing, draw_held_out, write_clipart
from recipes.pocket.emoji import listed
from recipes.pocket.pictures import UnusablePictureError, on_white, png_size
from recipes.pocket.samples import caption, read_records, write_samples
from recipes.pocket.stamps import write_stamps


def picture(file: Path, colour: str, box: tuple[int, int, int, int] = (8, 8, 40, 40)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGBA", (64, 48))
    ImageDraw.Draw(image).rectangle(box, fill=colour)
    image.save(file)
    return file


def drawing(file: Path, title: str, artist: str, tags: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    bag = "".join(f"<rdf:li>{tag}</rdf:li>" for tag in tags)
    file.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><metadata xmlns:cc="http://web.resource.org/cc/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"<cc:Work><dc:title>{title}</dc:title><dc:subject><rdf:Bag>{bag}</rdf:Bag></dc:subject>"
        f"<dc:creator><cc:Agent><dc:title>{artist}</dc:title></cc:Agent></dc:creator></cc:Work></metadata></svg>",
        encoding="utf-8",
    )


def test_a_bomb_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 20990, 29700, 8, 6, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    assert png_size(tmp_path / "bomb.png") == (20990, 29700)
    with pytest.raises(UnusablePictureError, match="20990 x 29700"):
        on_white(tmp_path / "bomb.png")


def test_what_is_transparent_becomes_white_and_what_shows_nothing_is_refused(tmp_path: Path) -> None:
    shown = on_white(picture(tmp_path / "red.png", "red"))
    assert shown.getpixel((0, 0)) == (255, 255, 255) and shown.getpixel((20, 20)) == (255, 0, 0)
    with pytest.raises(UnusablePictureError, match="shows nothing"):
        on_white(picture(tmp_path / "white.png", "white"))


def test_a_file_that_is_no_png_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UnusablePictureError, match=r"a\.png"):
        on_white(tmp_path / "a.png")


def test_two_samples_of_one_id_are_refused_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    samples = [caption("one", tmp_path / "a.png", "a cat")] * 2
    with pytest.raises(ValueError, match="'one'"):
        write_samples(tmp_path / "train.jsonl", samples)
    assert not (tmp_path / "train.jsonl").exists()


def test_clip_art_becomes_captions_with_tags_and_a_series_stays_on_one_side(tmp_path: Path) -> None:
    colours = ["red", "green", "blue", "black", "orange", "purple"]
    titles = ["Cat 01", "Cat 02", "Dog", "Apple", "Horse", "Gatto"]
    for place, (title, colour) in enumerate(zip(titles, colours, strict=True)):
        name = f"animals/{title.lower().replace(' ', '_')}"
        picture(tmp_path / f"png/{name}.png", colour, (4 * place, 4, 20 + 6 * place, 44))
        drawing(tmp_path / f"svg/{name}.svg", title, f"Artist {'one' if 'Cat' in title else place}", ["pet"])
    words = frozenset({"cat", "dog", "apple", "horse", "pet", "animal"})
    out = tmp_path / "out"
    out.mkdir()
    made = write_clipart(tmp_path / "png", tmp_path / "svg", out, words, held_out=2)
    records = {name: read_records(out / f"{name}.jsonl") for name in made}
    groups = {name: {record["group"] for record in found} for name, found in records.items()}
    assert not groups["train"] & groups["held_out"] and made["held_out"] == 2
    assert [parse_sample(r, root=out, position=1).id for r in records["other_language"]] == ["clipart-animals/gatto"]
    assert all("pet" in record["tags"] for record in records["train"])


def test_the_held_out_draw_repeats_itself_and_says_when_there_is_too_little(tmp_path: Path) -> None:
    names = ["cat", "dog", "cow", "owl", "bat"]
    drawings = [
        Drawing(name=name, file=tmp_path, text=name, own_title=True, english=True, file_text=name) for name in names
    ]
    assert draw_held_out(drawings, range(5), 3) == draw_held_out(drawings, range(5), 3)
    with pytest.raises(ValueError, match=r"6 drawings.*only 5"):
        draw_held_out(drawings, range(5), 6)


def test_a_stamp_is_described_by_its_first_line_and_symbols_are_left_out(tmp_path: Path) -> None:
    for name in ("animals/cat", "symbols/a"):
        picture(tmp_path / f"stamps/{name}.png", "red").with_suffix(".txt").write_text("A cat.\nde.utf8=Eine Katze.\n")
    (tmp_path / "out").mkdir()
    assert write_stamps(tmp_path / "stamps", tmp_path / "out") == {"test": 1}
    record = json.loads((tmp_path / "out/test.jsonl").read_text())
    assert record["messages"][1]["content"] == "A cat."


def test_emoji_are_named_by_unicode_without_skin_tones(tmp_path: Path) -> None:
    (tmp_path / "emoji-test.txt").write_text(
        "# subgroup: animal-mammal\n1F408 ; fully-qualified     # 🐈 E0.7 cat\n"
        "1F44B 1F3FB ; fully-qualified     # 👋🏻 E1.0 waving hand: light skin tone\n"
        "# subgroup: country-flag\n1F1FE 1F1EA ; fully-qualified     # 🇾🇪 E2.0 flag: Yemen\n",
        encoding="utf-8",
    )
    found = list(listed(tmp_path / "emoji-test.txt", {"🐈": ("cat", "pet")}))
    assert [(one.codes, one.name, one.tags) for one in found] == [
        ("1f408", "cat", ("cat", "pet")),
        ("1f1fe-1f1ea", "yemen flag", ()),
    ]
