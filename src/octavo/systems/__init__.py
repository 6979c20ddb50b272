"""The papers, one room each: its model, its task, its recipe. No paper imports another."""
