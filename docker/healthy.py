"""Exit 0 when the page answers; what the containers' health checks run."""

import os
import sys
import urllib.request

url = f"http://127.0.0.1:{os.environ.get('LLAVERO_PORT', '8501')}/_stcore/health"
try:
    with urllib.request.urlopen(url, timeout=4) as response:
        sys.exit(0 if response.status == 200 else 1)
except OSError as error:
    sys.exit(f"{url}: {error}")
