"""`python3 -m assistant`: serves on $PORT (8080). The model is at $OPENAI_BASE_URL, as all clients of OpenAI read it
and as Trunkline's gateway sets it, else at $MODEL_URL; its key is in $OPENAI_API_KEY or $MODEL_API_KEY."""

import json
import os
import signal
import sys
from pathlib import Path

from .answers import Assistant
from .chunks import read_folder
from .index import Index
from .model import Model
from .server import make_server


def main(folder: Path) -> None:
    prices = json.loads((folder / "models.lock").read_text())
    if base := os.environ.get("OPENAI_BASE_URL"):
        url, key = base.removesuffix("/v1"), os.environ.get("OPENAI_API_KEY", "")
    else:
        url, key = os.environ.get("MODEL_URL", "http://127.0.0.1:8000"), os.environ.get("MODEL_API_KEY", "")
    model = Model(url, key, prices, tries=8)
    index = Index(read_folder(folder / "knowledge"), model.embed)
    assistant = Assistant(index, model, (folder / "prompts" / "answer.md").read_text())
    server = make_server(("0.0.0.0", int(os.environ.get("PORT", "8080"))), assistant)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"assistant: serving {len(index.chunks)} passages on port {server.server_port}", flush=True)
    server.serve_forever()


main(Path(__file__).resolve().parent.parent)
