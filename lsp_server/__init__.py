"""The program that people and editors start: command line, server, and what joins index and model."""
