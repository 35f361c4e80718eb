from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from claims.alignment import ABSENT, FOLLOWS, NO_WORD
from claims.errors import VerifierWeightsError
from claims.verifier import CrossVerifier, Network, encode, load_verifier
from llava_model.kits import shipped_weights

TEXT = "[PAD] [CLS] [SEP] [UNK] the tank holds weighs 1 . 8 litres 62 kg Anna owes Ben 50 euros"
WORDS = TEXT.split()
PAIRS = [
    ("The tank holds 1.8 litres", "the tank holds 1.8 litres ."),
    ("Anna owes Ben 50 euros", "Ben owes Anna 50 euros"),
    ("the tank weighs 62 kg " * 40, "the tank weighs 62 kg " * 40),
    ("", "the tank"),
]
CONFIG = '{"layers": 2, "rank": 2, "max_tokens": 32, "temperature": 1.0}'


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of three layers with a tokenizer of whole words."""
    folder = tmp_path_factory.mktemp("embedder")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


def network(embedder: Path, *, layers: int = 2) -> Network:
    encoder = BertModel.from_pretrained(embedder, attn_implementation="eager")
    made = Network(encoder, layers=layers, rank=2).eval()
    torch.manual_seed(1)
    made.load_trained({name: torch.randn_like(value) / 4 for name, value in made.trained().items()})
    return made


@pytest.fixture
def weights(embedder: Path, tmp_path: Path) -> Path:
    file = tmp_path / "verifier.safetensors"
    save_file(network(embedder).trained(), file, metadata={"config": CONFIG})
    return file


def test_a_loaded_verifier_says_what_the_trained_network_said(embedder: Path, weights: Path) -> None:
    loaded = load_verifier(embedder, weights)
    trained = CrossVerifier(network(embedder), loaded._tokenizer, max_tokens=32)
    told = loaded.probabilities(PAIRS)
    assert told == pytest.approx(trained.probabilities(PAIRS), abs=0.05)  # the loaded one may compute in bfloat16
    assert all(0 <= value <= 1 for value in told) and loaded.probabilities([]) == []


def test_a_pair_is_told_the_same_alone_as_among_others(embedder: Path, weights: Path) -> None:
    loaded = load_verifier(embedder, weights)
    together = loaded.probabilities(PAIRS * 9)
    assert together[: len(PAIRS)] == pytest.approx([loaded.probabilities([pair])[0] for pair in PAIRS], abs=0.02)


def test_folding_the_learned_parts_into_the_layers_changes_nothing(embedder: Path) -> None:
    made = network(embedder)
    ids, marks, mask = torch.randint(3, len(WORDS), (2, 7)), torch.randint(0, 12, (2, 7)), torch.ones(2, 7)
    with torch.inference_mode():
        before = made.hidden(ids, marks, mask)
        made.merge()
        assert torch.allclose(made.hidden(ids, marks, mask), before, atol=1e-5)


def test_only_what_was_added_learns(embedder: Path) -> None:
    names = set(network(embedder).trained())
    assert all(name.endswith((".down", ".up")) or not name.startswith("encoder") for name in names)
    assert not any("layer.2" in name for name in names), "the third layer is not used"


def test_each_token_carries_its_word_s_mark(embedder: Path, weights: Path) -> None:
    tokenizer = load_verifier(embedder, weights)._tokenizer
    ids, marks, in_claim, mask, _ = encode([("the tank weighs 1.8", "the tank holds 1.8")], tokenizer, 32)
    claim = marks[0][in_claim[0]].tolist()
    assert claim[:3] == [FOLLOWS, FOLLOWS, ABSENT] and len(set(claim[3:])) == 1  # 1 . 8 are one number
    assert marks[0][0] == NO_WORD and ids.shape == marks.shape == mask.shape


def test_weights_of_another_embedder_are_named(embedder: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file(network(embedder, layers=1).trained(), file, metadata={"config": CONFIG})
    with pytest.raises(VerifierWeightsError, match=r"other\.safetensors"):
        load_verifier(embedder, file)
    file.write_bytes(b"no weights at all")
    with pytest.raises(VerifierWeightsError, match=r"other\.safetensors"):
        load_verifier(embedder, file)


def test_pairs_go_through_sixteen_at_a_time(embedder: Path, weights: Path) -> None:
    verifier, sizes = load_verifier(embedder, weights), list[int]()
    verifier._network.register_forward_hook(lambda module, given, out: sizes.append(len(out)))
    verifier.probabilities([("Anna owes Ben", "Ben owes Anna")] * 40)
    assert sizes == [16, 16, 8]


@pytest.mark.parametrize("words", [40, 20])
def test_a_claim_that_is_longer_than_the_window_is_cut(embedder: Path, weights: Path, words: int) -> None:
    """With a window of 32 tokens: a letter each is the most tokens that a text of its length can have."""
    (probability,) = load_verifier(embedder, weights).probabilities([("1 . " * words, "the tank " * 40)])
    assert 0 < probability < 1


def test_the_network_is_the_one_whose_weights_ship() -> None:
    shipped = shipped_weights("small").verifier
    assert shipped is not None
    with safe_open(str(shipped), framework="pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in ("word.weight", "word_marks.weight", "head.0.weight")]
    width = BertConfig(hidden_size=384, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=8)
    made = Network(BertModel(width), layers=1, rank=2)
    assert shapes == [list(each.shape) for each in (made.word.weight, made.word_marks.weight, made.head[0].weight)]
