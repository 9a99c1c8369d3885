"""Where the API is, for who is not told."""

import os

DEFAULT_URL = f"http://127.0.0.1:{os.environ.get('TENDRIL_PORT') or 8080}"
"""Where a system that was started in the same environment has it."""
