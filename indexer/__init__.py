"""From a repository to definitions: walking, parsing, the catalogue, vectors and retrieval."""
