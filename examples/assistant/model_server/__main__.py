"""`python3 -m model_server`: serves on $PORT (8000), with $MODEL_REQUESTS_PER_MINUTE (0 is no limit)."""

import os
import signal
import sys

from .faults import Faults
from .server import make_server

faults = Faults(int(os.environ.get("MODEL_REQUESTS_PER_MINUTE", "0")))
server = make_server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), faults)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(f"model: serving on port {server.server_port}", flush=True)
server.serve_forever()
