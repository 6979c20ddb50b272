"""What a run tells of itself to readers: its model card, and the reporting guidelines as far as it can fill them."""
