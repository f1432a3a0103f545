"""One process that completes for all editors of a user, and what stands between it and an editor.

An editor starts `crosslight serve`, which finds or starts the engine and forwards the editor's messages.
From the editor inwards: `framing` and `channels` move messages, `jsonrpc` looks into them; `mirror` (with
`documents`) and `ledger` remember what another engine would have to be told; `conversation` decides what is
sent where (`replies` has the words), and is where an engine's death is survived; `proxy` runs it in threads
(with `outbox`), and `finder` gets an engine. `serve` is the command. On the other side, `process` is the
engine, and `hosting` what it does with a connection.

What `serve` imports stays small: no event loop, no numpy, no model (each editor window runs one).
"""
