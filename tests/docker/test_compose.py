"""docker-compose.yml against the compose schema, and the promises the README makes about it."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

sys.path.insert(0, str(Path(__file__).parent))
from compose_process import started as as_a_process

ROOT = Path(__file__).parents[2]
FILES = ["docker-compose.yml", "docker/gpu.yml", "docker/api.yml", "docker/sign-in.yml"]
OURS = ("ui", "ui-lite", "ui-gpu", "api")
UNCHECKED = {"owner": "ends at once", "tempo": "its image holds no other program"}
ROOTS = {"owner": "gives volumes away", "vllm": "its image is made for root"}
WRITABLE = {"vllm": "it compiles for the card that it finds"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def started(compose: dict[str, Any], profile: str) -> dict[str, Any]:
    return {name: s for name, s in compose["services"].items() if profile in s["profiles"]}


@pytest.mark.parametrize("name", FILES)
def test_the_file_follows_the_compose_schema(name: str) -> None:
    filled_in = re.sub(r"\$\{\w+:[-?]([^}]*)\}", r"\1", (ROOT / name).read_text())  # as compose does before it looks
    expanded = yaml.safe_dump(yaml.safe_load(filled_in))  # merge keys resolved
    assert PyCompose.from_yaml(expanded).service_names()


def test_the_schema_check_can_fail() -> None:
    with pytest.raises(Exception, match="port"):
        PyCompose.from_yaml("services: {page: {image: x, ports: [{target: [1]}]}}")


@pytest.mark.parametrize("name", FILES[1:])
def test_what_is_added_belongs_to_services_that_there_are(name: str, compose: dict[str, Any]) -> None:
    added = yaml.safe_load((ROOT / name).read_text())
    assert set(added["services"]) <= set(compose["services"])
    known = set(compose["secrets"]) | set(added.get("secrets", {}))
    assert all(set(service.get("secrets", ())) <= known for service in added["services"].values())


def test_the_page_alone_is_published_and_only_on_this_machine(compose: dict[str, Any]) -> None:
    published = {name: s["ports"] for name, s in compose["services"].items() if s.get("ports")}
    page, asked_for = ["127.0.0.1:8501:8501"], {"api": ["127.0.0.1:8765:8765"], "grafana": ["127.0.0.1:3000:3000"]}
    assert published == {"ui": page, "ui-lite": page, "ui-gpu": page, **asked_for}
    assert compose["services"]["api"]["profiles"] == ["api"]
    assert compose["services"]["grafana"]["profiles"] == ["observability"]


def test_the_lite_profile_needs_neither_milvus_nor_its_stores(compose: dict[str, Any]) -> None:
    for profile, name in (("lite", "ui-lite"), ("gpu", "ui-gpu"), ("api", "api")):
        assert set(started(compose, profile)) == {name}
        assert "depends_on" not in compose["services"][name]


def test_the_full_profile_starts_in_order_of_health(compose: dict[str, Any]) -> None:
    services = started(compose, "full")
    assert set(services) == {"ui", "milvus", "etcd", "minio", "owner"}
    needs = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    assert needs["ui"] == {"milvus"} and needs["milvus"] == {"owner", "etcd", "minio"}
    assert needs["etcd"] == needs["minio"] == {"owner"} and not needs["owner"]
    for service in services.values():
        for name, needed in service.get("depends_on", {}).items():
            ended = "service_completed_successfully" if name == "owner" else "service_healthy"
            assert needed == {"condition": ended}


def test_every_profile_that_is_promised_is_there(compose: dict[str, Any]) -> None:
    profiles = {profile for service in compose["services"].values() for profile in service["profiles"]}
    assert profiles == {"full", "lite", "gpu", "api", "vllm", "observability"}


def test_every_service_has_a_health_check_and_limits(compose: dict[str, Any]) -> None:
    assert {name for name, service in compose["services"].items() if "healthcheck" not in service} == set(UNCHECKED)
    for name, service in compose["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name


def test_nothing_runs_as_root_writes_its_image_or_gains_rights(compose: dict[str, Any]) -> None:
    assert re.search("^USER llavero$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    for name, service in compose["services"].items():
        runs_as_root = name not in OURS and service.get("user", "0").split(":")[0] == "0"
        assert runs_as_root == (name in ROOTS), name
        assert bool(service.get("read_only")) == (name not in WRITABLE), name
        assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged") and (name == "owner" or "cap_add" not in service), name


def test_no_secret_stands_in_a_variable_or_in_the_file(compose: dict[str, Any]) -> None:
    for name in FILES:
        for service in yaml.safe_load((ROOT / name).read_text())["services"].values():
            for key, value in service.get("environment", {}).items():
                if re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|_KEYS", key):
                    assert value.startswith("/run/secrets/"), f"{key} must name a file"
    for secret in compose["secrets"].values():
        assert secret["file"].startswith(("./docker/secrets/", "./docker/keys.json"))
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "docker/secrets/" in ignored and "docker/keys.json" in ignored


def test_every_file_that_is_mounted_is_there(compose: dict[str, Any]) -> None:
    assert all((ROOT / config["file"]).is_file() for config in compose["configs"].values())


def test_milvus_is_new_enough(compose: dict[str, Any]) -> None:
    tag = compose["services"]["milvus"]["image"].rpartition(":v")[2]
    assert tuple(map(int, tag.split("."))) >= (2, 6, 10)


def test_everything_that_must_outlive_a_container_is_in_a_named_volume(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        sources = {volume.split(":")[0] for volume in service.get("volumes", ()) if name != "vllm"}
        assert sources <= set(compose["volumes"])
    for name in OURS:
        targets = {v.split(":")[1] for v in compose["services"][name]["volumes"]}
        environment = compose["services"][name]["environment"]
        place = environment["LLAVERO_ROOT" if name == "api" else "LLAVERO_LIBRARY"]
        assert targets == {place, environment["LLAVERO_HOME"]}


def make_env(folder: Path) -> "subprocess.CompletedProcess[bytes]":
    (folder / "docker").mkdir(exist_ok=True)
    script = folder / "docker" / "make-env.sh"
    script.write_text((ROOT / "docker" / "make-env.sh").read_text())
    return subprocess.run(["sh", str(script)], check=False, capture_output=True)


def secrets_in(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (folder / "docker" / "secrets").iterdir()}


def test_make_env_writes_fresh_passwords_once_and_never_overwrites_them(
    tmp_path: Path, compose: dict[str, Any]
) -> None:
    assert make_env(tmp_path).returncode == 0
    written = secrets_in(tmp_path)
    assert len(written["minio_password"]) == 32 and written["minio_password"] not in written["milvus_token"]
    settings = yaml.safe_load(written["milvus.yaml"])
    assert settings["minio"]["secretAccessKey"] == written["minio_password"]
    assert settings["common"]["security"] == {
        "authorizationEnabled": True, "defaultRootPassword": written["milvus_token"].removeprefix("root:")
    }  # fmt: skip
    assert (tmp_path / "docker" / "secrets").stat().st_mode & 0o077 == 0
    assert (tmp_path / ".env").read_text() == "COMPOSE_PROFILES=full\n"
    assert make_env(tmp_path).returncode == 1
    assert secrets_in(tmp_path) == written
    made_by_hand = {"llavero_keys", "metrics_key"}
    assert {Path(s["file"]).name for n, s in compose["secrets"].items() if n not in made_by_hand} == set(written)


def test_passwords_of_an_earlier_release_are_kept(tmp_path: Path) -> None:
    earlier = "COMPOSE_PROFILES=lite\nMINIO_USER=ada\nMINIO_PASSWORD=one\nMILVUS_ROOT_PASSWORD=two\n"
    (tmp_path / ".env").write_text(earlier)
    assert make_env(tmp_path).returncode == 0
    written = secrets_in(tmp_path)
    assert (written["minio_user"], written["minio_password"], written["milvus_token"]) == ("ada", "one", "root:two")
    assert (tmp_path / ".env").read_text() == earlier


def variables(compose: dict[str, Any], name: str) -> dict[str, str]:
    """A service's environment as compose fills it in for somebody who has set nothing."""
    environment = compose["services"][name]["environment"]
    return {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for key, value in environment.items()}


@pytest.mark.slow
def test_the_page_starts_as_its_service_says_and_its_health_check_succeeds(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    with as_a_process(tmp_path, [], variables(compose, "ui-lite")) as (url, environment):
        assert environment["LLAVERO_LIBRARY"] == f"{tmp_path}/data/library"
        kubelets = urllib.request.Request(f"{url}/_stcore/health", headers={"Host": "localhost"})
        with urllib.request.urlopen(kubelets, timeout=30) as answer:
            assert answer.status == 200 and answer.headers["X-Request-ID"]


@pytest.mark.slow
def test_the_interface_starts_as_its_service_says_and_lets_in_who_has_a_key(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    make_key = ["key", "add", "ada", "--scope", "admin", "--keys", str(tmp_path / "secrets" / "llavero_keys")]
    made = subprocess.run(
        [sys.executable, "-m", "ui.cli.main", *make_key], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    service = compose["services"]["api"]
    with as_a_process(tmp_path, service["command"], variables(compose, "api")) as (url, _):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/metrics", timeout=30)
        key = {"Authorization": f"Bearer {made.stdout.strip()}"}
        body = json.dumps({"name": "boats"}).encode()
        asked = urllib.request.Request(
            f"{url}/v1/libraries", data=body, headers={**key, "Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=120) as answer:
            assert answer.status == 201
        with urllib.request.urlopen(urllib.request.Request(f"{url}/metrics", headers=key), timeout=30) as answer:
            assert b'llavero_library_files{library="boats"} 0.0' in answer.read()
    assert (tmp_path / "data" / "libraries" / "boats" / "llavero.toml").is_file()
    log = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert ("ada", "POST /v1/libraries", 201) in [
        (line.get("who"), line.get("what"), line.get("status")) for line in log
    ]
