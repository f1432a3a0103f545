"""The language server: what an editor talks to.

`buffer` → `documents` hold the texts of a connection; `show` and `suggestions` decide without a model what is
shown; `session` joins them for one connection; `host` holds what all connections of a process share;
`features` puts a session behind the protocol (`language_server`, `editor`, `commands`), and `connection` runs
one over a pair of streams.
"""
