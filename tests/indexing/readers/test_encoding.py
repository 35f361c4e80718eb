"""Text in encodings that nobody declares."""

import random
from pathlib import Path

import pytest
from reading_doubles import read_here, words_of

from indexing.readers import encoding as encoding_module
from indexing.readers.encoding import decoded, decoded_with_notes, guess_encoding
from indexing.readers.legacy_encoding import Guess, legacy_encoding

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


SHORT = [
    ("cp1252", "Café Müller"), ("cp1252", "Größe 5 €"), ("cp1252", "naïve “quoted” – it’s £5"),
    ("cp1252", "° 5 µm ± 2"),
    ("cp1252", "¿Cuánto cuesta? El niño"), ("cp1252", "smørrebrød på åen"), ("cp1252", "São Paulo não é a capital"),
    ("iso8859_15", "Preis: 5 € für Käse"), ("mac_roman", "Größe für Käse und Brötchen"),
    ("cp850", "Größe für Käse und Brötchen"),
    ("koi8_r", "Привет"), ("cp1251", "Привет"), ("cp866", "Привет"), ("cp1251", "СКЛАД № 5"), ("koi8_r", "СКЛАД"),
    ("iso8859_5", "Ключ от склада"), ("mac_cyrillic", "Ключ от склада у сторожа"), ("cp1251", "Київ їжа"),
    ("cp1250", "Łódź"), ("cp1250", "Škoda, Plzeň"), ("iso8859_2", "Příští týden přijde účetní"),
    ("cp852", "Příští týden přijde účetní"), ("cp1250", "Köszönöm, hűtő, őszi"),
    ("cp1250", "Şcoală în Bucureşti, ţară"),
    ("cp1253", "Το κλειδί της αποθήκης"), ("cp1253", "Αθήνα"),
    ("cp1254", "Işık ağaçları için yağmur, İstanbul'da güneş"),
    ("cp1255", "מפתח המחסן נמצא במגירה"), ("cp1256", "مفتاح المستودع في الدرج"),
    ("cp1257", "Raktai yra stalčiuje, šešėlis ąžuolas"), ("cp874", "กุญแจอยู่ในลิ้นชัก"),
    ("gb18030", "北京"), ("gb18030", "合同编号"), ("gb18030", "姓名,电话\n王小明,13800\n李丽,13900"),
    ("cp950", "臺北市"),
    ("cp950", "會議記錄\n倉庫的鑰匙放在二樓的藍色抽屜裡。"), ("cp932", "品名,価格\n万年筆,4800\n便箋,650"),
    ("cp932", "東京都"),
    ("cp932", "ありがとう"), ("cp932", "ﾃｽﾄ 商品ｺｰﾄﾞ"), ("euc_jp", "会議室の予約は三時です"), ("cp949", "서울"),
    ("cp949", "이름,가격\n연필,500"), ("iso2022_jp", "会議室の予約"), ("utf-16-le", "Ключ от склада"),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "text"), SHORT, ids=[f"{name}-{index}" for index, (name, _) in enumerate(SHORT)])
def test_a_few_words_tell_their_encoding_by_how_they_read(encoding: str, text: str) -> None:
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("encoding", "text", "is_told"),
    [
        ("cp1252", "Café Müller, Größe 5 €", False),
        ("cp1251", RUSSIAN, False),
        ("gb18030", CHINESE, False),
        ("cp949", "서울", True),
    ],
)
def test_a_guess_that_could_be_another_one_is_told(encoding: str, text: str, is_told: bool) -> None:
    notes = decoded_with_notes(text.encode(encoding)).notes
    assert [note.kind for note in notes] == ["encoding"] * is_told
    assert not any(note.unread for note in notes)


@pytest.mark.parametrize("text", [RUSSIAN, CZECH, CHINESE, "Grüße aus Köln für Käse"])
@pytest.mark.parametrize("at", [0.3, 1.0])
def test_a_file_with_a_damaged_byte_stays_utf_8_and_is_told(tmp_path: Path, text: str, at: float) -> None:
    """In the middle, or at the end, where a file was cut."""
    data = text.encode()
    place = int(len(data) * at)
    damaged = data[:place].decode(errors="ignore").encode() + b"\xff" + data[place:].decode(errors="ignore").encode()
    (tmp_path / "a.txt").write_bytes(damaged)
    reading = read_here(tmp_path / "a.txt", tmp_path / "out")
    assert words_of(reading.blocks).replace("\ufffd", "") == damaged.replace(b"\xff", b"").decode()
    assert [(note.kind, note.number) for note in reading.notes] == [("encoding", 1)]


@pytest.mark.parametrize(("encoding", "text"), [("gb18030", CHINESE), ("cp1251", RUSSIAN), ("cp932", JAPANESE)])
def test_an_older_encoding_with_a_damaged_byte_is_told_all_the_same(encoding: str, text: str) -> None:
    """Before a line break these are no characters."""
    damaged = {"cp1251": b"\x98\n", "gb18030": b"\xff\n", "cp932": b"\x85\n"}[encoding]
    found = decoded_with_notes(text.encode(encoding) + damaged)
    assert found.text.startswith(text)
    assert [(note.kind, note.number) for note in found.notes][-1] == ("encoding", 1)


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

    def counted(sample: bytes) -> Guess:
        looked_at.append(len(sample))
        return legacy_encoding(sample)

    monkeypatch.setattr(encoding_module, "legacy_encoding", counted)
    assert guess_encoding(before.encode() + (RUSSIAN * 900).encode("koi8_r")) == "koi8_r"
    assert [size < 2**14 for size in looked_at] == [True]


def test_bytes_without_meaning_stay_binary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(random.Random(0).randbytes(65_536))
    with pytest.raises(Exception, match="binary data of an unknown kind"):
        read_here(path, tmp_path / "out")
