"""Exit 0 when the page answers, or with the word `api` the interface; what the containers' health checks run."""

import os
import sys
import urllib.request

PORT, PATH = ("LLAVERO_API_PORT", "/health") if "api" in sys.argv[1:] else ("LLAVERO_PORT", "/_stcore/health")
url = f"http://127.0.0.1:{os.environ.get(PORT) or ('8765' if 'api' in sys.argv[1:] else '8501')}{PATH}"
try:
    with urllib.request.urlopen(url, timeout=4) as response:
        sys.exit(0 if response.status == 200 else 1)
except OSError as error:
    sys.exit(f"{url}: {error}")
