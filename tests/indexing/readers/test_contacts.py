import base64
from io import BytesIO
from pathlib import Path

from PIL import Image
from reading_doubles import read_here

CARDS = """BEGIN:VCARD
VERSION:3.0
N:Farrow;Ottoline;;Dr.;
FN:Dr. Ottoline Farrow
ORG:Mill & Sons;Repairs
TEL;TYPE=WORK,VOICE:+44 20 1234
item1.EMAIL;type=INTERNET:o@example.org
item1.X-ABLabel:Work
ADR;TYPE=home:;;12 Canal Street;Bath;;BA1;UK
BDAY:1958-02-03
NOTE:Has the key\\, and a dog.
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=
=B6rg
TEL;CELL:0171 99
END:VCARD
"""


def test_a_card_stands_under_its_name_with_numbers_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "friends.vcf").write_text(CARDS)
    assert [block.text for block in read_here(tmp_path / "friends.vcf", tmp_path / "out").blocks] == [
        "Dr. Ottoline Farrow",
        "Organisation: Mill & Sons, Repairs",
        "Telephone (work): +44 20 1234",
        "E-mail: o@example.org",
        "Address (home): 12 Canal Street, Bath, BA1, UK",
        "Birthday: 1958-02-03",
        "Note: Has the key, and a dog.",
        "Jörg Müller",
        "Telephone (cell): 0171 99",
    ]


def test_the_photograph_in_a_card_is_a_figure(tmp_path: Path) -> None:
    file = BytesIO()
    Image.new("RGB", (200, 160), "navy").save(file, "PNG")
    letters = base64.b64encode(file.getvalue()).decode()
    lines = "\n ".join(letters[start : start + 70] for start in range(0, len(letters), 70))
    (tmp_path / "a.vcf").write_text(f"BEGIN:VCARD\nFN:Ann\nPHOTO;ENCODING=b;TYPE=PNG:{lines}\nEND:VCARD\n")
    blocks = read_here(tmp_path / "a.vcf", tmp_path / "out").blocks
    assert [(block.kind, block.text or block.caption) for block in blocks] == [
        ("heading", "Ann"), ("figure", "photo of Ann"),
    ]  # fmt: skip
