"""docker/kubernetes against Kubernetes' own schema, and against what the product really listens to and reads."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ui import launch, logs, telemetry
from ui.page import gate
from ui.sign_in import SignIn

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker" / "kubernetes" / "llavero.yaml").read_text()
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(TEXT))
STARTED = (ROOT / "docker" / "start.sh").read_text()


def named(kind: str, name: str) -> dict[str, Any]:
    return next(each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name)


def container(name: str) -> dict[str, Any]:
    (found,) = named("Deployment", name)["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
def test_every_object_follows_the_published_schema(version: str) -> None:
    assert {each["kind"] for each in OBJECTS} == {
        "ConfigMap", "PersistentVolumeClaim", "Deployment", "Service", "NetworkPolicy"
    }  # fmt: skip
    for each in OBJECTS:
        kubernetes_validate.validate(each, version, strict=True)


def test_the_schema_check_can_fail() -> None:
    broken = named("Deployment", "ui") | {"spec": {"replicas": "one"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)


@pytest.mark.parametrize(("name", "port", "path"), [("ui", 8501, gate.HEALTH), ("api", 8765, "/health")])
def test_probes_ports_and_services_meet_what_the_part_listens_to(name: str, port: int, path: str) -> None:
    part = container(name)
    assert part["ports"] == [{"name": "http", "containerPort": port}] and part["args"] == [name]
    assert f":-{port}}}" in STARTED  # the port that the image's script takes by itself
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert (part[probe]["httpGet"]["path"], part[probe]["httpGet"]["port"]) == (path, "http")
    assert gate.HEALTH == launch.HEALTH_PATH
    service = named("Service", name)["spec"]
    assert service["ports"][0]["port"] == port and service["ports"][0]["targetPort"] == "http"
    assert service["selector"] == named("Deployment", name)["spec"]["selector"]["matchLabels"]
    assert service["selector"].items() <= named("Deployment", name)["spec"]["template"]["metadata"]["labels"].items()


def test_the_page_is_asked_under_a_name_that_it_goes_by() -> None:
    (header,) = container("ui")["livenessProbe"]["httpGet"]["httpHeaders"]
    assert header["name"] == "Host" and header["value"] in launch.hosts("0.0.0.0", {})


@pytest.mark.parametrize("name", ["ui", "api"])
def test_nothing_runs_as_root_or_writes_its_image_and_everything_has_a_limit(name: str) -> None:
    pod = named("Deployment", name)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
    assert "useradd --uid 10001" in (ROOT / "docker" / "Dockerfile").read_text()
    assert pod["automountServiceAccountToken"] is False
    part = container(name)
    assert part["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert set(part["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in part["volumeMounts"]} == volumes


@pytest.mark.parametrize("name", ["ui", "api"])
def test_one_process_owns_a_library_also_while_it_is_replaced(name: str) -> None:
    spec = named("Deployment", name)["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}


def test_secrets_come_by_reference() -> None:
    for name in ("ui", "api"):
        for variable in container(name)["env"]:
            if re.search("TOKEN|SECRET|PASSWORD", variable["name"]):
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "llavero"
    assert not re.search("TOKEN|SECRET|PASSWORD", "".join(named("ConfigMap", "llavero")["data"]))


def test_every_variable_is_one_that_the_product_reads() -> None:
    read = {"LLAVERO_MILVUS_URI", "LLAVERO_MILVUS_TOKEN", "LLAVERO_LIBRARY", "LLAVERO_HOME", launch.HOSTS_VARIABLE}
    read |= {logs.FORMAT_VARIABLE, logs.AUDIT_VARIABLE, telemetry.ENDPOINT}
    read |= {f"LLAVERO_SIGN_IN_{name.upper()}" for name in SignIn.__dataclass_fields__} - {"LLAVERO_SIGN_IN_SECRET"}
    read |= {"LLAVERO_SIGN_IN_CLIENT_SECRET"} | set(re.findall(r"\$\{(\w+):", STARTED))
    sources = "".join(file.read_text() for folder in ("ui", "llava_model") for file in (ROOT / folder).rglob("*.py"))
    named_here = set(re.findall(r"\b((?:LLAVERO|OTEL)_[A-Z_]+)\b", TEXT))
    assert len(named_here) > 10 and named_here <= read, named_here - read
    for each in named_here:
        part = each.removeprefix("LLAVERO_SIGN_IN_").lower() if "SIGN_IN" in each else each
        assert part in sources or each in STARTED, each


def test_the_network_lets_in_the_ports_that_there_are_and_nothing_of_the_whole_world() -> None:
    policy = named("NetworkPolicy", "llavero")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and all("from" in rule for rule in policy["ingress"])
    ports = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert ports == {8501, 8765}
    labels = policy["podSelector"]["matchLabels"].items()
    for name in ("ui", "api"):
        assert labels <= named("Deployment", name)["spec"]["template"]["metadata"]["labels"].items()
