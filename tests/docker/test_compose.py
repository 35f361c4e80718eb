"""docker-compose.yml against the compose schema, and the promises the README makes about it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def started(compose: dict[str, Any], profile: str) -> dict[str, Any]:
    return {name: s for name, s in compose["services"].items() if profile in s["profiles"]}


@pytest.mark.parametrize("name", ["docker-compose.yml", "docker/gpu.yml", "docker/api.yml"])
def test_the_file_follows_the_compose_schema(name: str) -> None:
    expanded = yaml.safe_dump(yaml.safe_load((ROOT / name).read_text()))  # merge keys resolved, as compose does
    assert PyCompose.from_yaml(expanded).service_names()


def test_the_schema_check_can_fail() -> None:
    with pytest.raises(Exception, match="port"):
        PyCompose.from_yaml("services: {page: {image: x, ports: [{target: [1]}]}}")


def test_only_the_page_is_published_and_only_on_this_machine(compose: dict[str, Any]) -> None:
    published = {name: s["ports"] for name, s in compose["services"].items() if s.get("ports")}
    assert published == {"page": ["127.0.0.1:8501:8501"], "page-lite": ["127.0.0.1:8501:8501"]}


def test_the_lite_profile_needs_neither_milvus_nor_its_stores(compose: dict[str, Any]) -> None:
    assert set(started(compose, "lite")) == {"page-lite"}
    assert "depends_on" not in started(compose, "lite")["page-lite"]


def test_the_full_profile_starts_in_order_of_health(compose: dict[str, Any]) -> None:
    services = started(compose, "full")
    assert set(services) == {"page", "milvus", "etcd", "minio"}
    assert set(services["page"]["depends_on"]) == {"milvus"}
    assert set(services["milvus"]["depends_on"]) == {"etcd", "minio"}
    for service in services.values():
        assert all(d == {"condition": "service_healthy"} for d in service.get("depends_on", {}).values())


def test_every_service_has_a_health_check(compose: dict[str, Any]) -> None:
    assert all("healthcheck" in service for service in compose["services"].values())


def test_no_password_has_a_default(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY", key):
                assert re.search(r"\$\{[A-Z_]+:\?", value), f"{key} must come from .env and fail without it"


def test_milvus_is_new_enough(compose: dict[str, Any]) -> None:
    tag = compose["services"]["milvus"]["image"].rpartition(":v")[2]
    assert tuple(map(int, tag.split("."))) >= (2, 6, 10)


def test_everything_that_must_outlive_a_container_is_in_a_named_volume(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        sources = {volume.split(":")[0] for volume in service["volumes"]}
        assert sources <= set(compose["volumes"])
    targets = {v.split(":")[1] for v in compose["services"]["page"]["volumes"]}
    environment = compose["services"]["page"]["environment"]
    assert targets == {environment["LLAVERO_LIBRARY"], environment["LLAVERO_HOME"]}


def test_make_env_writes_fresh_passwords_once_and_never_overwrites_them(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    script = tmp_path / "docker" / "make-env.sh"
    script.write_text((ROOT / "docker" / "make-env.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    written = (tmp_path / ".env").read_text()
    values = dict(line.split("=", 1) for line in written.splitlines())
    assert len(values["MINIO_PASSWORD"]) == 32 and values["MINIO_PASSWORD"] != values["MILVUS_ROOT_PASSWORD"]
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert subprocess.run(["sh", str(script)], check=False, capture_output=True).returncode == 1
    assert (tmp_path / ".env").read_text() == written
