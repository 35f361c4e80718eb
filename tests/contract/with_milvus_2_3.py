"""The contract tests against the real Milvus 2.3.5 that PyPI has, in a network namespace of its own (Linux, root).

    python tests/contract/with_milvus_2_3.py           # makes .venv-milvus-2.3 beside .venv, then needs no network

It is older than what Llavero asks for and has one vector field and no sparse ones: the `clip` channel alone is tested.
Its ports bind to every address, which nobody reaches in the namespace.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".venv-milvus-2.3"
PORT = 19530
SERVE = """
import signal, sys, time
from milvus import MilvusServer
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = MilvusServer()
server.set_base_dir(sys.argv[1])
server.listen_port = int(sys.argv[2])
server.start()
print("started", flush=True)
try:
    time.sleep(3600)
finally:
    server.stop()  # its process would go on without this one
"""


def main() -> int:
    """Outside of the namespace install, then go into it; there serve and test."""
    if os.environ.get("LLAVERO_IN_NAMESPACE") != "1":
        if not (PLACE / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "uv", "venv", "-q", str(PLACE)], check=True)
            python = str(PLACE / "bin" / "python")
            install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python, "milvus==2.3.5"]
            subprocess.run(install, check=True)
        inside = ["unshare", "-n", sys.executable, __file__]
        return subprocess.run(inside, env={**os.environ, "LLAVERO_IN_NAMESPACE": "1"}, check=False).returncode
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [str(PLACE / "bin" / "python"), "-c", SERVE, folder, str(PORT)], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        began = time.monotonic()
        if server.stdout.readline().strip() != "started":
            sys.exit("Milvus did not start")
        sys.stderr.write(f"Milvus 2.3.5 started in {time.monotonic() - began:.1f} s\n")
        tests = ["tests/indexing/store/test_contract.py", "tests/contract"]
        environment = {**os.environ, "LLAVERO_TEST_MILVUS_URI": f"http://127.0.0.1:{PORT}"}
        try:
            command = [sys.executable, "-m", "pytest", "-q", "-rs", "-k", "server", *tests]
            return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    sys.exit(main())
