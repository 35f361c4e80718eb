"""Text in encodings that nobody declares."""

import random
from pathlib import Path
from typing import Any

import charset_normalizer
import pytest
from charset_normalizer import CharsetMatches
from reading_doubles import read_here, words_of

from indexing.readers.encoding import decoded, guess_encoding

RUSSIAN = (
    "Зимой озеро замерзает, и рыбаки выходят на лёд с удочками. Городской музей открыт каждый день, кроме "
    "понедельника. Билеты можно купить в кассе."
)
POLISH = (
    "Zimą jezioro zamarza, a rybacy wychodzą na lód z wędkami. Muzeum miejskie jest otwarte codziennie oprócz "
    "poniedziałku. Bilety można kupić w kasie, uczniowie płacą połowę ceny. Źródło wody znajduje się na wzgórzu."
)
CZECH = (
    "V zimě jezero zamrzá a rybáři vycházejí na led s udicemi. Městské muzeum je otevřeno každý den kromě pondělí. "
    "Vstupenky lze koupit v pokladně, žáci platí polovinu."
)
JAPANESE = "冬になると湖は凍り、漁師たちは氷の上に出て釣りをします。市立博物館は月曜日を除いて毎日開いています。"
CHINESE = "冬天湖水结冰，渔民们在冰上钓鱼。市博物馆除星期一外每天开放。门票可以在售票处购买，学生可以享受半价优惠。"
KOREAN = "겨울이 되면 호수가 얼고 어부들은 얼음 위에서 낚시를 합니다. 시립 박물관은 월요일을 제외하고 매일 문을 엽니다."
WESTERN = {
    "German": "Im Winter gefriert der See. Das städtische Museum ist täglich außer montags geöffnet. Schüler zahlen "
    "die Hälfte – über die Brücke führt ein schöner Weg, für Fußgänger geöffnet. Größe: 5 €.",
    "French": "En hiver, le lac gèle et les pêcheurs sortent sur la glace. L’entrée coûte 5 €, à moitié prix pour les "
    "élèves. Où êtes-vous né ? Ça va très bien, déjà réglé.",
    "Spanish": "En invierno el lago se hiela. ¿Cuánto cuesta? El niño pagó con su tarjeta; la información está aquí, "
    "más allá del jardín, según el señor Muñoz, el último día. ¡Qué mañana tan fría!",
    "Portuguese": "No inverno o lago congela. O museu está aberto todos os dias, exceto às segundas. Informações não "
    "são úteis; a estação é próxima do coração. Amanhã há pão.",
    "Swedish": "På vintern fryser sjön och fiskarna går ut på isen. Stadens museum är öppet varje dag utom måndag. "
    "Biljetter köps i kassan, elever betalar hälften för åkturen på ön.",
    "Icelandic": "Á veturna frýs vatnið og sjómenn fara út á ísinn. Safnið er opið alla daga nema mánudaga. Það kostar "
    "þúsund krónur, börn fá afslátt.",
    "English": "The café’s “naïve” menu costs £5 – or €6 – and it’s all there… he said “no”, that’s it. The company’s "
    "résumé isn’t “déjà vu”; it’s a façade.",
}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("koi8_r", RUSSIAN),
        ("cp1251", RUSSIAN),
        ("iso8859_2", POLISH),
        ("cp1250", POLISH),
        ("iso8859_2", CZECH),
        ("shift_jis", JAPANESE),
        ("euc_jp", JAPANESE),
        ("gb18030", CHINESE),
        ("euc_kr", KOREAN),
    ],
)
def test_an_older_encoding_is_told_by_some_sentences(tmp_path: Path, encoding: str, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert words_of(read_here(path, tmp_path / "out").blocks) == text


@pytest.mark.parametrize("language", WESTERN)
def test_western_text_is_windows_1252(language: str) -> None:
    assert guess_encoding(WESTERN[language].encode("cp1252")) == "cp1252"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("cp1252", "Café Müller"), ("cp1252", "Größe 5 €"), ("koi8_r", "Привет"), ("cp1250", "Łódź"), ("gb18030", "北京")],
)
def test_a_few_characters_tell_nothing_and_count_as_windows_1252(encoding: str, text: str) -> None:
    assert guess_encoding(text.encode(encoding)) == "cp1252"


def test_a_mark_and_a_declaration_come_before_any_guess() -> None:
    assert decoded(b"\xef\xbb\xbf" + RUSSIAN.encode()) == RUSSIAN
    assert decoded(RUSSIAN.encode("utf-16")) == RUSSIAN
    page = f'<meta charset="iso-8859-5"><p>{RUSSIAN}</p>'
    assert decoded(page.encode("iso8859_5"), is_html=True) == page


def test_a_beginning_that_ends_inside_a_character_is_told_as_well() -> None:
    data = (JAPANESE * 700).encode("shift_jis")
    assert {guess_encoding(data[:size], whole=False) for size in (65_535, 65_536)} == {"cp932"}


@pytest.mark.parametrize("before", ["plain words of ascii\n" * 200_000, "plain words of ascii " * 200_000])
def test_of_a_large_file_the_telling_lines_alone_are_looked_at(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    real = charset_normalizer.from_bytes

    def from_bytes(sample: bytes, **options: Any) -> CharsetMatches:
        looked_at.append(len(sample))
        return real(sample, **options)

    monkeypatch.setattr("charset_normalizer.from_bytes", from_bytes)
    assert guess_encoding(before.encode() + (RUSSIAN * 900).encode("koi8_r")) == "koi8_r"
    assert [size < 2**15 for size in looked_at] == [True]


def test_bytes_without_meaning_stay_binary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(random.Random(0).randbytes(65_536))
    with pytest.raises(Exception, match="binary data of an unknown kind"):
        read_here(path, tmp_path / "out")
