"""Topcon `.fda` and `.fds`: chunks, frames, and the surfaces and pictures beside them."""
