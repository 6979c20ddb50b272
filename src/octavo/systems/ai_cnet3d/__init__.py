"""AI-CNet3D: see `network` for the paper and its shapes."""
