import json
import os
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from assistant.answers import Assistant  # noqa: E402
from assistant.chunks import read_folder  # noqa: E402
from assistant.index import Index  # noqa: E402
from assistant.model import Model  # noqa: E402
from model_server.server import make_server  # noqa: E402

# The code is tested with a prompt of its own; whether the real one is good is for the eval to say.
PROMPT = """Answer from the passages in one sentence, and cite its number. Else say: I do not know.

---
{passages}

Question: {question}
"""


def serve(server):
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="session")
def prices():
    return json.loads((ROOT / "models.lock").read_text())


@pytest.fixture(scope="session")
def model_url():
    """The model server: the one at $MODEL_URL if there is one, else one of our own."""
    if os.environ.get("MODEL_URL"):
        yield os.environ["MODEL_URL"]
        return
    server = make_server(("127.0.0.1", 0))
    yield serve(server)
    server.shutdown()


@pytest.fixture
def model(model_url, prices):
    return Model(model_url, "test-key", prices, sleep=lambda seconds: None)


@pytest.fixture
def assistant(model):
    index = Index(read_folder(ROOT / "knowledge"), model.embed)
    return Assistant(index, model, PROMPT)
