"""Speaks the protocol of `bench/peer/llama.mjs`: an id a byte, one text for an answer, all ids equal.

python fake_peer.py TEXT [METHOD]     ends when asked to do METHOD
"""

from __future__ import annotations

import json
import math
import os
import sys

N_IDS = 300


class Peer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.cached: list[int] = []

    def load(self, **asked):
        if not asked["path"].endswith(".gguf"):
            raise ValueError("no such model")
        sizes = {name: asked[name] for name in ("threads", "context_tokens", "batch_tokens")}
        return {"load_ms": 1.0, "pid": os.getpid(), "system": "none", **sizes}

    def complete(self, token_ids, n_predict, stop_text, stop_ids, cache_reuse):
        n_reused = 0
        while self.cached[n_reused : n_reused + 1] == token_ids[:-1][n_reused : n_reused + 1] != []:
            n_reused += 1
        self.cached = token_ids
        end = self.text.find(stop_text) + len(stop_text) if stop_text and stop_text in self.text else None
        text = self.text[:end][:n_predict]
        times = dict.fromkeys(("prefill_ms", "decode_ms", "first_token_ms", "total_ms"), 1.0)
        drafts = {"drafts_accepted": 0, "drafts_refused": 0}
        tokens = {"reused_tokens": n_reused, "prefill_tokens": len(token_ids) - n_reused}
        return {"tokens": list(text.encode()), "text": text, "stop": "text", **tokens, **times, **drafts}

    def score(self, token_ids, path, wanted):
        return {"log_probabilities": [[-math.log(N_IDS)] * len(ids) for ids in wanted]}

    def reset(self, predictor=None):
        self.cached = []
        return {}

    def stats(self):
        return {"cached_tokens": len(self.cached)}


def main() -> None:
    peer = Peer(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["method"] in sys.argv[2:]:
            sys.exit(3)
        try:
            answer = {"result": getattr(peer, asked["method"])(**asked["params"])}
        except ValueError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
