"""The papers' equations written the plain way, token by token: what the fast versions are held against."""
