"""Repositories of a model hub: a small stand-in for its client, then real formats from a local folder."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from llava_model.kits import Kit, find, install, verify
from llava_model.kits.definition import ComponentManifest, HubSource, load
from llava_model.kits.errors import ArchiveMismatchError, DownloadError, NotCachedError

COMMIT, NEWEST = "1" * 40, "2" * 40
WEIGHTS = b"weights" * 1000


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LLAVERO_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "kits"


class Hub:
    """Delivers the files of one repository; stops after `patience` of them, as a broken line would."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.patience = len(files)
        self.asked: list[str] = []

    def snapshot_download(self, *, repo_id: str, revision: str, local_dir: Path, allow_patterns: list[str]) -> str:
        import httpx

        self.asked.append(f"{repo_id}@{revision}")
        (local_dir / ".cache").mkdir(exist_ok=True)
        (local_dir / ".cache" / "notes.json").write_text("the client's own")
        for number, (path, content) in enumerate(sorted(self.files.items())):
            if number >= self.patience:
                raise httpx.ConnectError("[Errno -3] Temporary failure in name resolution")
            if any(Path(path).match(pattern) for pattern in allow_patterns) and not (local_dir / path).exists():
                (local_dir / path).parent.mkdir(parents=True, exist_ok=True)
                (local_dir / path).write_bytes(content)
        return str(local_dir)

    def model_info(self, repository: str) -> SimpleNamespace:
        self.asked.append(f"newest of {repository}")
        return SimpleNamespace(sha=NEWEST)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub({"config.json": b"{}", "model.safetensors": WEIGHTS, "pytorch_model.bin": b"pickle", "sub/a.json": b"[]"})
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    return hub


def write_kit(folder: Path, *, revision: str = f'revision = "{COMMIT}"', sha256: str = "") -> Kit:
    file = folder / "mine.toml"
    file.write_text(
        f"""
        name = "mine"
        title = "For tests"
        [[components]]
        name = "vision"
        format = "open_clip"
        licence = "MIT"
        size_bytes = 10000
        [components.source]
        repository = "some/where"
        {revision}
        [components.source.files]
        "*.json" = ""
        "model.safetensors" = "{sha256 or hashlib.sha256(WEIGHTS).hexdigest()}"
        """,
        encoding="utf-8",
    )
    return load(file)


def installed(kit: Kit) -> dict[str, bytes]:
    folder = kit.path("vision")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_wanted_files_are_installed_at_the_pinned_commit_and_no_others(
    hub: Hub, tmp_path: Path, home: Path
) -> None:
    kit = write_kit(tmp_path)
    install(kit)
    assert hub.asked == [f"some/where@{COMMIT}"]
    assert sorted(installed(kit)) == ["config.json", "manifest.json", "model.safetensors", "sub/a.json"]
    assert verify(kit) == () and not list((home / "downloads").iterdir())


def test_without_a_pinned_commit_the_newest_is_resolved_and_recorded(hub: Hub, tmp_path: Path) -> None:
    kit = write_kit(tmp_path, revision="")
    install(kit)
    assert hub.asked == ["newest of some/where", f"some/where@{NEWEST}"]
    manifest = ComponentManifest.read(kit.path("vision"))
    assert manifest is not None and manifest.commit == NEWEST


def test_a_broken_line_is_reported_and_the_next_run_goes_on_from_there(hub: Hub, tmp_path: Path, home: Path) -> None:
    kit = write_kit(tmp_path)
    hub.patience = 1
    with pytest.raises(DownloadError, match=r"some/where@11111111: .*name resolution") as failure:
        install(kit)
    assert "HF_HUB_OFFLINE" in failure.value.__notes__[0]
    (arrived,) = (home / "downloads").rglob("config.json")
    arrived.write_bytes(b'{"first": "run"}')
    hub.patience = 4
    install(kit)
    assert installed(kit)["config.json"] == b'{"first": "run"}'


def test_weights_with_another_hash_are_refused_and_thrown_away(hub: Hub, tmp_path: Path, home: Path) -> None:
    kit = write_kit(tmp_path, sha256="0" * 64)
    with pytest.raises(ArchiveMismatchError, match=r"model\.safetensors"):
        install(kit)
    assert not kit.is_installed() and not list(home.rglob("model.safetensors"))


def test_a_repository_without_a_wanted_file_is_reported(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(DownloadError, match=r"no model\.safetensors"):
        install(write_kit(tmp_path))


def test_offline_nothing_is_asked_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotCachedError, match="some/where"):
        install(write_kit(tmp_path), offline=True)
    assert hub.asked == []


def test_the_hubs_own_offline_switch_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError) as failure:
        install(write_kit(tmp_path))
    assert "HF_HUB_OFFLINE" in failure.value.__notes__[0]


@pytest.mark.parametrize("place", ["vision", "some/where"])
def test_a_local_folder_serves_as_the_repository_and_stays_untouched(tmp_path: Path, place: str) -> None:
    source = tmp_path / "source" / place
    source.mkdir(parents=True)
    (source / "config.json").write_bytes(b"{}")
    (source / "model.safetensors").write_bytes(WEIGHTS)
    kit = write_kit(tmp_path)
    install(kit, source=tmp_path / "source")
    assert (kit.path("vision") / "model.safetensors").stat().st_ino != (source / "model.safetensors").stat().st_ino
    assert verify(kit) == ()


def test_a_local_folder_without_the_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="neither 'vision' nor 'some/where'"):
        install(write_kit(tmp_path), source=tmp_path)


# The kits laptop and gpu, with small random checkpoints in the formats of theirs.


def save_tiny_llava(folder: Path) -> Path:
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**layers, image_size=28, patch_size=14),
        text_config=LlamaConfig(**layers, vocab_size=128),
        image_token_index=100,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    (folder / "tokenizer.model").write_bytes(b"sentencepiece")
    return folder


def save_tiny_clip(folder: Path) -> Path:
    import open_clip
    from safetensors.torch import save_file

    tiny: dict[str, Any] = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": tiny, "preprocess_cfg": {}}))
    save_file(
        {k: v.contiguous() for k, v in open_clip.CLIP(**tiny).state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_text("{}")
    return folder


def hub_half(name: str, folder: Path) -> Kit:
    """The kit as it is defined, reduced to what comes from a hub, with the files' hashes and sizes left open."""
    kit = find(name)
    text = (Path(__file__).parents[3] / "llava_model" / "kits" / f"{name}.toml").read_text()
    for component in kit.components:
        if isinstance(component.source, HubSource):
            for sha256 in filter(None, component.source.files.values()):
                text = text.replace(sha256, "")
    text = re.sub(r"size_bytes = \d+", "size_bytes = 1000000", text)  # of what the test puts there, on any disk
    head, *components = text.split("[[components]]")
    kept = [part for part in components if "repository = " in part]
    file = folder / f"{name}.toml"
    file.write_text("[[components]]".join([head, *kept]), encoding="utf-8")
    return load(file)


@pytest.mark.parametrize("name", ["laptop", "gpu"])
def test_small_checkpoints_of_the_same_formats_install_and_load(name: str, tmp_path: Path) -> None:
    import open_clip
    import torch
    from transformers import LlavaForConditionalGeneration

    source = tmp_path / "source"
    clip, llava = save_tiny_clip(source / "vision"), save_tiny_llava(source / "llava")
    if name == "gpu":  # its weights come in three pieces
        for number in (1, 2, 3):
            shutil.copy(llava / "model.safetensors", llava / f"model-0000{number}-of-00003.safetensors")
    kit = hub_half(name, tmp_path)
    install(kit, source=source)
    loaded = open_clip.create_model(f"local-dir:{kit.path('vision')}", require_pretrained=True)
    original = open_clip.create_model(f"local-dir:{clip}", require_pretrained=True)
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), original.state_dict().values(), strict=True)
    )
    if kit.name == "laptop":
        answer = LlavaForConditionalGeneration.from_pretrained(kit.path("llava"), local_files_only=True)
        assert answer.config.model_type == "llava"
    assert verify(kit) == ()
